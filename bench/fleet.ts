/**
 * A gateway with a fleet of agents: simulated ones (simulated-agent.ts), over real sockets on loopback, with 8 procs and as
 * many actors each. On Node, and on workerd with 1 and with 16 shards.
 *
 *     npm run bench:fleet -- [AGENTS ...] [--on node,worker-1,worker-16] [--seconds N]
 *
 * For each it tells:
 *  - memory: growth of the gateway process from empty to all agents synced, per agent; on Node also of its heap
 *  - sync: from the start of the agents' processes, 32 dials of each at once, until the gateway has the state of all
 *  - relayed call: `/v1/{actor}`, spread over the fleet, from 16 connections that each ask again when answered;
 *    then 500 of them a second
 *  - tree, and a walk: root, then every host, then every proc, over 16 connections
 *  - restart: the gateway is killed (SIGKILL) and started again on its port; agents redial by the backoff of the real
 *    one, 250 ms doubling to 15 s, half of it chance. The last dial that was let in shows how much of it is backoff.
 *  - rejected: answers other than 200, refused links, and links that ended before the kill
 * Gateway, agents and load share the machine. Each agent takes a socket at both ends: `ulimit -n` must allow them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sleep } from '../src/base/index.ts';
import { encodeRef } from '../src/contract/index.ts';
import { bundleWorker, startWorkerd } from '../test/support/workerd.ts';
import { type Agents, startAgents, untilSynced } from './agents.ts';
import { Connection } from './http-connection.ts';
import { Load, type LoadResult, median } from './load.ts';
import { atEnd, endAll, type Memory, memoryOf, openFilesMax, progress, runBenchmark } from './processes.ts';
import { startNodeGateway } from './servers.ts';
import { actorReference, hostName, PROCS_PER_HOST } from './simulated-host.ts';

const HELP = `npm run bench:fleet -- [AGENTS ...] [--on node,worker-1,worker-16] [--seconds N]

  AGENTS       sizes of the fleet, default 100 1000 5000
  --on LIST    gateways: node, or worker-N for workerd with N shards; default node,worker-1,worker-16
  --seconds N  length of the relayed calls, default 5`;

const CONNECTIONS = 16;
/** Of the relayed calls that come at a rate: then it is not the load that fills the machine. */
const RELAYS_PER_S = 500;
/** Actors that are asked for, spread over the fleet. */
const SAMPLE = 1_024;
const TREES = 5;
/** For collections and late frames to be over before memory is read. */
const SETTLE_MS = 3_000;
/** Sockets and files beside one socket for each agent. */
const SPARE_FILES = 200;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean' },
    on: { type: 'string', default: 'node,worker-1,worker-16' },
    seconds: { type: 'string', default: '5' },
  },
});

/** A gateway that can be killed and started again on its port. */
interface Gateway {
  readonly url: string;
  readonly pid: number;
  /** Bytes in use after a collection; null where it cannot be asked for. */
  heap(): Promise<number | null>;
  restart(): Promise<Gateway>;
}

async function onNode(port = 0): Promise<Gateway> {
  const { url, pid, ask, kill } = await startNodeGateway(port);
  const restart = async () => {
    await kill();
    return onNode(Number(new URL(url).port));
  };
  return { url, pid, heap: async () => (await ask('heap')) as number, restart };
}

/** @param bundle the Worker as it is deployed */
async function onWorkerd(bundle: string, shards: number): Promise<Gateway> {
  const variables = {
    MESHSCOPE_SHARDS: String(shards),
    MESHSCOPE_ANONYMOUS: 'topology',
    MESHSCOPE_SNAPSHOT_MS: '0',
  };
  let running = await startWorkerd(bundle, variables);
  atEnd(() => running.close());
  const describe = (): Gateway => {
    const { url, pid } = running;
    const restart = async () => {
      running = await running.restart({}, Number(new URL(url).port));
      return describe();
    };
    return { url, pid, heap: async () => null, restart };
  };
  return describe();
}

async function bundle(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'meshscope-bench-worker-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  return bundleWorker(folder);
}

async function startOn(target: string): Promise<Gateway> {
  if (target === 'node') return onNode();
  const shards = Number(/^worker-(\d+)$/.exec(target)?.[1] ?? Number.NaN);
  if (Number.isNaN(shards)) throw new Error(`--on ${target}: node, or worker-N for N shards`);
  return onWorkerd(await bundle(), shards);
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;
const kib = (bytes: number) => `${(bytes / 1_024).toFixed(1)} KiB`;

function say(what: string, text: string): void {
  console.log(`  ${what.padEnd(14)} ${text}`);
}

async function measureMemory(gateway: Gateway): Promise<Memory & { readonly heap_bytes: number | null }> {
  const heap_bytes = await gateway.heap();
  return { ...memoryOf(gateway.pid), heap_bytes };
}

async function relay(load: Load, gateway: Gateway, count: number): Promise<number> {
  const procs = count * PROCS_PER_HOST;
  const paths = Array.from({ length: Math.min(SAMPLE, procs) }, (_, i) => {
    const number = Math.floor((i * procs) / Math.min(SAMPLE, procs));
    const actor = actorReference(hostName(Math.floor(number / PROCS_PER_HOST)), number % PROCS_PER_HOST);
    return `/v1/${encodeRef(actor)}`;
  });
  const job = { url: gateway.url, paths, connections: CONNECTIONS, seconds: Number(values.seconds) };
  const warmUp = await load.run({ ...job, seconds: 1 }, gateway.pid);
  const full = await load.run(job, gateway.pid);
  const paced = await load.run({ ...job, rate: RELAYS_PER_S }, gateway.pid);
  const told = ({ p50_ms, p99_ms, rps }: LoadResult) =>
    `p50 ${p50_ms.toFixed(2)} ms, p99 ${p99_ms.toFixed(2)} ms at ${rps.toFixed(0)}/s`;
  say('relayed call', `${told(full)}, ${CONNECTIONS} connections; ${told(paced)}`);
  return warmUp.rejected + full.rejected + paced.rejected;
}

async function readTrees(gateway: Gateway): Promise<number> {
  const connection = await Connection.open(gateway.url);
  const times_ms: number[] = [];
  let rejected = 0;
  let size_bytes = 0;
  for (let i = 0; i < TREES; i += 1) {
    const start_ms = performance.now();
    const { status, body } = await connection.get('/v1/tree');
    times_ms.push(performance.now() - start_ms);
    size_bytes = body.length;
    if (status !== 200) rejected += 1;
  }
  connection.close();
  const worst_ms = Math.max(...times_ms);
  say(
    'tree',
    `${seconds(median(times_ms))}, at most ${seconds(worst_ms)} of ${TREES}, ${(size_bytes / 1e6).toFixed(1)} MB`,
  );
  return rejected;
}

/** Root, every host, every proc. Gives what was not answered with 200. */
async function walk(gateway: Gateway): Promise<number> {
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(gateway.url)));
  const start_ms = performance.now();
  let requests = 0;
  let rejected = 0;
  let wanted = ['root'];
  for (const level of ['root', 'host', 'proc']) {
    const found: string[] = [];
    const queue = wanted[Symbol.iterator]();
    const drain = async (connection: Connection) => {
      for (const reference of queue) {
        const { status, body } = await connection.get(`/v1/${encodeRef(reference)}`);
        requests += 1;
        if (status !== 200) rejected += 1;
        else if (level !== 'proc') for (const child of JSON.parse(body.toString()).children) found.push(child);
      }
    };
    await Promise.all(connections.map(drain));
    wanted = found;
  }
  const took_ms = performance.now() - start_ms;
  for (const connection of connections) connection.close();
  const rate = ((requests / took_ms) * 1_000).toFixed(0);
  say('walk', `${seconds(took_ms)}, ${requests} requests, ${rate}/s, ${CONNECTIONS} connections`);
  return rejected;
}

async function restart(gateway: Gateway, agents: Agents, count: number): Promise<Gateway> {
  const before = await agents.counts();
  const killed_ms = Date.now();
  const again = await gateway.restart();
  const up_ms = Date.now();
  await untilSynced(again.url, count);
  const synced_ms = Date.now();
  const after = await agents.counts();
  const failed = after.failed_dials - before.failed_dials;
  say(
    'restart',
    `all synced ${seconds(synced_ms - up_ms)} after it listens, which is ${seconds(up_ms - killed_ms)} after the kill; ` +
      `the last welcomed dial began ${seconds(after.dialled_at_ms - up_ms)} after it listens, ` +
      `was welcomed at ${seconds(after.welcomed_at_ms - up_ms)}; ${failed} dials failed meanwhile`,
  );
  return again;
}

async function measure(target: string, count: number): Promise<void> {
  progress(`${target}, ${count} agents: starting`);
  let gateway = await startOn(target);
  await fetch(`${gateway.url}/healthz`);
  const load = new Load();
  const empty = await measureMemory(gateway);
  const start_ms = performance.now();
  const agents = startAgents(gateway.url, count);
  await untilSynced(gateway.url, count);
  const synced_ms = performance.now() - start_ms;
  await sleep(SETTLE_MS);
  const full = await measureMemory(gateway);
  console.log(`\n${target}, ${count} agents`);
  const perAgent = (field: keyof Memory) => kib((full[field] - empty[field]) / count);
  const heap = full.heap_bytes === null ? '' : `, heap ${kib((full.heap_bytes - (empty.heap_bytes ?? 0)) / count)}`;
  const inAll = (full.rss_bytes / 1e6).toFixed(0);
  say(
    'memory',
    `per agent RSS ${perAgent('rss_bytes')}, anonymous ${perAgent('anonymous_bytes')}${heap}; RSS in all ${inAll} MB`,
  );
  say('first sync', seconds(synced_ms));
  progress(`${target}, ${count} agents: synced`);
  let rejected = await relay(load, gateway, count);
  rejected += await readTrees(gateway);
  rejected += await walk(gateway);
  const { refused, closes } = await agents.counts();
  const ended = Object.values(closes).reduce((sum, links) => sum + links, 0);
  progress(`${target}, ${count} agents: restarting`);
  gateway = await restart(gateway, agents, count);
  rejected += await relay(load, gateway, count);
  const atLast = await agents.counts();
  say(
    'rejected',
    `${rejected} answers, ${atLast.refused} links (${refused} before the kill), ${ended} links ended before it`,
  );
  await endAll();
}

async function main(): Promise<void> {
  if (values.help) return console.log(HELP);
  const sizes = positionals.length > 0 ? positionals.map(Number) : [100, 1_000, 5_000];
  const files = Math.max(...sizes) + SPARE_FILES;
  if (openFilesMax() < files) {
    throw new Error(`a process may open ${openFilesMax()} files and ${files} are needed: raise 'ulimit -n'`);
  }
  for (const count of sizes) for (const target of values.on.split(',')) await measure(target, count);
}

await runBenchmark(main);
