/** The bare Hono app on Node: `bare-hono-node.ts BODIES`, a file of JSON with pairs of path and body. Tells its URL. */
import { readFileSync } from 'node:fs';
import { serve } from '@hono/node-server';
import { bareHono } from './bare-hono.ts';

const bodies = new Map<string, string>(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')));
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
const { fetch } = bareHono(bodies);
serve({ fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
  process.on('message', () => process.send?.(`http://127.0.0.1:${port}`));
});
