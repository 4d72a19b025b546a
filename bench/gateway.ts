/**
 * Requests per second and latency of reads, in one run on one machine: the gateway against bare node:http and a bare
 * Hono route that send the same bytes. `node bench/gateway.ts [seconds]`. The load comes from a process of its own; the
 * agent that relayed reads go to shares the gateway's process, so those figures are on the slow side.
 */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { encodeRef } from '../src/contract/index.ts';
import { FakeAgent, until } from '../test/support/fake-agent.ts';
import { startGateway, TOKEN } from '../test/support/gateway.ts';

interface Result {
  readonly rps: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Processor time of the serving process per request, microseconds: hardly moved by what else runs on the machine. */
  readonly cpu_us: number;
}

const LOAD = fileURLToPath(new URL('./gateway-load.ts', import.meta.url));
const seconds = process.argv[2] ?? '1';
/** Rounds over all targets; the median of each counts, since other work on the machine comes and goes. */
const ROUNDS = 5;

async function load(url: string, path: string, connections: number): Promise<Result> {
  const before = process.cpuUsage();
  const { stdout } = await promisify(execFile)(process.execPath, [LOAD, url, path, String(connections), seconds]);
  const { user, system } = process.cpuUsage(before);
  const result: Omit<Result, 'cpu_us'> & { readonly requests: number } = JSON.parse(stdout);
  return { ...result, cpu_us: (user + system) / result.requests };
}

const gateway = await startGateway();
const agent = await FakeAgent.dial({
  url: gateway.url,
  token: TOKEN,
  onCall: ({ call, request }, self) => self.answer(call, self.actor(request.reference)),
});
agent.sync();
await until(() => gateway.hub.counts().nodes > 0);

const body = await (await fetch(`${gateway.url}/v1/${encodeRef(agent.procRef)}`)).text();
const bare = createServer((_, response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
});
await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve));
const app = new Hono();
app.get('/v1/:reference', () => new Response(body, { headers: { 'content-type': 'application/json' } }));
const hono = await new Promise<ReturnType<typeof serve>>((resolve) => {
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(server));
});
const address = (server: { address(): unknown }) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const proc = `/v1/${encodeRef(agent.procRef)}`;
const targets = [
  ['bare node:http', address(bare), proc],
  ['bare Hono route', address(hono), proc],
  ['/v1/root', gateway.url, '/v1/root'],
  ['/v1/{proc}', gateway.url, proc],
  ['/v1/{actor}, relayed', gateway.url, `/v1/${encodeRef(agent.actorRef)}`],
] as const;

function median(results: readonly Result[], field: 'rps' | 'p50_ms' | 'p99_ms' | 'cpu_us'): number {
  const values = results.map((result) => result[field]).sort((a, b) => a - b);
  return values[Math.floor(values.length / 2)] ?? Number.NaN;
}

function countRejected(results: readonly Result[]): number {
  const counts = results.flatMap(({ statuses }) => Object.entries(statuses));
  return counts.reduce((sum, [status, count]) => sum + (status === '200' ? 0 : count), 0);
}

for (const connections of [2, 64]) {
  console.log(`\n${connections} connections, ${body.length} bytes, median of ${ROUNDS} rounds of ${seconds} s`);
  const measured = new Map<string, Result[]>(targets.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, url, path] of targets) measured.get(name)?.push(await load(url, path, connections));
  }
  const rateOf = (name: string) => median(measured.get(name) ?? [], 'rps');
  for (const [name, results] of measured) {
    const rate = rateOf(name);
    const latency = `p50 ${median(results, 'p50_ms').toFixed(2)} ms, p99 ${median(results, 'p99_ms').toFixed(2)} ms`;
    const toHttp = (rate / rateOf('bare node:http')).toFixed(2);
    const toHono = (rate / rateOf('bare Hono route')).toFixed(2);
    console.log(
      `${name.padEnd(22)} ${rate.toFixed(0).padStart(7)}/s  ${latency}  ` +
        `${toHttp} of node:http, ${toHono} of Hono, ` +
        `cpu ${median(results, 'cpu_us').toFixed(0)} us/request, ${countRejected(results)} rejected`,
    );
  }
}

agent.drop();
await gateway.close();
bare.close();
hono.close();
