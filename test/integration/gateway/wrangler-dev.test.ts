/**
 * The Worker under `wrangler dev`, with real agents, real Python and a real store, all of which dial in: looked at from
 * outside before its objects sleep, after they wake, and after wrangler was killed.
 *
 * An agent tells the memory of its processes every few seconds, which keeps its shard awake. So the agents are stopped, as a
 * machine that is suspended is, for as long as it takes an object to fall asleep.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeRef, type NodePayload, type PySpyResult } from '../../../src/contract/index.ts';
import { checkedFetch } from '../../support/answers.ts';
import { DEMO_FOLDER, type RunningCli, runCli, startCli } from '../../support/cli.ts';
import { untilAsleep } from '../../support/sleep.ts';
import { until } from '../../support/until.ts';
import { startWranglerDev, type WranglerDev } from '../../support/wrangler-dev.ts';

const TOKEN = 'test-token-of-wrangler-dev';
const PROGRAMS = ['busy', 'blocked', 'alternating'];
const HOSTS = PROGRAMS.map((_, n) => `gpu-${n}`);

let folder: string;
let wrangler: WranglerDev;
let store: RunningCli;
let agents: RunningCli[] = [];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-dev-'));
  wrangler = await startWranglerDev({ MESHSCOPE_TOKEN: TOKEN, MESHSCOPE_SNAPSHOT_MS: '0' });
  const env = { MESHSCOPE_TOKEN: TOKEN };
  store = startCli(['telemetry', '--dial', wrangler.url, '--data', path.join(folder, 'store')], env);
  agents = PROGRAMS.map((program, n) => {
    const name = ['--name', `gpu-${n}`, '--quiet'];
    const command = ['python3', path.join(DEMO_FOLDER, `${program}.py`)];
    return startCli(['agent', '--gateway', wrangler.url, ...name, '--', ...command], env);
  });
  await Promise.all([store.says(/linked to/), ...agents.map((agent) => agent.says(/connected to/))]);
  await untilWhole();
}, 120_000);

afterAll(async () => {
  for (const cli of [...agents, store]) {
    cli.signal('SIGCONT');
    cli.signal('SIGTERM');
  }
  await Promise.all([...agents, store].map(({ ended }) => ended));
  await wrangler.close();
  rmSync(folder, { recursive: true, force: true });
});

function ask(where: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  return checkedFetch(wrangler.url + where, { ...init, headers });
}

async function text(where: string): Promise<string> {
  const answer = await ask(where);
  const body = await answer.text();
  expect([where, answer.status, answer.ok ? '' : body]).toEqual([where, 200, '']);
  return body;
}

async function node(reference: string): Promise<NodePayload> {
  return JSON.parse(await text(`/v1/${encodeRef(reference)}`));
}

/** References of every node, from the root through all children. */
async function walk(): Promise<string[]> {
  const visit = async (reference: string, parent: string | null): Promise<string[]> => {
    const { identity, parent: own, children } = await node(reference);
    expect([identity, own]).toEqual([reference, parent]);
    const below = [];
    for (const child of children) below.push(...(await visit(child, reference)));
    return [reference, ...below];
  };
  return visit('root', null);
}

async function procOf(program: string): Promise<string> {
  const { children } = await node(`host:host_agent.service@ipc://gpu-${PROGRAMS.indexOf(program)}`);
  return children.find((reference) => reference.startsWith(program)) ?? `no ${program} in ${children}`;
}

async function untilWhole(): Promise<void> {
  await until(async () => {
    const { links } = (await (await ask('/healthz')).json()) as { links: number };
    if (links < HOSTS.length) return false;
    const nodes = await Promise.all(
      PROGRAMS.map(async (program) => (await ask(`/v1/${encodeRef(await procOf(program))}`)).ok),
    );
    return nodes.every((isThere) => isThere);
  }, 'all hosts');
}

async function dumpOf(program: string, frame: string): Promise<void> {
  await until(async () => {
    const result: PySpyResult = JSON.parse(await text(`/v1/pyspy/${encodeRef(await procOf(program))}`));
    return 'Ok' in result && result.Ok.stack_traces.some(({ frames }) => frames.some(({ name }) => name === frame));
  }, `a stack of ${program} with ${frame}`);
}

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const answer = await ask('/v1/query', { method: 'POST', body: JSON.stringify({ sql }) });
  const body = await answer.text();
  if (!answer.ok) throw new Error(body);
  return JSON.parse(body).rows;
}

async function storeDump(program: string): Promise<string> {
  const answer = await ask(`/v1/pyspy_dump/${encodeRef(await procOf(program))}`, { method: 'POST', body: 'null' });
  const body = (await answer.json()) as { dump_id: string };
  expect([answer.status, answer.ok ? '' : JSON.stringify(body)]).toEqual([200, '']);
  return body.dump_id;
}

const dumps = (...ids: string[]) =>
  query(`select proc_ref from pyspy_dumps where dump_id in (${ids.map((id) => `'${id}'`)}) order by proc_ref`);

/** Every status change of a host's actors, as the store has it; a batch that counted twice shows twice. */
const changes = () =>
  query(
    'select full_name, new_status from actor_status_events e join actors a on a.id = e.actor_id ' +
      "where new_status in ('Created', 'Failed') and full_name not like 'mesh_admin%' order by full_name, new_status",
  );

/** Kills the Python process of a host, so that its agent has something to tell. */
async function failing(program: string): Promise<void> {
  const { properties } = await node(await procOf(program));
  const { pid } = (properties as unknown as { Proc: { process: { pid: number } } }).Proc.process;
  process.kill(pid, 'SIGKILL');
}

const count = (output: string, words: RegExp): number => [...output.matchAll(words)].length;

test('three hosts and a store are walked, dumped, profiled and queried; slept and killed in between, nothing is lost', {
  timeout: 180_000,
}, async () => {
  const references = await walk();
  expect(references.filter((reference) => reference.startsWith('host:'))).toEqual(
    HOSTS.map((host) => `host:host_agent.service@ipc://${host}`),
  );
  const env = { MESHSCOPE_URL: wrangler.url, MESHSCOPE_TOKEN: TOKEN };
  const { code, stdout } = await runCli(['diagnose', '--json'], env);
  expect([code, JSON.parse(stdout).summary]).toMatchObject([0, { failed: 0, healthy: true }]);
  await dumpOf('busy', '_cpu_burn_loop');
  await dumpOf('blocked', 'do_blocking_work');
  await dumpOf('alternating', 'do_cpu_work');
  const options = { duration_s: 1, rate_hz: 100, native: false, threads: false, nonblocking: false };
  const profile = await ask(`/v1/pyspy_profile_svg/${encodeRef(await procOf('busy'))}`, {
    method: 'POST',
    body: JSON.stringify(options),
  });
  expect([profile.status, await profile.text()]).toEqual([200, expect.stringContaining('_cpu_burn_loop')]);
  const first = await storeDump('busy');
  expect(await dumps(first)).toEqual([{ proc_ref: await procOf('busy') }]);
  const created = await until(async () => {
    const rows = await changes();
    return PROGRAMS.every((program) => rows.some(({ full_name }) => String(full_name).includes(program))) && rows;
  }, 'the creation of all commands in the store');
  expect(created.every(({ new_status }) => new_status === 'Created')).toBe(true);
  // The Worker reports about itself as every gateway does, behind the answers that it gives.
  const own = () =>
    query(
      "select (select count(*) from metric_sums where name = 'gateway.requests') as requests, " +
        "(select count(*) from spans where target = 'meshscope.gateway') as spans, " +
        "(select count(*) from actors where full_name like 'mesh_admin%') as actors",
    );
  await until(async () => Object.values((await own())[0] ?? {}).every((rows) => Number(rows) > 0), 'rows of its own');

  // Asleep, and woken by a read while no agent can say anything: what is read is what was stored.
  for (const agent of agents) agent.signal('SIGSTOP');
  const paths = [
    '/v1/tree',
    ...references
      .filter((each) => /^(host:|[^.]*$)/.test(each) && each !== 'root')
      .map((each) => `/v1/${encodeRef(each)}`),
  ];
  const readAll = () => Promise.all(paths.map(text));
  const before = await readAll();
  await untilAsleep(wrangler.output, () => text('/v1/tree'));
  expect(await readAll()).toEqual(before);
  for (const agent of agents) agent.signal('SIGCONT');
  expect(wrangler.output.text).toMatch(/shard woke with 3 links/);
  expect(await walk()).toEqual(references);
  await dumpOf('blocked', 'do_blocking_work');
  const second = await storeDump('blocked');
  expect(await dumps(first, second)).toHaveLength(2);
  await failing('busy');
  const failed = (program: string) => (row: Record<string, unknown>) =>
    row.new_status === 'Failed' && String(row.full_name).includes(program);
  await until(async () => (await changes()).some(failed('busy')), 'the failure in the store');
  for (const { output } of agents) expect(count(output(), /connected to/g)).toBe(1);
  expect(count(store.output(), /linked to/g)).toBe(1);

  // Killed, with something happening meanwhile, and started again on the same port with the same storage.
  const tree = await text('/v1/tree');
  const other = await node(await procOf('alternating'));
  await wrangler.restart(async () => {
    await Promise.all([...agents, store].map((cli) => cli.says(/trying again/)));
    const { pid } = (other.properties as unknown as { Proc: { process: { pid: number } } }).Proc.process;
    process.kill(pid, 'SIGKILL');
  });
  await Promise.all(
    agents.map(({ output }) => until(() => count(output(), /connected to/g) === 2, 'the agent to return')),
  );
  await until(() => count(store.output(), /linked to/g) === 2, 'the store to return');
  await untilWhole();
  expect(await text('/v1/tree')).toBe(tree);
  expect(await walk()).toEqual(references);
  await dumpOf('blocked', 'do_blocking_work');
  expect(await dumps(first, second)).toHaveLength(2);
  const rows = await until(async () => {
    const all = await changes().catch(() => []);
    return all.some(failed('alternating')) && all;
  }, 'what happened meanwhile in the store');
  expect(rows.filter(({ new_status }) => new_status === 'Created')).toEqual(created);
  expect(rows.filter(failed('busy'))).toHaveLength(1);
  expect(rows.filter(failed('alternating'))).toHaveLength(1);
  expect(await query('select count(*) - count(distinct id) as doubles from actor_status_events')).toEqual([
    { doubles: 0 },
  ]);
});
