/**
 * The telemetry store: what it takes, how soon it answers, and what that costs, each in a process of its own.
 *
 *     node bench/telemetry.ts [--seconds N] [--batch-rows N] [--producers N] [--repetitions N] [--only PART,…]
 *
 * 1. `queries`: the five queries of the query benchmark over HTTP, in the query process's engine, and with bare DuckDB.
 * 2. `store`: rows per second of producers that send as fast as they are answered, for so many seconds, beside DuckDB's bare
 *    appender on the same rows; the owner's event loop and memory meanwhile.
 * 3. `points`: the latency of point queries while the store is idle, takes 50,000 and 200,000 rows per second, and all it can.
 * 4. `gateway`: rows per second over the link of one agent, through a gateway, of batches that are encoded already.
 * 5. `producer`: rows per second from programs that tell them to the store that has them: client, collector, spool on disk,
 *    link, gateway, store; and what that costs the agent's event loop.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sleep } from '../src/base/index.ts';
import { TABLES } from '../src/contract/index.ts';
import { TOKEN as GATEWAY_TOKEN } from '../test/support/gateway.ts';
import { Connection } from './http-connection.ts';
import type { LoopDelay } from './loop-delay.ts';
import { atEnd, type Forked, forkProcess, memoryOf, progress, runBenchmark } from './processes.ts';
import { benchBareAppender } from './telemetry-bare.ts';
import type { EmitJob, EmitResult } from './telemetry-emit.ts';
import type { IngestJob, IngestResult } from './telemetry-load.ts';
import { answered, benchQueries, type Times, timesOf } from './telemetry-queries.ts';

const PARTS = ['queries', 'store', 'points', 'gateway', 'producer'];
const PACED_ROWS_PER_S = [50_000, 200_000];
const POINT_PAUSE_MS = 10;
const ACTORS = 1_000;
/** Of so many rows retention has deleted none yet. */
const RETAINED_ROWS = 15_000_000;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    'batch-rows': { type: 'string', default: '1000' },
    producers: { type: 'string', default: '8' },
    repetitions: { type: 'string', default: '100' },
    only: { type: 'string', default: PARTS.join(',') },
  },
});
const seconds = number(options.seconds, 'seconds');
const batch_rows = number(options['batch-rows'], 'batch-rows');
const producers = number(options.producers, 'producers');
const repetitions = number(options.repetitions, 'repetitions');
const parts = options.only.split(',');
const fileOf = (name: string) => fileURLToPath(new URL(`./${name}`, import.meta.url));

interface Owner extends Forked {
  readonly url: string;
  readonly token: string;
}

await runBenchmark(async () => {
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Error(`--only: no part ${unknown}; there are ${PARTS.join(', ')}`);
  if (parts.includes('queries')) await queries();
  if (parts.includes('store')) await store();
  if (parts.includes('points')) await points();
  if (parts.includes('gateway')) await gateway();
  if (parts.includes('producer')) await producer();
});

function number(text: string, name: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name}: ${text} is not a number above 0`);
  return value;
}

async function queries(): Promise<void> {
  const [owner, folder] = [await startOwner(), await temporaryFolder()];
  const figures = await benchQueries(() => Connection.open(owner.url, owner.token), folder, repetitions);
  await owner.kill();
  console.log(
    `\nqueries, ${repetitions} times each, ms         p50 bare  engine    http   over bare    p99 bare  engine    http`,
  );
  for (const { name, bare, engine, http } of figures) {
    const p50 = [bare.p50_ms, engine.p50_ms, http.p50_ms].map((value) => value.toFixed(2).padStart(8));
    const p99 = [bare.p99_ms, engine.p99_ms, http.p99_ms].map((value) => value.toFixed(2).padStart(8));
    const over = (http.p50_ms - bare.p50_ms).toFixed(2).padStart(9);
    console.log(`${name.padEnd(36)} ${p50.join('')}   ${over}    ${p99.join('')}`);
  }
}

async function store(): Promise<void> {
  progress('store: bare appender');
  const bare = await benchBareAppender(await temporaryFolder(), 3);
  progress(`store: ${seconds} s of load`);
  const owner = await startOwner();
  await checkCount(owner);
  const load = startLoad();
  await load({ to: 'store', url: owner.url, token: owner.token, producers, batch_rows, seconds: 2 });
  await owner.ask('delay');
  const rss_bytes: number[] = [];
  const watch = setInterval(() => rss_bytes.push(memoryOf(owner.pid).rss_bytes), 1_000);
  const result = await load({ to: 'store', url: owner.url, token: owner.token, producers, batch_rows, seconds });
  clearInterval(watch);
  const delay = (await owner.ask('delay')) as LoopDelay;
  await checkCount(owner);
  await owner.kill();
  const rate = result.rows / result.seconds;
  const times = (other: number) => `${(rate / other).toFixed(2)} times`;
  console.log(`\nstore: ${describe(result)}`);
  console.log(
    `  bare appender, values:            ${thousands(bare.values)} rows/s; the store takes ${times(bare.values)} that`,
  );
  console.log(`  bare appender, columns:           ${thousands(bare.columns)} rows/s; ${times(bare.columns)}`);
  console.log(`  bare appender, columns, durable:  ${thousands(bare.durable)} rows/s; ${times(bare.durable)}`);
  console.log(`  event loop of the owner: p50 ${ms(delay.p50_ms)}, p99 ${ms(delay.p99_ms)}, max ${ms(delay.max_ms)}`);
  const last = rss_bytes.slice(Math.floor(rss_bytes.length / 2));
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const slope = slopeOf(last) * 60;
  console.log(
    `  memory of the owner: ${mib(rss_bytes[0] ?? 0)} first, ${mib(Math.max(...rss_bytes))} at most, ${mib(rss_bytes.at(-1) ?? 0)} last; ` +
      `over the last ${last.length} s ${(slope / 2 ** 20).toFixed(1)} MiB per minute`,
  );
}

async function points(): Promise<void> {
  const owner = await startOwner();
  const http = await Connection.open(owner.url, owner.token);
  const actors = Array.from({ length: ACTORS }, (_, id) => [id, 0, 1, id, `actor-${id}`, null]);
  const batch = { producer: randomUUID(), seq: 1, lost_rows: 0, tables: { actors } };
  await answered(http.post('/ingest', JSON.stringify(batch)));
  await query(http, 'select 1 as one');
  const load = startLoad();
  const job = { to: 'store', url: owner.url, token: owner.token, producers, batch_rows, seconds: 10 } as const;
  console.log('\npoint queries, one each 10 ms');
  for (const [name, rate] of [
    ['idle', 0],
    ...PACED_ROWS_PER_S.map((rate) => [`while ${thousands(rate)} rows/s come in`, rate] as const),
    ['while all comes in that is taken', undefined],
  ] as const) {
    progress(`points: ${name}`);
    // What is compiled, copied and opened for the first time is no part of it.
    if (rate !== 0) await load({ ...job, seconds: 2, rate });
    const over = rate === 0 ? sleep(5_000) : load({ ...job, rate });
    const [times, result] = await Promise.all([pointTimes(http, over), over]);
    const taken = rate === 0 ? '' : `; ${describe(result as IngestResult)}`;
    console.log(`  ${name}: p50 ${ms(times.p50_ms)}, p99 ${ms(times.p99_ms)}${taken}`);
  }
  http.close();
  await checkCount(owner);
  await owner.kill();
}

async function gateway(): Promise<void> {
  progress('gateway: 10 s of load');
  const owner = await startOwner();
  const gateway = forkProcess(fileOf('telemetry-gateway.ts'), [owner.url, owner.token]);
  const url = (await gateway.ask('url')) as string;
  const load = startLoad();
  const job = { to: 'gateway', url, token: GATEWAY_TOKEN, producers, seconds: 10 } as const;
  console.log('\ngateway, over the link of one agent');
  for (const rows of new Set([batch_rows, 10_000])) {
    const result = await load({ ...job, batch_rows: rows });
    console.log(`  ${rows} rows a batch: ${describe(result)}`);
  }
  await gateway.kill();
  await owner.kill();
}

async function producer(): Promise<void> {
  progress('producer: 10 s of load');
  const bare = await benchBareAppender(await temporaryFolder(), 3);
  const owner = await startOwner();
  const gateway = forkProcess(fileOf('telemetry-gateway.ts'), [owner.url, owner.token]);
  const url = (await gateway.ask('url')) as string;
  const agent = forkProcess(fileOf('telemetry-agent.ts'), [url, GATEWAY_TOKEN, await temporaryFolder()]);
  const socket_path = (await agent.ask('socket')) as string;
  const emit = startJobs<EmitJob, EmitResult>('telemetry-emit.ts');
  const untilStored = async (rows: number): Promise<void> => {
    // What the parts tell of themselves comes on top, and is so little that it does not matter here.
    while ((await storedRows(owner)) < rows) await sleep(20);
  };
  const warmUp = await emit({ socket_path, clients: producers, seconds: 2 });
  await untilStored(warmUp.rows);
  const before = await storedRows(owner);
  await agent.ask('delay');
  const began_ms = performance.now();
  const result = await emit({ socket_path, clients: producers, seconds: 10 });
  await untilStored(before + result.rows);
  const took_s = (performance.now() - began_ms) / 1_000;
  const delay = (await agent.ask('delay')) as LoopDelay;
  await checkCount(owner);
  const rate = result.rows / took_s;
  console.log(`\nproducer, ${producers} programs, from telling a row to the store that has it`);
  console.log(
    `  ${thousands(rate)} rows/s over ${took_s.toFixed(1)} s; ${(rate / bare.values).toFixed(2)} times the bare appender, values`,
  );
  console.log(`  safe on the agent's disk after p50 ${ms(result.p50_ms)}, p99 ${ms(result.p99_ms)}`);
  console.log(`  event loop of the agent: p50 ${ms(delay.p50_ms)}, p99 ${ms(delay.p99_ms)}, max ${ms(delay.max_ms)}`);
  await agent.kill();
  await gateway.kill();
  await owner.kill();
}

async function storedRows(owner: Owner): Promise<number> {
  const http = await Connection.open(owner.url, owner.token);
  const { rows_stored } = JSON.parse((await http.get('/healthz')).body.toString()) as { rows_stored: number };
  http.close();
  return rows_stored;
}

/** Asks for one actor after the other, one query at a time, until `over` settles. */
async function pointTimes(http: Connection, over: Promise<unknown>): Promise<Times> {
  let isOver = false;
  void over.finally(() => {
    isOver = true;
  });
  const durations_ms: number[] = [];
  for (let id = 0; !isOver; id = (id + 1) % ACTORS) {
    const begin_ms = performance.now();
    const { rows } = await query(http, `select full_name, rank from actors where id = ${id}`);
    durations_ms.push(performance.now() - begin_ms);
    if (rows.length !== 1) throw new Error(`${rows.length} actors have the id ${id}`);
    await sleep(POINT_PAUSE_MS);
  }
  return timesOf(durations_ms);
}

async function query(http: Connection, sql: string): Promise<{ rows: Record<string, unknown>[] }> {
  return JSON.parse((await answered(http.post('/query', JSON.stringify({ sql })))).toString());
}

/** Every row that was stored can be read, once, as long as none is deleted. */
async function checkCount(owner: Owner): Promise<void> {
  const http = await Connection.open(owner.url, owner.token);
  const counts = TABLES.map(({ name }) => `(select count(*) from ${name})`).join(' + ');
  const { rows } = await query(http, `select ${counts} as n`);
  const { rows_stored } = JSON.parse((await http.get('/healthz')).body.toString()) as { rows_stored: number };
  http.close();
  const readable = Number(rows[0]?.n);
  // What the service tells of itself may come between the two.
  const isShort = readable < rows_stored - 1_000 && rows_stored < RETAINED_ROWS;
  if (readable > rows_stored || isShort) {
    throw new Error(`${readable} rows can be read, ${rows_stored} were stored`);
  }
}

function describe({ rows, seconds: took_s, p50_ms, p99_ms, refused }: IngestResult): string {
  const again = refused === 0 ? '' : `, ${refused} batches sent again`;
  return `${thousands(rows / took_s)} rows/s over ${took_s.toFixed(0)} s, acknowledged after p50 ${ms(p50_ms)}, p99 ${ms(p99_ms)}${again}`;
}

async function startOwner(): Promise<Owner> {
  const token = randomUUID();
  const forked = forkProcess(fileOf('telemetry-owner.ts'), [await temporaryFolder(), token]);
  return { ...forked, token, url: (await forked.ask('url')) as string };
}

function startLoad(): (job: IngestJob) => Promise<IngestResult> {
  return startJobs('telemetry-load.ts');
}

/** A process that does one job after the other. */
function startJobs<Job, Result extends object>(file: string): (job: Job) => Promise<Result> {
  const forked = forkProcess(fileOf(file));
  return async (job) => {
    const result = (await forked.ask(job)) as Result | { readonly error: string };
    if ('error' in result) throw new Error(result.error);
    return result;
  };
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'meshscope-bench-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** By least squares, per step. */
function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const above = values.reduce((sum, value, place) => sum + (place - middle) * (value - mean), 0);
  return above / values.reduce((sum, _, place) => sum + (place - middle) ** 2, 0);
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}
