/**
 * What the telemetry of a whole mesh must be, line by line: real agents with real processes, a real gateway, a real store,
 * asked by SQL through the gateway alone. Section numbers are those of the checklist's tables, ids, statuses, snapshots,
 * dumps and queries.
 */

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Outcome, success } from '../../../src/base/index.ts';
import { parseExact } from '../../../src/cli/exact-json.ts';
import { COLUMN_TYPES, type EventBatch, encodeRef, type NodePayload, TABLES } from '../../../src/contract/index.ts';
import type { Telemetry } from '../../../src/edge-gateway/ports.ts';
import { telemetryOverHttp } from '../../../src/edge-gateway/store/http-store.ts';
import { Snapshots } from '../../../src/edge-gateway/store/snapshot.ts';
import type { RunningGateway } from '../../../src/edge-gateway/targets/node/node.ts';
import type { TelemetryService } from '../../../src/telemetry/index.ts';
import { checkedFetch } from '../../support/answers.ts';
import { type RunningCli, startCli } from '../../support/cli.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { AUTHORIZED, startGateway, TOKEN } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';
import { TOKEN as STORE_TOKEN, startService, temporaryFolder } from './support.ts';

type Rows = Record<string, unknown>[];
type ErrorBody = { error: { code: string } };

/** In the order of a life. */
const STATUSES = [
  'Unknown',
  'Created',
  'Initializing',
  'Client',
  'Idle',
  'Processing',
  'Stopping',
  'Stopped',
  'Failed',
];
const SNAPSHOT_TABLES = TABLES.filter(({ group }) => group === 'snapshot').map(({ name }) => name);
const KIND_TABLES = ['root_nodes', 'host_nodes', 'proc_nodes', 'actor_nodes', 'resolution_errors'];

let folder: string;
let data: Awaited<ReturnType<typeof temporaryFolder>>;
let service: TelemetryService;
let telemetry: Telemetry;
let gateway: RunningGateway;
const agents: RunningCli[] = [];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-conformance-'));
  data = await temporaryFolder();
  service = await startService(data.path);
  // How long a gateway waits is tried elsewhere; a machine with other things to do must not look like a fault here.
  telemetry = telemetryOverHttp({ url: service.url, token: STORE_TOKEN, timeout_ms: 40_000 });
  gateway = await startGateway({ telemetry, snapshot_interval_ms: 250 });
  const mesh = path.join(folder, 'mesh.json');
  const procs = [
    { name: 'healthy', command: ['python3', '-c', 'import time; time.sleep(100000)'], procs: 2 },
    { name: 'clean', command: ['sh', '-c', 'exit 0'] },
    { name: 'broken', command: ['sh', '-c', 'echo it went wrong >&2; exit 3'] },
    { name: 'shell', command: ['sleep', '100000'] },
  ];
  writeFileSync(mesh, JSON.stringify({ procs }));
  const args = ['agent', '--gateway', gateway.url, '--file', mesh, '--quiet', '--name'];
  const env = { MESHSCOPE_TOKEN: TOKEN, XDG_STATE_HOME: folder };
  agents.push(startCli([...args, 'host-a'], env));
  agents.push(startCli([...args, 'host-b'], { ...env, PYSPY_BIN: '', PATH: '/usr/bin:/bin' }));
  for (const name of ['clean', 'broken']) {
    await until(
      async () => (await statusesOf(name)).filter((status) => /Stopped|Failed/.test(status)).length === 2,
      name,
    );
  }
  await until(async () => (await procRef('host-a', 'healthy-0')) !== null, 'the procs of the first host');
  await until(async () => {
    const [{ n } = {}] = await rows(
      `select count(distinct proc_name) as n from proc_nodes where node_id like '%host-b'`,
    );
    return Number(n) >= 5;
  }, 'a capture with the second host');
});

afterAll(async () => {
  for (const agent of agents) agent.signal('SIGTERM');
  await Promise.all(agents.map((agent) => agent.ended));
  await gateway?.close();
  await service?.close();
  await data?.remove();
  rmSync(folder, { recursive: true });
});

function ask(method: string, where: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  return checkedFetch(gateway.url + where, {
    method,
    headers: { ...AUTHORIZED, ...json, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
}

/** Status, error code and error message of a request. */
async function refusal(method: string, where: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await ask(method, where, body, headers);
  const text = await response.text();
  const { error } = JSON.parse(text) as { error?: { code: string; message: string } };
  return { status: response.status, code: error?.code ?? '', message: error?.message ?? '', text };
}

/** Rows of a query that must succeed, with integers exact. */
async function rows(sql: string): Promise<Rows> {
  const response = await ask('POST', '/v1/query', { sql });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${sql}: ${text}`);
  return (parseExact(text) as { rows: Rows }).rows;
}

async function one(sql: string): Promise<Record<string, unknown>> {
  const found = await rows(sql);
  expect(found, sql).toHaveLength(1);
  return found[0] ?? {};
}

const count = async (from: string) => Number((await one(`select count(*) as n from ${from}`)).n);

/** Statuses that were told of the commands of this name, in the order of their times, those of each host after another. */
async function statusesOf(displayName: string): Promise<string[]> {
  const found = await rows(
    `select a.full_name, e.new_status, e.timestamp_us from actor_status_events e join actors a on a.id = e.actor_id
      where a.display_name = '${displayName}' order by a.full_name, e.timestamp_us`,
  );
  return inOrder(found);
}

/** Events of one microsecond come in the order of a life. */
function inOrder(found: Rows): string[] {
  const place = ({ new_status }: Record<string, unknown>) => STATUSES.indexOf(String(new_status));
  return found
    .map((row, index) => ({ row, index }))
    .sort((a, b) => {
      const isTie = a.row.full_name === b.row.full_name && a.row.timestamp_us === b.row.timestamp_us;
      return isTie ? place(a.row) - place(b.row) : a.index - b.index;
    })
    .map(({ row }) => String(row.new_status));
}

async function procRef(host: string, name: string): Promise<string | null> {
  const answer = await ask('GET', `/v1/${encodeRef(`host:host_agent.service@ipc://${host}`)}`);
  if (answer.status !== 200) return null;
  const node = (await answer.json()) as NodePayload;
  return node.children.find((reference) => reference.startsWith(`${name}<`)) ?? null;
}

const twice = (statuses: readonly string[]) => [...statuses, ...statuses];

describe('section 1 and appendix A: tables', () => {
  it('are all there, and each can be asked', async () => {
    expect(TABLES).not.toEqual([]);
    const counts = TABLES.map(({ name }) => `select '${name}' as name, count(*) as n from ${name}`).join(' union all ');
    expect((await rows(counts)).map(({ name }) => name).sort()).toEqual(TABLES.map(({ name }) => name).sort());
  });

  it('have columns of the names, order, types and nullability of their definition', async () => {
    const found = await rows(
      `select c.table_name || '.' || c.column_name || ' ' || c.data_type || ' ' || c.is_nullable as line
         from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
        where t.table_type = 'BASE TABLE' order by c.table_name, c.ordinal_position`,
    );
    const expected = [...TABLES]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap(({ name, columns }) =>
        columns.map((each) => `${name}.${each.name} ${COLUMN_TYPES[each.type]} ${each.nullable ? 'YES' : 'NO'}`),
      );
    expect(found.map(({ line }) => line)).toEqual(expected);
  });
});

describe('section 16: information_schema', () => {
  it('shows exactly the contract’s tables as base tables, and everything else as views', async () => {
    const types = await rows('select table_type, count(*) as n from information_schema.tables group by table_type');
    expect(types.filter(({ table_type }) => table_type === 'BASE TABLE')).toEqual([
      { table_type: 'BASE TABLE', n: TABLES.length },
    ]);
    expect(
      types.map(({ table_type }) => table_type).filter((type) => type !== 'BASE TABLE' && type !== 'VIEW'),
    ).toEqual([]);
  });

  it('numbers columns from 1 without a gap', async () => {
    const wrong = await rows(
      `select table_name from information_schema.columns group by table_name
        having min(ordinal_position) <> 1 or max(ordinal_position) <> count(*)`,
    );
    expect(wrong).toEqual([]);
  });
});

describe('section 2: ids and times', () => {
  it('2.1 are of plain types: no SQL timestamp, no JSON type, nothing else', async () => {
    const types = await rows(`select distinct data_type from information_schema.columns
      join information_schema.tables using (table_schema, table_name) where table_type = 'BASE TABLE'`);
    const known: string[] = Object.values(COLUMN_TYPES);
    expect(types.map(({ data_type }) => String(data_type)).filter((type) => !known.includes(type))).toEqual([]);
  });

  it('2.2 ids of actors, meshes and events are unique, over hosts with procs of the same names too', async () => {
    for (const table of ['actors', 'meshes', 'actor_status_events']) {
      const { n, ids } = await one(`select count(*) as n, count(distinct id) as ids from ${table}`);
      expect(Number(n), table).toBeGreaterThan(5);
      expect(ids, table).toBe(n);
    }
  });

  it('2.2 ids are the same wherever they occur: every actor is in a mesh, and every status is of an actor', async () => {
    expect(await count('actors a left join meshes m on m.id = a.mesh_id where m.id is null')).toBe(0);
    expect(await count('actor_status_events e left join actors a on a.id = e.actor_id where a.id is null')).toBe(0);
    expect(
      await count(
        'meshes m left join meshes p on p.id = m.parent_mesh_id where m.parent_mesh_id is not null and p.id is null',
      ),
    ).toBe(0);
  });

  it('2.2 ids fill 64 bits without a sign, and come through JSON exactly', async () => {
    const ids = await rows('select id, cast(id as varchar) as digits from actors');
    for (const { id, digits } of ids) expect(String(id)).toBe(digits);
    expect(ids.some(({ id }) => BigInt(id as bigint) > 2n ** 53n)).toBe(true);
    const beyond = await one('select 18446744073709551615::ubigint as id');
    expect(beyond).toEqual({ id: 18446744073709551615n });
    expect(await count(`actors where id = ${ids[0]?.digits}`)).toBe(1);
  });

  it('2.3 times are microseconds since 1970, of about now', async () => {
    const [now_us, hour_us] = [Date.now() * 1000, 3_600_000_000];
    const columns = TABLES.flatMap(({ name, columns }) =>
      columns
        .filter((column) =>
          ['timestamp_us', 'snapshot_ts', 'as_of', 'started_at', 'oldest_since'].includes(column.name),
        )
        .map((column) => ({ name, column: column.name })),
    );
    for (const { name, column } of columns) {
      const outside = `${column} < ${now_us - hour_us} or ${column} > ${now_us + hour_us}`;
      expect(await count(`${name} where ${outside}`), `${name}.${column}`).toBe(0);
    }
  });

  it('2.4 an actor’s full name is its node in a snapshot, and a host’s node is told by its agent', async () => {
    const known = `select distinct node_id from actor_nodes`;
    expect(await count(`(${known}) n join actors a on a.full_name = n.node_id`)).toBeGreaterThanOrEqual(10);
    const hosts = await rows(
      `select distinct h.node_id from host_nodes h join actors a on h.node_id = 'host:' || a.full_name order by 1`,
    );
    expect(hosts.map(({ node_id }) => node_id)).toEqual(
      ['host-a', 'host-b'].map((host) => `host:host_agent.service@ipc://${host}`),
    );
  });

  it('2.5 embedded JSON is JSON, of the shape of its column', async () => {
    const meshes = await rows('select * from meshes');
    expect(meshes.filter(({ parent_view_json }) => parent_view_json !== null)).not.toHaveLength(0);
    for (const { shape_json, parent_view_json, parent_mesh_id } of meshes) {
      const { inner } = JSON.parse(String(shape_json));
      expect(inner.labels).toHaveLength(inner.sizes.length);
      // The gateway's and the store's own meshes may stand alone; whatever has a parent covers a part of it.
      if (parent_view_json !== null) {
        expect(parent_mesh_id).not.toBeNull();
        const { labels, slice } = JSON.parse(String(parent_view_json));
        expect([slice.sizes.length, slice.strides.length]).toEqual([labels.length, labels.length]);
      }
    }
  });
});

describe('section 3: meshes and actors', () => {
  it('3.1 ranks are places in the mesh, from 0', async () => {
    const found = await rows(
      `select rank from actors where display_name like 'healthy-%' and full_name like '%host-a' order by rank`,
    );
    expect(found).toEqual([{ rank: 0 }, { rank: 1 }]);
  });

  it('3.2 a host mesh has no parent, a mesh of procs the host’s, a mesh of actors that of its procs', async () => {
    const found = await rows(
      `select m.class, p.class as parent from meshes m left join meshes p on p.id = m.parent_mesh_id
        where m.full_name like 'host-_' or m.full_name like 'host-_/%' group by all order by all`,
    );
    expect(found).toEqual([
      { class: 'Command', parent: 'Proc' },
      { class: 'Host', parent: null },
      { class: 'Proc', parent: 'Host' },
    ]);
  });
});

describe('section 4: statuses', () => {
  it('of a healthy actor that waits are Created, Initializing, Idle, once each', async () => {
    const found = await rows(
      `select a.full_name, e.new_status, e.timestamp_us from actor_status_events e join actors a on a.id = e.actor_id
        where a.full_name like 'host_agent.%' order by a.full_name, e.timestamp_us`,
    );
    expect(inOrder(found)).toEqual(twice(['Created', 'Initializing', 'Idle']));
  });

  it('of a healthy command are Created, Initializing, Processing: it is at work until it ends', async () => {
    expect(await statusesOf('healthy-0')).toEqual(twice(['Created', 'Initializing', 'Processing']));
  });

  it('of a cleanly stopped one add Stopping and Stopped, with the reason', async () => {
    expect(await statusesOf('clean')).toEqual(twice(['Created', 'Initializing', 'Processing', 'Stopping', 'Stopped']));
    const reasons = await rows(
      `select distinct e.new_status, e.reason from actor_status_events e join actors a on a.id = e.actor_id
        where a.display_name = 'clean' order by 1`,
    );
    expect(reasons.filter(({ reason }) => reason !== null)).toEqual([
      { new_status: 'Stopped', reason: expect.stringContaining('0') },
    ]);
  });

  it('of a failed one add Stopping and Failed, with what went wrong', async () => {
    expect(await statusesOf('broken')).toEqual(twice(['Created', 'Initializing', 'Processing', 'Stopping', 'Failed']));
    const reasons = await rows(
      `select distinct e.new_status, e.reason from actor_status_events e join actors a on a.id = e.actor_id
        where a.display_name = 'broken' and e.reason is not null`,
    );
    expect(reasons).toEqual([{ new_status: 'Failed', reason: expect.stringContaining('code 3') }]);
  });

  it('are of the known words, never Unknown, and none follows itself', async () => {
    const words = await rows('select distinct new_status from actor_status_events');
    expect(words.map(({ new_status }) => STATUSES.indexOf(String(new_status))).every((place) => place > 0)).toBe(true);
    const repeats = await rows(`select actor_id, new_status from actor_status_events group by all having count(*) > 1`);
    expect(repeats).toEqual([]);
  });

  it('that are terminal are the last of their actor', async () => {
    const after = await count(
      `actor_status_events e join actor_status_events t on t.actor_id = e.actor_id
        where t.new_status in ('Stopped', 'Failed') and e.timestamp_us > t.timestamp_us`,
    );
    expect(after).toBe(0);
  });

  it('of snapshots are other words: lower case, a reason behind a colon', async () => {
    const statuses = await until(async () => {
      const found = await rows(
        `select n.node_id, n.actor_status from actor_nodes n join actors a on a.full_name = n.node_id
          where a.display_name = 'broken' and n.actor_status like 'failed%'`,
      );
      return found.length > 0 ? found : null;
    }, 'a capture with the failure');
    expect(statuses[0]?.actor_status).toMatch(/^failed: .*3/);
    expect(await count(`actor_nodes where regexp_matches(split_part(actor_status, ':', 1), '[A-Z]')`)).toBe(0);
  });
});

describe('section 8: snapshots', () => {
  const taken: EventBatch[] = [];
  /** The real store, behind something that looks at each batch. */
  const watched = (look: (batch: EventBatch) => Promise<void> | void): Telemetry => ({
    ...telemetry,
    async ingest(batch): Promise<Outcome<void>> {
      const stored = await telemetry.ingest(batch);
      taken.push(batch);
      await look(batch);
      return stored;
    },
  });

  it('8.1 every node has one row, and one in the table of its kind', async () => {
    const { id } = await one('select max_by(snapshot_id, snapshot_ts) as id from snapshots');
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const nodes = await rows(`select node_id, node_kind from nodes where snapshot_id = '${id}'`);
    expect(new Set(nodes.map(({ node_id }) => node_id)).size).toBe(nodes.length);
    const kinds = KIND_TABLES.map((table) => {
      const kind = table === 'resolution_errors' ? 'error' : table.replace('_nodes', '');
      return `select node_id, '${kind}' as node_kind from ${table} where snapshot_id = '${id}'`;
    });
    const byId = (list: Rows) => list.map((row) => `${row.node_id} ${row.node_kind}`).sort();
    expect(byId(await rows(kinds.join(' union all ')))).toEqual(byId(nodes));
  });

  it('8.1 the root is nobody’s child, everything else is somebody’s, and lists count from 0', async () => {
    const { id } = await one('select max_by(snapshot_id, snapshot_ts) as id from snapshots');
    const ofCapture = `snapshot_id = '${id}'`;
    expect(await count(`children where ${ofCapture} and child_id = 'root'`)).toBe(0);
    const orphans = await rows(
      `select node_id from nodes where ${ofCapture} and node_id not in (select child_id from children where ${ofCapture})`,
    );
    expect(orphans).toEqual([{ node_id: 'root' }]);
    const gaps = await rows(
      `select parent_id from children where ${ofCapture} group by parent_id
        having min(child_sort_key) <> 0 or max(child_sort_key) <> count(*) - 1`,
    );
    expect(gaps).toEqual([]);
  });

  it('8.2 a proc is poisoned exactly when an actor in it has failed, and a failure is propagated when its cause is another', async () => {
    expect(await count('proc_nodes where is_poisoned <> (failed_actor_count > 0)')).toBe(0);
    expect(await count(`proc_nodes where proc_name like 'broken%' and is_poisoned`)).toBeGreaterThan(0);
    expect(await count('actor_failures where failure_is_propagated <> (failure_root_cause_actor <> node_id)')).toBe(0);
    expect(await count(`actor_failures where failure_error_message like '%code 3%'`)).toBeGreaterThan(0);
  });

  it('8.3 fill every table of captures, `snapshots` in the last batch, so that a capture is seen whole or not at all', async () => {
    const own = await startGateway();
    const agent = await FakeAgent.dial({ url: own.url, token: TOKEN, host: 'captured' });
    const many = Array.from({ length: 2_500 }, (_, i) => `a${i}.${agent.procRef}`);
    const missing = `ghost<ZG3F>.${agent.procRef}`;
    const shown = (identity: string) => full(agent.actor(identity));
    const [host, worker] = [agent.hostNode([agent.procRef]), agent.proc(agent.procRef, [...many, missing])];
    // An actor below its proc and below another actor.
    const supervisor = { ...shown(many[0] ?? ''), children: [many[1] ?? ''] };
    agent.sync([host, worker, supervisor], true);
    for (let i = 1; i < many.length; i += 250) agent.sync(many.slice(i, i + 250).map(shown), true);
    agent.sync([]);
    await until(() => own.hub.counts().nodes === many.length + 2, 'the mesh');
    taken.length = 0;
    const seen: { batches: number; snapshots: number }[] = [];
    const snapshots = new Snapshots({
      mesh: own.hub,
      telemetry: watched(async () => {
        const id = snapshotIdOf(taken[0]);
        seen.push({ batches: taken.length, snapshots: await count(`snapshots where snapshot_id = '${id}'`) });
      }),
      interval_ms: 0,
    });
    expect(await snapshots.capture()).toBe(true);
    const id = snapshotIdOf(taken[0]);
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.map(({ snapshots }) => snapshots)).toEqual(seen.map((_, index) => (index === seen.length - 1 ? 1 : 0)));
    for (const table of SNAPSHOT_TABLES) {
      expect(await count(`${table} where snapshot_id = '${id}'`), table).toBeGreaterThan(0);
    }
    // The node that did not resolve is a row, and everything else is there.
    expect(await rows(`select node_id, error_code from resolution_errors where snapshot_id = '${id}'`)).toEqual([
      { node_id: missing, error_code: 'not_found' },
    ]);
    expect(await count(`nodes where snapshot_id = '${id}'`)).toBe(1 + 2 + many.length + 1);
    // Seen twice, taken once, linked from both.
    const parents = await rows(
      `select parent_id from children where snapshot_id = '${id}' and child_id = '${many[1]}'`,
    );
    expect(parents.map(({ parent_id }) => parent_id).sort()).toEqual([agent.procRef, many[0]].sort());
    expect(await count(`nodes where snapshot_id = '${id}' and node_id = '${many[1]}'`)).toBe(1);
    // A host that is out of reach is a row too.
    agent.drop();
    await until(() => own.hub.counts().links === 0, 'the loss');
    taken.length = 0;
    expect(await snapshots.capture()).toBe(true);
    const later = snapshotIdOf(taken[0]);
    expect(await rows(`select node_id, error_code from resolution_errors where snapshot_id = '${later}'`)).toEqual([
      { node_id: agent.hostRef, error_code: 'gateway_timeout' },
    ]);
    await own.close();
  });

  it('8.4 a capture that is asked for while one is under way is skipped, not queued', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    taken.length = 0;
    const snapshots = new Snapshots({ mesh: gateway.hub, telemetry: watched(() => held), interval_ms: 0 });
    const first = snapshots.capture();
    await until(() => taken.length === 1, 'the first batch');
    expect(await snapshots.capture()).toBe(false);
    release();
    expect(await first).toBe(true);
    expect(new Set(taken.map(snapshotIdOf)).size).toBe(1);
    expect(await snapshots.capture()).toBe(true);
  });

  it('8.4 a capture that failed leaves nothing that can be seen, and the next one is whole', async () => {
    taken.length = 0;
    let isBroken = true;
    const failing: Telemetry = {
      ...telemetry,
      ingest: async (batch) => {
        taken.push(batch);
        return isBroken ? { ok: false, failure: { code: 'bad_request', message: 'refused' } } : telemetry.ingest(batch);
      },
    };
    const snapshots = new Snapshots({ mesh: gateway.hub, telemetry: failing, interval_ms: 0 });
    expect(await snapshots.capture()).toBe(false);
    const id = snapshotIdOf(taken[0]);
    isBroken = false;
    expect(await snapshots.capture()).toBe(true);
    expect(await count(`snapshots where snapshot_id = '${id}'`)).toBe(0);
    expect(await count(`snapshots where snapshot_id = '${snapshotIdOf(taken.at(-1))}'`)).toBe(1);
  });

  it('8.4 an interval that is none is refused', async () => {
    for (const interval_ms of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => new Snapshots({ mesh: gateway.hub, telemetry, interval_ms })).toThrow(/interval_ms/);
    }
  });

  it('8.4 history is bounded: old captures go, each with all its rows, and the newest stay', async () => {
    const DAY_US = 24 * 3_600_000_000;
    const now_us = Date.now() * 1000;
    const captures = Array.from({ length: 300 }, (_, age) => ({ id: randomUUID(), at: now_us - 400 * DAY_US - age }));
    const tables = {
      nodes: captures.map(({ id, at }) => [id, 'root', 'root', at]),
      root_nodes: captures.map(({ id, at }) => [id, 'root', 0, at, 'tester']),
      snapshots: captures.map(({ id, at }) => [id, at]),
    };
    const stored = await telemetry.ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, tables });
    expect(stored).toEqual(success(undefined));
    const newest = await one('select max_by(snapshot_id, snapshot_ts) as id from snapshots');
    await service.sweep();
    const old = `snapshot_ts < ${now_us - DAY_US}`;
    expect(await count(`snapshots where ${old}`)).toBeLessThan(captures.length);
    expect(await count(`snapshots where snapshot_id = '${newest.id}'`)).toBe(1);
    for (const table of ['nodes', 'root_nodes']) {
      const gone = `as_of < ${now_us - DAY_US}`.replace('as_of', table === 'nodes' ? 'as_of' : 'started_at');
      expect(
        await count(`${table} where ${gone} and snapshot_id not in (select snapshot_id from snapshots)`),
        table,
      ).toBe(0);
    }
  });
});

describe('section 9: stored dumps', () => {
  const dump = async (host: string, name: string) =>
    refusal('POST', `/v1/pyspy_dump/${encodeRef((await procRef(host, name)) ?? '')}`);

  it('one that succeeded has an id, and is in the tables under it, with its reference as it was asked for', async () => {
    const reference = (await procRef('host-a', 'healthy-0')) ?? '';
    const before_us = Date.now() * 1000;
    const answer = await ask('POST', `/v1/pyspy_dump/${encodeRef(reference)}`);
    expect(answer.status).toBe(200);
    const { dump_id } = (await answer.json()) as { dump_id: string };
    expect(dump_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const row = await one(`select * from pyspy_dumps where dump_id = '${dump_id}'`);
    expect(row).toMatchObject({ proc_ref: reference, pid: expect.any(Number), capture_mode: 'native' });
    // The time of storing, since py-spy tells none.
    expect(row.timestamp_us).toBeGreaterThanOrEqual(before_us);
    expect(JSON.parse(String(row.warnings_json))).toEqual([expect.any(String)]);
    const where = `where dump_id = '${dump_id}'`;
    expect(await count(`pyspy_stack_traces ${where}`)).toBe(1);
    // Depth 0 is the innermost, and depths have no gap.
    const depths = await one(
      `select min(frame_depth) as lowest, max(frame_depth) + 1 - count(*) as gaps from pyspy_frames ${where}`,
    );
    expect(depths).toEqual({ lowest: 0, gaps: 0 });
    expect(
      await rows(`select name from pyspy_frames ${where} and is_entry order by frame_depth desc limit 1`),
    ).toHaveLength(1);
    // Locals only for those who ask.
    expect(await count(`pyspy_local_variables ${where}`)).toBe(0);
  });

  it('one that failed is 500 pyspy_failed, has no id, and leaves no row', async () => {
    const before = await count('pyspy_dumps');
    const failed = await dump('host-a', 'shell');
    expect([failed.status, failed.code]).toEqual([500, 'pyspy_failed']);
    expect(failed.text).not.toContain('dump_id');
    const ended = await dump('host-a', 'broken');
    expect([ended.status, ended.code]).toEqual([500, 'pyspy_failed']);
    expect(await count('pyspy_dumps')).toBe(before);
  });

  it('where there is no py-spy it is 503, says where was looked, and has no id', async () => {
    const before = await count('pyspy_dumps');
    const absent = await dump('host-b', 'healthy-0');
    expect([absent.status, absent.code]).toEqual([503, 'service_unavailable']);
    expect(absent.message).toMatch(/py-spy not available on target host; searched: /);
    expect(absent.text).not.toContain('dump_id');
    expect(await count('pyspy_dumps')).toBe(before);
  });

  it('live, each is 200 with what became of it', async () => {
    const live = async (host: string, name: string) => {
      const answer = await ask('GET', `/v1/pyspy/${encodeRef((await procRef(host, name)) ?? '')}`);
      return [answer.status, ...Object.keys((await answer.json()) as object)];
    };
    expect(await live('host-a', 'healthy-0')).toEqual([200, 'Ok']);
    expect(await live('host-a', 'shell')).toEqual([200, 'Failed']);
    expect(await live('host-b', 'healthy-0')).toEqual([200, 'BinaryNotFound']);
  });

  it('of a proc that nobody has it is 404, and without a store it is 404 before anything is asked', async () => {
    const nobody = await refusal('POST', `/v1/pyspy_dump/${encodeRef('nobody<ZG3F>@ipc://host-a')}`);
    expect([nobody.status, nobody.code]).toEqual([404, 'not_found']);
    const bare = await startGateway();
    const answer = await checkedFetch(`${bare.url}/v1/pyspy_dump/x`, { method: 'POST', headers: AUTHORIZED });
    expect([answer.status, ((await answer.json()) as ErrorBody).error.code]).toEqual([404, 'not_found']);
    await bare.close();
  });
});

describe('section 15: the query service', () => {
  const sql = (text: unknown) => refusal('POST', '/v1/query', { sql: text });

  it('answers rows as objects in the order of the query', async () => {
    const answer = await ask('POST', '/v1/query', { sql: 'select 2 as b, 1 as a, null as n, true as t' });
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(await answer.text()).toContain('{"rows":[{"b":2,"a":1,"n":null,"t":true}]');
  });

  it('gives timestamps as ISO 8601, decimals as text and 64-bit integers bare', async () => {
    const row = await one(
      `select timestamp '2024-01-02 03:04:05' as t, 1.50::decimal(10, 2) as d, -9223372036854775808 as i, 0.1::double as f`,
    );
    expect(row).toEqual({
      t: expect.stringMatching(/^2024-01-02T03:04:05(\.0+)?Z?$/),
      d: '1.50',
      i: -9223372036854775808n,
      f: 0.1,
    });
  });

  it.each<[string, string, string]>([
    ['text that is no SQL', 'selec 1', 'selec'],
    ['a table that is none', 'select * from nobody', 'nobody'],
    ['a column that is none', 'select nothing from actors', 'nothing'],
    ['a failure while it runs', `select cast('x' || full_name as integer) from actors`, ''],
    ['an empty text', '', ''],
    ['two statements', 'select 1 as a; select 2 as b', ''],
    ['two columns of one name', 'select 1 as a, 2 as a', 'a'],
  ])('%s is 400 bad_request with the reason', async (_, text, word) => {
    const answer = await sql(text);
    expect([answer.status, answer.code]).toEqual([400, 'bad_request']);
    expect(answer.message).toContain(word);
    expect(answer.message.length).toBeGreaterThan(3);
  });

  it('a body without sql is 422, one that is no JSON 400, and another content type 415', async () => {
    expect(await refusal('POST', '/v1/query', {})).toMatchObject({ status: 422, code: 'unprocessable' });
    expect(await sql(7)).toMatchObject({ status: 422, code: 'unprocessable' });
    expect(await refusal('POST', '/v1/query', '{"sql"')).toMatchObject({ status: 400, code: 'bad_request' });
    expect(await refusal('POST', '/v1/query', '{}', { 'content-type': 'text/plain' })).toMatchObject({
      status: 415,
      code: 'unsupported_media_type',
    });
  });

  it.each([
    'insert into actors select * from actors',
    'drop table actors',
    `copy actors to '/tmp/x'`,
    `select * from read_text('/etc/hostname')`,
    `attach '/tmp/x.db' as x`,
    'set threads = 2',
    'create view mine as select 1 as one',
  ])('%j is refused, and every table is as it was', async (text) => {
    const meshes = await count('meshes');
    const answer = await sql(text);
    expect([answer.status, answer.code]).toEqual([400, 'bad_request']);
    expect(await count('meshes')).toBe(meshes);
  });

  it.each(['show tables', 'describe actors', 'explain select count(*) from actors', 'summarize meshes'])(
    '%j answers rows',
    async (text) => {
      expect((await rows(text)).length).toBeGreaterThan(0);
    },
  );

  it('without a token it is 401, and nothing is told', async () => {
    const answer = await checkedFetch(`${gateway.url}/v1/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"sql":"select 1 as one"}',
    });
    expect([answer.status, ((await answer.json()) as ErrorBody).error.code]).toEqual([401, 'unauthorized']);
  });

  it('without a store it is 404, and with one that is away proxy_error', async () => {
    const away = telemetryOverHttp({ url: 'http://127.0.0.1:9', token: 'x' });
    for (const [options, status, code] of [
      [{}, 404, 'not_found'],
      [{ telemetry: away }, 500, 'proxy_error'],
    ] as const) {
      const other = await startGateway(options);
      const answer = await checkedFetch(`${other.url}/v1/query`, {
        method: 'POST',
        headers: { ...AUTHORIZED, 'content-type': 'application/json' },
        body: '{"sql":"select 1 as one"}',
      });
      expect([answer.status, ((await answer.json()) as ErrorBody).error.code]).toEqual([status, code]);
      await other.close();
    }
  });

  it('an id compares with a literal beyond 2^63, and integer division is said by //', async () => {
    expect(await one('select 18446744073709551615 = 18446744073709551615::ubigint as same, 7 // 2 as three')).toEqual({
      same: true,
      three: 3,
    });
  });
});

describe('section 18: the data set of the benchmark', () => {
  it('gives the five answers exactly, as integers', async () => {
    const own = await temporaryFolder();
    const store = await startService(own.path);
    const over = telemetryOverHttp({ url: store.url, token: STORE_TOKEN });
    const frames = Array.from({ length: 1_250 }, (_, i) => ({
      name: `function_${i % 64}`,
      filename: `module_${i % 16}.py`,
      module: null,
      short_filename: null,
      line: i + 1,
      locals: [{ name: '', addr: 0, arg: true, repr: null }],
      is_entry: false,
    }));
    const stack_traces = Array.from({ length: 4 }, (_, thread_id) => ({
      pid: 0,
      thread_id,
      thread_name: null,
      os_thread_id: null,
      active: false,
      owns_gil: false,
      frames,
    }));
    const ids = Array.from({ length: 20 }, () => randomUUID());
    for (const [index, dump_id] of ids.entries()) {
      const result = { pid: 0, binary: '', capture_mode: 'python_only' as const, stack_traces, warnings: [] };
      expect((await over.storeDump(JSON.stringify({ dump_id, proc_ref: `proc[${index}]`, result }))).ok).toBe(true);
    }
    const answer = async (text: string): Promise<Rows> => {
      const response = await fetch(`${store.url}/query`, {
        method: 'POST',
        headers: { authorization: `Bearer ${STORE_TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify({ sql: text }),
      });
      return (parseExact(await response.text()) as { rows: Rows }).rows;
    };
    expect(await answer('select count(*) as frame_count from pyspy_frames')).toEqual([{ frame_count: 100_000 }]);
    expect(await answer(`select count(*) as frame_count from pyspy_frames where filename = 'module_0.py'`)).toEqual([
      { frame_count: 6_320 },
    ]);
    const byFile = await answer(
      'select filename, count(*) as frame_count from pyspy_frames group by filename order by filename',
    );
    const files = Array.from({ length: 16 }, (_, i) => `module_${i}.py`).sort();
    expect(byFile).toEqual(
      files.map((filename) => ({ filename, frame_count: /_[01]\./.test(filename) ? 6_320 : 6_240 })),
    );
    expect(
      await answer(
        `select count(*) as local_count from pyspy_local_variables l
           join pyspy_frames f on l.dump_id = f.dump_id and l.thread_id = f.thread_id and l.frame_depth = f.frame_depth
           join pyspy_stack_traces s on f.dump_id = s.dump_id and f.thread_id = s.thread_id
           join pyspy_dumps d on f.dump_id = d.dump_id where l.arg`,
      ),
    ).toEqual([{ local_count: 100_000 }]);
    const ordered = await answer(
      `select dump_id, thread_id, frame_depth, name, filename, line from pyspy_frames
        order by dump_id, thread_id, frame_depth limit 1000`,
    );
    const first = [...ids].sort()[0];
    expect(ordered).toEqual(
      frames.slice(0, 1_000).map(({ name, filename, line }, frame_depth) => ({
        dump_id: first,
        thread_id: 0,
        frame_depth,
        name,
        filename,
        line,
      })),
    );
    await store.close();
    await own.remove();
  });
});

function snapshotIdOf(batch: EventBatch | undefined): string {
  const [rowsOfTable] = Object.values(batch?.tables ?? {});
  return String((rowsOfTable?.[0] as unknown[])?.[0]);
}

/** An actor that has something for every table: a failure, an inbox with senders, handlers at work. */
function full(node: NodePayload): NodePayload {
  if (!('Actor' in node.properties)) return node;
  const { Actor } = node.properties;
  const since = node.as_of;
  return {
    ...node,
    properties: {
      Actor: {
        ...Actor,
        failure_info: {
          error_message: 'it failed',
          root_cause_actor: node.identity,
          root_cause_name: null,
          occurred_at: since,
          is_propagated: false,
        },
        execution: {
          active_count: 1,
          active_handlers: [{ name: 'handle', active_count: 1, oldest_since: since }],
          complete: true,
          truncated: false,
        },
      },
    },
  };
}
