/** What an agent tells of its host and of itself, as it reaches a gateway. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RowValue } from '../../../src/base/index.ts';
import { findTable } from '../../../src/contract/index.ts';
import {
  EventClient,
  type HostAgent,
  type HostAgentOptions,
  nameSpecs,
  startHostAgent,
} from '../../../src/node-agents/index.ts';
import { LIMITS } from '../../../src/node-agents/limits.ts';
import { type ActorStatus, CoreRows } from '../../../src/node-agents/producer/core-rows.ts';
import { hashUid } from '../../../src/node-agents/producer/hash-uid.ts';
import { rowsOf } from '../../support/batches.ts';
import { pyspyBinary } from '../../support/pyspy-binary.ts';
import { type ScriptedGateway, startScriptedGateway, TOKEN } from '../../support/scripted-gateway.ts';
import { until } from '../../support/until.ts';

let gateway: ScriptedGateway;
let folder: string;
let logged: string[];
const agents: HostAgent[] = [];

beforeEach(async () => {
  gateway = await startScriptedGateway();
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-told-'));
  logged = [];
});

afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.stop('the test is over')));
  await gateway.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function startAgent(options: Partial<HostAgentOptions> = {}): Promise<HostAgent> {
  const agent = await startHostAgent({
    gateway_url: gateway.url,
    token: TOKEN,
    host_name: 'teller',
    version: '1.2.3',
    base_dir: folder,
    terminate_grace_ms: 500,
    metrics_interval_ms: 100,
    log: (level, message) => logged.push(`${level}: ${message}`),
    ...options,
  });
  if (!agent.ok) throw new Error(agent.failure.message);
  agents.push(agent.value);
  return agent.value;
}

function run(name: string, command: readonly string[]) {
  const named = nameSpecs([{ name, procs: 1, cwd: undefined, env: {}, command: [...command] }]);
  if (!named.ok) throw new Error(named.failure.message);
  return named.value;
}

/** Rows that have come of a table, as records, the same batch once. */
function told(table: string): Record<string, RowValue>[] {
  const batches = new Map(gateway.batches.map((batch) => [`${batch.producer} ${batch.seq}`, batch]));
  const names = findTable(table)?.columns.map(({ name }) => name) ?? [];
  return [...batches.values()]
    .flatMap((batch) => rowsOf(batch)[table] ?? [])
    .map((row) => Object.fromEntries(names.map((name, index) => [name, row[index] ?? null])));
}

function statusesOf(display_name: string): RowValue[][] {
  const id = told('actors').find((actor) => actor.display_name === display_name)?.id;
  return told('actor_status_events')
    .filter((event) => event.actor_id === id)
    .map(({ new_status, reason }) => [new_status ?? null, reason ?? null]);
}

describe('what an agent tells of its host', () => {
  it('is each status of a command once, in order, with the reason of its end', async () => {
    const specs = [
      ...run('ends', ['true']),
      ...run('fails', ['sh', '-c', 'exit 3']),
      ...run('absent', ['/no/such/thing']),
    ];
    await startAgent({ specs });
    const endOf = (name: string) =>
      until(() => /Stopped|Failed/.test(String(statusesOf(name).at(-1)?.[0])), `the end of ${name}`);
    await Promise.all([endOf('ends'), endOf('fails'), endOf('absent')]);
    expect(statusesOf('ends')).toEqual([
      ['Created', null],
      ['Initializing', null],
      ['Processing', null],
      ['Stopping', null],
      ['Stopped', 'process exited cleanly (code 0)'],
    ]);
    expect(statusesOf('fails').at(-1)).toEqual(['Failed', 'process exited with code 3']);
    expect(statusesOf('absent').map(([status]) => status)).toEqual(['Created', 'Stopping', 'Failed']);
    const times = told('actor_status_events').map(({ timestamp_us }) => Number(timestamp_us));
    expect(new Set(times).size).toBe(times.length);
  });

  it('is its own agent from creation to the end, and ids that join and are unsigned', async () => {
    const agent = await startAgent({ specs: run('job', ['sleep', '1000']) });
    await until(() => statusesOf('job').some(([status]) => status === 'Processing'), 'a running job');
    await agent.stop('enough');
    const host = told('actors').find((actor) => String(actor.full_name).startsWith('host_agent'));
    const own = told('actor_status_events').filter(({ actor_id }) => actor_id === host?.id);
    expect(own.map(({ new_status, reason }) => [new_status, reason])).toEqual([
      ['Created', null],
      ['Initializing', null],
      ['Idle', null],
      ['Stopping', null],
      ['Stopped', 'enough'],
    ]);
    expect(statusesOf('job').at(-1)?.[0]).toBe('Stopped');
    const meshes = new Map(told('meshes').map((mesh) => [mesh.id, mesh]));
    for (const actor of told('actors')) expect(meshes.has(actor.mesh_id ?? null)).toBe(true);
    for (const mesh of meshes.values()) {
      expect(mesh.parent_mesh_id === null || meshes.has(mesh.parent_mesh_id ?? null)).toBe(true);
      expect(JSON.parse(String(mesh.shape_json))).toHaveProperty('inner.labels');
    }
    const ids = told('actor_status_events').map(({ id }) => BigInt(String(id)));
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('rows of actors', () => {
  const collect = (run: string) => {
    const rows: (readonly [string, readonly unknown[]])[] = [];
    return { rows, core: new CoreRows((table, row) => rows.push([table, row]), run) };
  };

  it('leave out what comes with every message, repetitions, and what follows an end', () => {
    const { rows, core } = collect('a');
    let status: ActorStatus | null = null;
    const steps: ActorStatus[] = [
      'Created',
      'Initializing',
      'Idle',
      'Idle',
      'Processing',
      'Idle',
      'Stopping',
      'Failed',
      'Idle',
      'Stopped',
    ];
    for (const step of steps) status = core.actorStatus(7n, status, step, 'why');
    expect(status).toBe('Failed');
    expect(rows.map(([, row]) => [row[3], row[4]])).toEqual([
      ['Created', null],
      ['Initializing', null],
      ['Idle', null],
      ['Stopping', 'why'],
      ['Failed', 'why'],
    ]);
    rows.length = 0;
    // A client that begins to handle messages is told of.
    core.actorStatus(8n, core.actorStatus(8n, null, 'Client'), 'Processing');
    expect(rows).toHaveLength(2);
  });

  it('of messages have the time of their activity, and ids that no other run gives', () => {
    const [first, second] = [collect('a'), collect('b')];
    for (const { core } of [first, second]) {
      const id = core.messageQueued(7n);
      core.messageActive(id, { from_actor_id: 0n, to_actor_id: 7n, endpoint: 'step', port_index: null }, 99);
      core.messageStatus(id, 'complete');
      core.sentMessage(7n, 8n, { labels: [], slice: { offset: 3, sizes: [], strides: [] } });
    }
    const { rows } = first;
    expect(rows.map(([table]) => table)).toEqual([
      'message_status_events',
      'messages',
      'message_status_events',
      'message_status_events',
      'sent_messages',
    ]);
    expect([rows[1]?.[1][1], rows[2]?.[1][1], rows[2]?.[1][3]]).toEqual([99, 99, 'active']);
    expect(rows[1]?.[1][0]).toBe(rows[2]?.[1][2]);
    for (const [, row] of rows) expect(second.rows.some(([, other]) => other[0] === row[0])).toBe(false);
    for (const [table, row] of rows) expect(row).toHaveLength(findTable(table)?.columns.length ?? 0);
    expect(hashUid('actor', 'x')).not.toBe(hashUid('mesh', 'x'));
  });
});

describe('what an agent tells of itself', () => {
  it('are its log lines, spans of what it does, and its metrics', async () => {
    const agent = await startAgent({ specs: run('job', ['sleep', '1000']) });
    await gateway.until(() => gateway.nodes.get('service@ipc://teller'));
    await gateway.call({ method: 'config_dump', reference: 'service@ipc://teller' });
    await until(() => told('metric_histograms').length > 0, 'a histogram');
    await until(
      () => told('metric_gauges').filter(({ name }) => name === 'process.memory.rss_bytes').length >= 2,
      'memory',
    );
    await agent.stop('enough');
    const connected = told('events').find(({ fields_json }) => String(fields_json).includes('connected to'));
    expect(connected).toMatchObject({ name: 'connected to http', level: 'INFO', target: 'meshscope.agent' });
    const spans = told('spans');
    expect(new Set(spans.map(({ name }) => name))).toEqual(new Set(['link', 'command.start', 'config_dump']));
    expect(new Set([...spans, ...told('span_events')].map(({ process_id }) => process_id)).size).toBe(1);
    for (const { id } of spans) {
      const events = told('span_events').filter((event) => event.id === id);
      expect(events.map(({ event_type }) => event_type)).toEqual(['enter', 'exit', 'close']);
    }
    const memory = told('metric_gauges').filter(({ name }) => name === 'process.memory.rss_bytes');
    expect(memory[0]).toMatchObject({ scope_name: 'meshscope.agent', unit: 'By' });
    expect(JSON.parse(String(memory[0]?.attributes_json))).toEqual({
      proc_id: 'service@ipc://teller',
      pid: process.pid,
    });
    expect(JSON.parse(String(memory[0]?.resource_attributes_json))).toMatchObject({
      'host.name': 'teller',
      'service.version': '1.2.3',
    });
    expect(told('metric_histograms')[0]).toMatchObject({ name: 'calls.duration_ms', temporality: 'delta', count: 1 });
  });

  it('does not grow by being told', async () => {
    await startAgent();
    const rounds = () => told('metric_gauges').filter(({ name }) => name === 'link.open').length;
    await until(() => rounds() >= 3, 'three rounds of metrics');
    const [events, spans, from] = [told('events').length, told('spans').length, rounds()];
    await until(() => rounds() >= from + 10, 'ten more rounds');
    expect([told('events').length, told('spans').length]).toEqual([events, spans]);
  });

  it('is served to whoever watches it', async () => {
    const agent = await startAgent({ metrics_listen: { host: '127.0.0.1', port: 0 } });
    await gateway.until(() => gateway.nodes.get('service@ipc://teller'));
    const text = await (await fetch(`${agent.metrics_url}/metrics`)).text();
    expect(text).toContain('# TYPE meshscope_spool_acked_batches_total counter\n');
    expect(text).toMatch(/^meshscope_procs\{state="running"\} 0$/m);
    const health = await fetch(`${agent.metrics_url}/healthz`);
    expect(await health.json()).toMatchObject({
      service: 'meshscope-agent',
      ok: true,
      host: 'teller',
      linked: true,
      lost_rows: 0,
    });
    expect((await fetch(`${agent.metrics_url}/other`)).status).toBe(404);
    const post = await fetch(`${agent.metrics_url}/metrics`, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const port = Number(new URL(agent.metrics_url ?? '').port);
    const second = await startHostAgent({
      gateway_url: gateway.url,
      token: TOKEN,
      host_name: 'second',
      version: '0',
      metrics_listen: { host: '127.0.0.1', port },
      log: () => {},
    });
    expect(second).toMatchObject({
      ok: false,
      failure: { code: 'service_unavailable', message: expect.stringContaining('EADDRINUSE') },
    });
  });
});

it('tells of what it was doing when it is stopped', async () => {
  // Not a child of this process, whose own tools are no procs.
  const pid = Number(execFileSync('sh', ['-c', 'python3 -c "while True: pass" >/dev/null 2>&1 & echo $!']));
  try {
    const agent = await startAgent({ pids: [pid], env: { ...process.env, PYSPY_BIN: pyspyBinary() } });
    const { identity: reference } = await gateway.until(() =>
      [...gateway.nodes.values()].find(
        ({ properties, identity }) => 'Proc' in properties && !identity.startsWith('service'),
      ),
    );
    const opts = { duration_s: 60, rate_hz: 10, native: false, threads: false, nonblocking: true };
    void gateway.call({ method: 'pyspy_profile', reference, opts });
    const profile = () => told('spans').find(({ name }) => name === 'pyspy_profile');
    await until(() => profile() !== undefined, 'the profile');
    await agent.stop('enough');
    const events = told('span_events').filter(({ id }) => id === profile()?.id);
    expect(events.map(({ event_type }) => event_type)).toContain('close');
  } finally {
    process.kill(pid, 'SIGKILL');
  }
});

describe('the telemetry of procs', () => {
  it('goes through the socket that their environment names', async () => {
    const script = fileURLToPath(new URL('../../../examples/telemetry/train.py', import.meta.url));
    const agent = await startAgent({ specs: run('train', ['python3', script]) });
    await until(() => told('metric_gauges').filter(({ name }) => name === 'train.loss').length === 3, 'three losses');
    expect(gateway.batches.some(({ source }) => source === 'train.py')).toBe(true);
    const place = path.dirname(agent.telemetry_socket ?? '');
    expect(statSync(place).mode & 0o777).toBe(0o700);
    await agent.stop('enough');
    expect(() => statSync(place)).toThrow('ENOENT');
  });

  it('goes on without where the socket is taken, and the log says so', async () => {
    const telemetry_socket = path.join(folder, 't.sock');
    await startAgent({ telemetry_socket });
    const second = await startAgent({ telemetry_socket, host_name: 'second' });
    expect(second.telemetry_socket).toBe(null);
    expect(logged.join('\n')).toContain('another agent listens there; procs cannot hand in telemetry');
  });
});

describe('the spool of an agent', () => {
  it('is empty and gone after an orderly end, and kept for the next where the gateway was away', async () => {
    const spool_dir = path.join(folder, 'spool');
    const first = await startAgent({ spool_dir });
    await gateway.until(() => gateway.batches.length > 0);
    await first.stop('enough');
    expect(readdirSync(folder)).toEqual([]);
    await gateway.stop();
    const second = await startAgent({ spool_dir });
    const client = new EventClient({ socket_path: second.telemetry_socket ?? '', source: 'a client' });
    client.emit('snapshots', ['kept', 1]);
    expect(await client.close(10_000)).toBe(true);
    await second.stop('enough');
    await gateway.listen();
    await startAgent({ spool_dir });
    await until(() => told('snapshots').length > 0, 'the row');
    expect(told('snapshots')).toEqual([{ snapshot_id: 'kept', snapshot_ts: 1 }]);
    expect(logged.join('\n')).toMatch(/\d+ batches of telemetry that an earlier agent left are sent now/);
  });

  it('does not keep the agent from its end where its disk hangs', async () => {
    const spool_dir = path.join(folder, 'spool');
    const left = path.join(spool_dir, '4194304-1-00000000-00000001');
    mkdirSync(left, { recursive: true, mode: 0o700 });
    const pipe = path.join(left, '00000001.ndjson');
    execFileSync('mkfifo', [pipe]);
    const agent = await startAgent({ spool_dir });
    const claimed = (): string | undefined =>
      readdirSync(spool_dir).find((name) => existsSync(path.join(spool_dir, name, '00000001.ndjson')));
    await until(() => claimed() !== path.basename(left), 'whoever takes it over');
    await agent.stop('enough');
    expect(logged.join('\n')).toContain('the spool does not take its last lines: its disk hangs');
    // Now it answers: somebody writes into what is waited for, and the rest comes to its end.
    writeFileSync(path.join(spool_dir, claimed() ?? '', '00000001.ndjson'), '');
    await until(() => !existsSync(spool_dir), 'the end of the spool');
  });

  it('is in memory, with a warning, where its folder cannot be used', async () => {
    writeFileSync(path.join(folder, 'file'), '');
    await startAgent({ spool_dir: path.join(folder, 'file') });
    expect(logged.join('\n')).toMatch(/the spool's folder .* cannot be used: .*; telemetry is kept in memory/);
    await gateway.until(() => gateway.batches.length > 0);
  });
});

it('has bounds that fit together', () => {
  expect(LIMITS.spool_file_max_bytes * LIMITS.spool_files).toBeLessThanOrEqual(LIMITS.spool_max_bytes);
  expect(LIMITS.batch_rows_max).toBeGreaterThan(LIMITS.batch_rows);
});
