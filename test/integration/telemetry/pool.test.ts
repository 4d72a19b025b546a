/** Which query gets which process: the sandbox on a real store, with starts that are held up where a test needs it. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resolveLimits, type TelemetryLimits } from '../../../src/telemetry/limits.ts';
import type { QueryAnswer } from '../../../src/telemetry/query/owner/answer.ts';
import { answerText } from '../../../src/telemetry/query/owner/answer.ts';
import { SqlSandbox } from '../../../src/telemetry/query/owner/sandbox.ts';
import { Store } from '../../../src/telemetry/store/store.ts';
import { until } from '../../support/until.ts';
import { batch, isAlive, statusRow, temporaryFolder } from './support.ts';

const ENDLESS = 'select count(*) from range(10000000) a, range(10000000) b';
/** Long enough for others to ask meanwhile. */
const LONG = 'select sum(sin(range)) > 2 as x from range(30000000)';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let store: Store;
let sandbox: SqlSandbox;
let limits: TelemetryLimits;

async function open(changes: Partial<TelemetryLimits> = {}): Promise<void> {
  limits = resolveLimits({ sql_timeout_ms: 60_000, ...changes });
  const opened = await Store.open(`${folder.path}/data`, limits);
  if (!opened.ok) throw new Error(opened.failure.message);
  store = opened.value;
  sandbox = new SqlSandbox(store, limits);
}

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(async () => {
  await sandbox.close();
  await store.close();
  await folder.remove();
});

type Answered = Awaited<ReturnType<SqlSandbox['query']>>;

function rowsOf(answered: Answered): unknown {
  if (!answered.ok) throw new Error(answered.failure.message);
  return (JSON.parse(answerText(answered.value as QueryAnswer)) as { rows: unknown }).rows;
}

describe('a query that finds all processes busy', () => {
  test('takes one that is given back, if that is sooner than the start of its own', async () => {
    await open({ sql_processes_max: 2 });
    expect(rowsOf(await sandbox.query('select 1 as x'))).toEqual([{ x: 1 }]);
    const pids = sandbox.pids;
    // No process can be started as long as the file is lent.
    const lease = await store.lend(() => undefined);
    const first = sandbox.query(LONG);
    const second = sandbox.query('select 2 as x');
    expect(rowsOf(await first)).toEqual([{ x: expect.any(Boolean) }]);
    expect(rowsOf(await second)).toEqual([{ x: 2 }]);
    expect(sandbox.pids).toEqual(pids);
    await lease.release();
    // The one that was started for it is there for others.
    await until(() => sandbox.pids.length === 2, 'both to rest');
    expect(rowsOf(await sandbox.query('select 3 as x'))).toEqual([{ x: 3 }]);
  });

  test('and is abandoned, leaves the line at once, and its place to another', async () => {
    await open({ sql_processes_max: 1, sql_queue_max: 1, sql_timeout_ms: 1_000, sql_queue_timeout_ms: 9_000 });
    const running = sandbox.query(ENDLESS);
    const abandon = new AbortController();
    const abandoned = sandbox.query('select 1 as x', abandon.signal);
    expect(await sandbox.query('select 1 as x')).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    abandon.abort();
    expect(await abandoned).toMatchObject({ ok: false, failure: { code: 'gateway_timeout' } });
    const next = sandbox.query('select 2 as x');
    expect(sandbox.load.sql_waiting).toBe(1);
    expect(await running).toMatchObject({ ok: false, failure: { code: 'gateway_timeout' } });
    expect(rowsOf(await next)).toEqual([{ x: 2 }]);
  });

  test('and is abandoned before it has one, costs nobody a process', async () => {
    await open({ sql_processes_max: 1 });
    const abandon = new AbortController();
    const abandoned = sandbox.query(ENDLESS, abandon.signal);
    abandon.abort();
    expect(await abandoned).toMatchObject({ ok: false, failure: { code: 'gateway_timeout' } });
    const [pid = 0] = sandbox.pids;
    expect(isAlive(pid)).toBe(true);
    expect(rowsOf(await sandbox.query('select 1 as x'))).toEqual([{ x: 1 }]);
    expect(sandbox.pids).toEqual([pid]);
    expect(await sandbox.query(ENDLESS, abandon.signal)).toMatchObject({ ok: false });
    expect(sandbox.pids).toEqual([pid]);
  });
});

describe('a process', () => {
  test('that fell behind while it was started is not asked: it would not have every row', async () => {
    await open({ copy_backlog_max_rows: 1 });
    const { lend } = store;
    let lent = 0;
    store.lend = async (follower) => {
      const lease = await lend.call(store, follower);
      lent += 1;
      // Committed, but not in the copy, and more than may wait for it.
      if (lent === 1) await store.ingest(batch(randomUUID(), 1, [statusRow(1), statusRow(2)]));
      return lease;
    };
    expect(rowsOf(await sandbox.query('select count(*) as n from actor_status_events'))).toEqual([{ n: 2 }]);
    expect(lent).toBe(2);
  });

  test('that ends is out of the way before there is another: no more than may run are alive', async () => {
    await open({ sql_processes_max: 1, sql_timeout_ms: 200 });
    const seen = new Set<number>();
    const look = setInterval(() => {
      for (const pid of sandbox.pids) seen.add(pid);
    }, 1);
    try {
      for (let index = 0; index < 3; index += 1) {
        const outcome = await sandbox.query(ENDLESS);
        expect(outcome).toMatchObject({ ok: false, failure: { code: 'gateway_timeout' } });
      }
      expect([...seen].filter(isAlive).length).toBeLessThanOrEqual(1);
    } finally {
      clearInterval(look);
    }
  });
});
