/** The views, and the examples of docs/sql.md: each runs on a store with rows, and has what it promises. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Row } from '../../../src/base/index.ts';
import type { TelemetryService } from '../../../src/telemetry/index.ts';
import { VIEWS } from '../../../src/telemetry/query/process/views.ts';
import { dumpRequest, post, query, rowsOf, startService, temporaryFolder } from './support.ts';

const PAGE = readFileSync(fileURLToPath(new URL('../../../docs/sql.md', import.meta.url)), 'utf8');
const EXAMPLES = [...PAGE.matchAll(/([^\n]+)\n\n```sql\n([\s\S]*?)```/g)].map(([, title = '', sql = '']) => ({
  title,
  sql,
}));
const NOW_US = Date.now() * 1_000;
/** Beyond 2^53, as ids are. */
const id = (n: number): string => String(15_219_662_858_440_215_000n + BigInt(n));
const ATTRIBUTES = ['{}', '{}'];

const TABLES: Record<string, Row[]> = {
  meshes: [[id(90), NOW_US, 'Python<Trainer>', 'trainers', 'trainers', '{}', null, null]],
  actors: [
    [id(1), NOW_US - 9_000, id(90), 0, 'trainer-0', 'trainer[0]'],
    [id(1), NOW_US, id(90), 7, 'told-twice', null],
    [id(2), NOW_US - 9_000, id(90), 1, 'trainer-1', null],
  ],
  actor_status_events: [
    [id(10), NOW_US - 5_000, id(1), 'Created', null],
    [id(11), NOW_US - 3_000, id(1), 'Idle', null],
    [id(12), NOW_US - 5_000, id(2), 'Created', null],
    [id(13), NOW_US - 2_000, id(2), 'Stopping', null],
    // The same microsecond: what was stored later counts.
    [id(14), NOW_US - 2_000, id(2), 'Failed', 'out of memory'],
    [id(15), NOW_US - 1_000, id(3), 'Idle', null],
    [id(16), NOW_US - 7_200_000_000, id(4), 'Failed', 'long ago'],
  ],
  messages: [20, 21, 22, 23, 24].map((n) => [id(n), NOW_US - 90_000_000, id(1), id(2), n === 24 ? null : 'step', 1]),
  message_status_events: [
    // Stamped after `active`, as may be.
    [id(30), NOW_US - 89_999_999, id(20), 'queued'],
    [id(31), NOW_US - 90_000_000, id(20), 'active'],
    [id(32), NOW_US - 89_000_000, id(20), 'complete'],
    [id(33), NOW_US - 90_000_000, id(21), 'active'],
    [id(34), NOW_US - 88_000_000, id(21), 'failed'],
    [id(35), NOW_US - 90_000_000, id(22), 'active'],
    [id(36), NOW_US - 90_000_000, id(23), 'active'],
    [id(37), NOW_US - 87_000_000, id(23), 'complete'],
    [id(38), NOW_US, id(99), 'queued'],
  ],
  spans: [
    ['p', 1, 'load', 't', 'INFO', '{}', NOW_US - 100, null, 'main', null, null],
    ['q', 1, 'other', 't', 'INFO', '{}', NOW_US - 100, null, 'main', null, null],
  ],
  span_events: [
    ['p', 1, NOW_US - 90, 'enter'],
    ['p', 1, NOW_US - 80, 'exit'],
    ['p', 1, NOW_US - 50, 'enter'],
    ['p', 1, NOW_US - 30, 'exit'],
    ['p', 1, NOW_US - 10, 'close'],
    ['q', 1, NOW_US - 40, 'enter'],
  ],
  events: [['e', 't', 'WARN', '{"message":"slow"}', NOW_US, null, '1', 'main', null, null, null]],
  metric_sums: [['sent', NOW_US, NOW_US - 2_000_000, 's', '1', 'delta', true, ...ATTRIBUTES, null, null, 10]],
  metric_gauges: [
    ['rss', NOW_US - 1_000, null, 's', 'By', ...ATTRIBUTES, null, null, 5],
    ['rss', NOW_US, null, 's', 'By', ...ATTRIBUTES, null, null, 7],
  ],
  snapshots: [
    ['old', NOW_US - 60_000_000],
    ['new', NOW_US - 1_000_000],
  ],
  nodes: ['old', 'new'].flatMap((snapshot) => [
    [snapshot, 'root', 'root', NOW_US],
    [snapshot, 'trainer-0', 'actor', NOW_US],
  ]),
  children: ['old', 'new'].map((snapshot) => [snapshot, 'root', 'trainer-0', 0, false, false]),
  actor_nodes: [
    ['old', 'trainer-0', 'idle', 'Trainer', '', 1, null, null, 10, 0, false],
    ['new', 'trainer-0', 'idle', 'Trainer', '', 2, null, null, 20, 5, false],
  ],
  actor_failures: [
    ['old', 'trainer-9', 'gone', 'trainer-9', null, NOW_US - 50_000, false],
    ['new', 'trainer-1', 'oom', 'trainer-5', null, NOW_US - 40_000, true],
    ['new', 'trainer-5', 'killed', 'trainer-5', null, NOW_US - 45_000, false],
    ['new', 'trainer-6', 'of yesterday', 'trainer-6', null, NOW_US - 86_400_000_000, false],
  ],
};

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let service: TelemetryService;

beforeAll(async () => {
  folder = await temporaryFolder();
  service = await startService(folder.path);
  const producer = randomUUID();
  const stored = await post(service.url, '/ingest', { producer, seq: 1, lost_rows: 4, source: 'test', tables: TABLES });
  expect(stored.json).toEqual({ acked: 1 });
  for (const proc_ref of ['a', 'b', 'a']) {
    expect((await post(service.url, '/dumps', dumpRequest(proc_ref))).status).toBe(200);
  }
});

afterAll(async () => {
  await service.close();
  await folder.remove();
});

const rows = (sql: string) => rowsOf(service.url, sql);

describe('views', () => {
  test('are told in the docs, and have the columns that they promise', async () => {
    for (const { name, columns } of VIEWS) {
      expect(PAGE).toContain(`\`${name}\``);
      const described = await rows(`describe ${name}`);
      expect([name, described.map((row) => row.column_name)]).toEqual([name, columns]);
    }
  });

  test('actor_current: the latest status, by time and then by order, once per actor', async () => {
    const sql = 'select full_name, rank, status, reason from actor_current order by actor_id';
    expect(await rows(sql)).toEqual([
      { full_name: 'trainer-0', rank: 0, status: 'Idle', reason: null },
      { full_name: 'trainer-1', rank: 1, status: 'Failed', reason: 'out of memory' },
      { full_name: null, rank: null, status: 'Idle', reason: null },
      { full_name: null, rank: null, status: 'Failed', reason: 'long ago' },
    ]);
  });

  test('message_current: by precedence, and without an error where a message was queued after it was active', async () => {
    const sql = `select state, ended_us - active_us as run_us, queued_us - active_us as late_us
      from message_current order by id`;
    expect(await rows(sql)).toEqual([
      { state: 'complete', run_us: 1_000_000, late_us: 1 },
      { state: 'failed', run_us: 2_000_000, late_us: null },
      { state: 'active', run_us: null, late_us: null },
      { state: 'complete', run_us: 3_000_000, late_us: null },
      { state: 'queued', run_us: null, late_us: null },
    ]);
  });

  test('messages_by_endpoint counts states, and takes times of what is complete', async () => {
    const none = { queued: 0, active: 0, complete: 0, failed: 0, run_p50_us: null, run_p99_us: null };
    expect(await rows('select * from messages_by_endpoint order by endpoint nulls last')).toEqual([
      { ...none, endpoint: 'step', messages: 4, active: 1, complete: 2, failed: 1, run_p50_us: 1e6, run_p99_us: 3e6 },
      { ...none, endpoint: null, messages: 1, queued: 1 },
    ]);
  });

  test('dump_latest: one per proc, the newest', async () => {
    const latest = await rows('select proc_ref, dump_id, timestamp_us from dump_latest order by proc_ref');
    expect(latest.map((row) => row.proc_ref)).toEqual(['a', 'b']);
    expect(await rows("select max(timestamp_us) as at from pyspy_dumps where proc_ref = 'a'")).toEqual([
      { at: latest[0]?.timestamp_us },
    ]);
  });

  test('recent_failures: of both sources, each actor once, none that is old or of an older capture', async () => {
    expect(await rows('select actor, error, root_cause, told_by from recent_failures')).toEqual([
      { actor: 'trainer-1', error: 'out of memory', root_cause: 'trainer-5', told_by: 'status event' },
      { actor: 'trainer-5', error: 'killed', root_cause: 'trainer-5', told_by: 'capture' },
    ]);
  });

  test('latest_snapshot, latest_nodes and latest_children are of the newest capture', async () => {
    expect(await rows('select snapshot_id from latest_snapshot')).toEqual([{ snapshot_id: 'new' }]);
    expect(await rows('select distinct snapshot_id, count(*) over () as n from latest_nodes')).toEqual([
      { snapshot_id: 'new', n: 2 },
    ]);
    expect(await rows('select snapshot_id, child_id from latest_children')).toEqual([
      { snapshot_id: 'new', child_id: 'trainer-0' },
    ]);
  });

  test('span_durations: by process and id, wall time from creation to close, busy time from enter to exit', async () => {
    expect(await rows('select process_id, name, wall_us, entered, busy_us from span_durations order by 1')).toEqual([
      { process_id: 'p', name: 'load', wall_us: 90, entered: 2, busy_us: 30 },
      { process_id: 'q', name: 'other', wall_us: null, entered: 1, busy_us: 0 },
    ]);
  });
});

describe('the examples', () => {
  test('are at least fifteen', () => {
    expect(EXAMPLES.length).toBeGreaterThanOrEqual(15);
  });

  test.each(EXAMPLES)('$title', async ({ sql }) => {
    const { status, message, json } = await query(service.url, sql);
    expect([status, message]).toEqual([200, '']);
    const names = (json.columns as { name: string }[]).map(({ name }) => name);
    // The columns are those that the text of the query names: words behind AS, or plain names.
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(sql))).toEqual([]);
    expect((json.rows as unknown[]).length).toBeGreaterThan(0);
  });
});
