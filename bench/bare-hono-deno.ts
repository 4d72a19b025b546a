/** The bare Hono app on Deno: `bare-hono-deno.ts BODIES`, a file of JSON with pairs of path and body. Prints its URL. */
import { deno } from '../src/edge-gateway/targets/deno/api.ts';
import { bareHono } from './bare-hono.ts';

const bodies = new Map<string, string>(JSON.parse(deno.readTextFileSync(deno.args[0] ?? '')));
const app = bareHono(bodies);
const { signal } = new AbortController();
const onError = () => new Response(null, { status: 500 });
const options = { hostname: '127.0.0.1', port: 0, signal, onListen: () => {}, onError };
const server = deno.serve(options, (request) => app.fetch(request));
console.log(`listening on http://127.0.0.1:${server.addr.port}`);
