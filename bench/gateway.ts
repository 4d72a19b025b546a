/**
 * Requests per second and latency of reads, in one run on one machine: the gateway against bare node:http and a bare Hono
 * route that send the same bytes, on Node and on Deno (node:http is always Node's), with a small and a large mesh.
 *
 *     npm run bench:gateway -- [HOSTS ...] [--seconds N] [--rounds N] [--token]
 *
 * Servers, agents and load are processes of their own and share the machine: on two processors a server that is full has
 * about one, the load what is left, and a relayed read also pays for the agents. Rounds go through all servers in turn,
 * every other one backwards, and a ratio is the median of the ratios within a round, so that other work on the machine
 * hits both sides. Every connection reads other procs and actors than its neighbours, so no relayed call is shared.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { encodeRef } from '../src/contract/index.ts';
import { TOKEN } from '../test/support/gateway.ts';
import { startAgents, untilSynced } from './agents.ts';
import { Load, type MeasuredLoad, median } from './load.ts';
import { atEnd, endAll, progress, runBenchmark } from './processes.ts';
import {
  type Server,
  startBareHono,
  startBareHonoOnDeno,
  startBareHttp,
  startDenoGateway,
  startNodeGateway,
} from './servers.ts';
import { actorReference, hostName, PROCS_PER_HOST, procReference } from './simulated-host.ts';

const HELP = `npm run bench:gateway -- [HOSTS ...] [--seconds N] [--rounds N] [--token]

  HOSTS        sizes of the mesh, default 10 1000
  --seconds N  length of one measurement, default 0.5
  --rounds N   rounds of them, of which medians are told, default 7
  --token      requests carry the owner's token; without it they are anonymous reads on loopback`;

const CONNECTIONS = [2, 64];
/** Requests per second of the paced reads: what Monarch's own server answers, and a few times that. */
const PACES = [1_000, 3_000];
const PACED_CONNECTIONS = 64;
/** Procs and actors that are read, spread over the mesh. */
const SAMPLE = 64;
/** Reads of each kind of which the serialisations are counted. */
const COUNTED_READS = 1_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean' },
    token: { type: 'boolean' },
    seconds: { type: 'string', default: '0.5' },
    rounds: { type: 'string', default: '7' },
  },
});
const sizes = positionals.length > 0 ? positionals.map(Number) : [10, 1_000];
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const token = values.token ? TOKEN : undefined;

interface Kind {
  readonly name: string;
  readonly paths: readonly string[];
}

interface Subject {
  readonly name: string;
  readonly runtime: 'Node' | 'Deno';
  readonly server: Server;
  /** The bare Hono route that it is compared with; null of the rivals. */
  readonly rival: string | null;
}

const HTTP = 'bare node:http';

function kindsOf(hosts: number): Kind[] {
  const spread = Array.from({ length: Math.min(SAMPLE, hosts * PROCS_PER_HOST) }, (_, i) => {
    const number = Math.floor((i * hosts * PROCS_PER_HOST) / SAMPLE);
    return [hostName(Math.floor(number / PROCS_PER_HOST)), number % PROCS_PER_HOST] as const;
  });
  const path = (reference: string) => `/v1/${encodeRef(reference)}`;
  return [
    { name: '/v1/root', paths: ['/v1/root'] },
    { name: '/v1/{proc}', paths: spread.map(([host, proc]) => path(procReference(host, proc))) },
    { name: '/v1/{actor}, relayed', paths: spread.map(([host, proc]) => path(actorReference(host, proc))) },
  ];
}

/** The answers of a gateway, in a file that the rivals read. */
async function writeBodies(url: string, kinds: readonly Kind[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'meshscope-bench-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const pairs: [string, string][] = [];
  for (const path of kinds.flatMap(({ paths }) => paths)) {
    const response = await fetch(url + path);
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    pairs.push([path, await response.text()]);
  }
  const file = join(folder, 'bodies.json');
  await writeFile(file, JSON.stringify(pairs));
  return file;
}

async function startSubjects(hosts: number, kinds: readonly Kind[]): Promise<Subject[]> {
  const node = await startNodeGateway();
  const deno = await startDenoGateway();
  for (const { url } of [node, deno]) {
    startAgents(url, hosts);
    await untilSynced(url, hosts);
  }
  const bodies = await writeBodies(node.url, kinds);
  return [
    { name: HTTP, runtime: 'Node', server: await startBareHttp(bodies), rival: null },
    { name: 'bare Hono, Node', runtime: 'Node', server: await startBareHono(bodies), rival: null },
    { name: 'gateway, Node', runtime: 'Node', server: node, rival: 'bare Hono, Node' },
    { name: 'bare Hono, Deno', runtime: 'Deno', server: await startBareHonoOnDeno(bodies), rival: null },
    { name: 'gateway, Deno', runtime: 'Deno', server: deno, rival: 'bare Hono, Deno' },
  ];
}

async function compare(load: Load, subjects: readonly Subject[], kinds: readonly Kind[], connections: number) {
  const measured = new Map<string, MeasuredLoad[]>();
  const key = (kind: Kind, name: string) => `${kind.name} ${name}`;
  // One round more, in which everything gets warm.
  for (let round = 0; round <= rounds; round += 1) {
    for (const kind of kinds) {
      for (const { name, server } of round % 2 === 0 ? subjects : subjects.toReversed()) {
        const job = { url: server.url, paths: kind.paths, connections, seconds, token };
        const result = await load.run(job, server.pid);
        if (round > 0) measured.set(key(kind, name), [...(measured.get(key(kind, name)) ?? []), result]);
      }
    }
    progress(`${connections} connections: round ${round} of ${rounds}`);
  }
  for (const kind of kinds) {
    console.log(`\n${kind.name}, ${connections} connections`);
    const of = (name: string) => measured.get(key(kind, name)) ?? [];
    for (const { name, rival } of subjects) {
      const parts = [tell(name, of(name))];
      if (name !== HTTP) parts.push(`${ratio(of(name), of(HTTP), 'rps')} of node:http`);
      if (rival !== null) parts.push(`${ratio(of(name), of(rival), 'rps')} of Hono`);
      if (rival !== null) parts.push(`${ratio(of(name), of(rival), 'cpu_us')} of its processor time`);
      console.log(parts.join(', '));
    }
  }
}

function tell(name: string, results: readonly MeasuredLoad[]): string {
  const of = (field: keyof MeasuredLoad) => median(results.map((result) => result[field]));
  const rejected = results.reduce((sum, result) => sum + result.rejected, 0);
  return (
    `${name.padEnd(16)} ${of('rps').toFixed(0).padStart(6)}/s  p50 ${of('p50_ms').toFixed(2)} ms, ` +
    `p99 ${of('p99_ms').toFixed(2)} ms, ${of('cpu_us').toFixed(0)} us of processor, ${rejected} rejected`
  );
}

/** Median over rounds of one's figure through the other's, the two being measured next to each other. */
function ratio(ours: readonly MeasuredLoad[], theirs: readonly MeasuredLoad[], field: 'rps' | 'cpu_us'): string {
  return median(ours.map((result, i) => result[field] / (theirs[i]?.[field] ?? Number.NaN))).toFixed(2);
}

async function pace(load: Load, subjects: readonly Subject[], kind: Kind) {
  console.log(`\n${kind.name}, ${PACED_CONNECTIONS} connections, at a rate`);
  for (const rate of PACES) {
    for (const { name, server, rival } of subjects) {
      if (rival === null) continue;
      const results: MeasuredLoad[] = [];
      const job = {
        url: server.url,
        paths: kind.paths,
        connections: PACED_CONNECTIONS,
        seconds: 4 * seconds,
        rate,
        token,
      };
      for (let round = 0; round < rounds; round += 1) results.push(await load.run(job, server.pid));
      console.log(`${tell(name, results)}, asked for ${rate}/s`);
    }
  }
}

/** Calls of JSON.stringify in a gateway of its own while unchanged state is read again and again. */
async function countSerialisations(kinds: readonly Kind[]) {
  const gateway = await startNodeGateway(0, '--count');
  startAgents(gateway.url, 10);
  await untilSynced(gateway.url, 10);
  console.log(`\ncalls of JSON.stringify in the gateway during ${COUNTED_READS} reads (heartbeats may add a few)`);
  for (const { name, paths } of kinds) {
    const before = (await gateway.ask('serialisations')) as number;
    for (let i = 0; i < COUNTED_READS; i += 1) {
      await (await fetch(`${gateway.url}${paths[i % paths.length]}`)).text();
    }
    console.log(`${name.padEnd(22)} ${((await gateway.ask('serialisations')) as number) - before}`);
  }
}

async function main(): Promise<void> {
  if (values.help) return console.log(HELP);
  const who = token === undefined ? 'anonymous reads' : "reads with the owner's token";
  console.log(`${rounds} rounds of ${seconds} s, ${who}; ratios are medians over rounds`);
  for (const hosts of sizes) {
    progress(`${hosts} hosts: starting`);
    const kinds = kindsOf(hosts);
    const subjects = await startSubjects(hosts, kinds);
    const load = new Load();
    console.log(`\n${hosts} hosts, ${hosts * PROCS_PER_HOST} procs`);
    for (const connections of CONNECTIONS) await compare(load, subjects, kinds, connections);
    for (const kind of kinds.slice(1)) await pace(load, subjects, kind);
    await endAll();
  }
  await countSerialisations(kindsOf(10));
}

await runBenchmark(main);
