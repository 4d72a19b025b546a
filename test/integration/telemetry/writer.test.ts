import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../src/telemetry/database/database.ts';
import { resolveLimits, type TelemetryLimits } from '../../../src/telemetry/limits.ts';
import type { Change } from '../../../src/telemetry/store/changes.ts';
import { countPacks, type Pack, packRows } from '../../../src/telemetry/store/packs.ts';
import { Producers } from '../../../src/telemetry/store/producers.ts';
import { Writer } from '../../../src/telemetry/store/writer.ts';
import { until } from '../../support/until.ts';
import { statusRow, temporaryFolder } from './support.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const writers: Writer[] = [];

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(async () => {
  await Promise.all(writers.splice(0).map((writer) => writer.close()));
  await folder.remove();
});

async function openWriter(
  limits: Partial<TelemetryLimits> = {},
  problem?: () => Promise<string | null>,
): Promise<Writer> {
  const resolved = resolveLimits({ reopen_interval_ms: 1, ...limits });
  const opened = await openDatabase(folder.path, resolved);
  if (!opened.ok) throw new Error(opened.failure.message);
  const producers = new Producers();
  await producers.load(opened.value.connection);
  const writer = new Writer(opened.value, producers, resolved, problem);
  writers.push(writer);
  return writer;
}

async function packs(rows = 2, reason = 'reason'): Promise<readonly Pack[]> {
  const row = (index: number) => [...statusRow(index).slice(0, 4), `${index} ${reason}`];
  const packed = await packRows({ actor_status_events: Array.from({ length: rows }, (_, index) => row(index)) });
  if (!packed.ok) throw new Error(packed.failure.message);
  return packed.value;
}

function count(writer: Writer): Promise<number> {
  return writer.alone(async (connection) => {
    const reader = await connection.runAndReadAll('SELECT count(*) FROM actor_status_events');
    return Number(reader.getRows()[0]?.[0]);
  });
}

const size = (name: string): Promise<number> =>
  stat(join(folder.path, name)).then(
    (found) => found.size,
    () => 0,
  );

test('a look at the disk that fails refuses writes, and the next ones are taken', async () => {
  let isFailing = true;
  const writer = await openWriter({}, () => (isFailing ? Promise.reject(new Error('statfs')) : Promise.resolve(null)));
  expect(await writer.write({ packs: await packs(), mark: null })).toMatchObject({
    ok: false,
    failure: { code: 'service_unavailable', message: expect.stringContaining('statfs') },
  });
  expect(writer.writesWaiting).toBe(0);
  isFailing = false;
  expect((await writer.write({ packs: await packs(), mark: null })).ok).toBe(true);
});

test('n bytes make one commit, more make two, and one write alone may have more', async () => {
  const one = await packs();
  const { bytes } = countPacks(one);
  const commits = async (commit_max_bytes: number, writes: readonly (readonly Pack[])[]): Promise<number> => {
    const writer = await openWriter({ commit_max_bytes });
    await Promise.all(writes.map((given) => writer.write({ packs: given, mark: null })));
    await writer.close();
    return writers.splice(0)[0]?.counts.commits ?? 0;
  };
  expect(await commits(2 * bytes, [one, one])).toBe(1);
  expect(await commits(2 * bytes - 1, [one, one])).toBe(2);
  expect(await commits(bytes - 1, [one])).toBe(1);
});

/** By another process: this one would lose its lock on the file by closing it. */
const hash = (): string => execFileSync('sha256sum', [join(folder.path, 'telemetry.duckdb')], { encoding: 'utf8' });

describe('checkpoints', () => {
  const TEXT = 'x'.repeat(1_100);

  test('keep the log short', async () => {
    const writer = await openWriter({ owner_wal_mib: 1, owner_wal_max_mib: 2 });
    const written = await packs(1_000, TEXT);
    for (let index = 0; index < 20; index += 1) {
      expect((await writer.write({ packs: written, mark: null })).ok).toBe(true);
      expect(await size('telemetry.duckdb.wal')).toBeLessThan(6 * 2 ** 20);
    }
    await writer.checkpointed();
    expect(await size('telemetry.duckdb')).toBeGreaterThan(2 ** 20);
    expect(await count(writer)).toBe(20_000);
  });

  test('are held off while the file is lent: it stays as it is, and past the bound of the log commits wait', async () => {
    const writer = await openWriter({ owner_wal_mib: 1, owner_wal_max_mib: 2 });
    const written = await packs(1_000, TEXT);
    await writer.write({ packs: written, mark: null });
    const changes: (Change | 'lost')[] = [];
    const release = await writer.lend((change) => void changes.push(change));
    const before = hash();
    expect((await writer.write({ packs: written, mark: null })).ok).toBe(true);
    expect((await writer.write({ packs: written, mark: null })).ok).toBe(true);
    let isDone = false;
    const third = writer.write({ packs: written, mark: null }).then((outcome) => {
      isDone = true;
      return outcome;
    });
    await until(() => writer.writesWaiting === 1, 'it to wait');
    // Enough turns of the loop for a commit.
    for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(isDone).toBe(false);
    expect(hash()).toBe(before);
    expect(changes).toHaveLength(2);
    release();
    expect((await third).ok).toBe(true);
    expect(changes).toHaveLength(3);
    expect(await count(writer)).toBe(4_000);
    // Late, and of no consequence.
    release();
  });

  test('closing takes what waits for a lent file', async () => {
    const writer = await openWriter({ owner_wal_mib: 1, owner_wal_max_mib: 1 });
    const written = await packs(1_000, TEXT);
    const release = await writer.lend(() => undefined);
    await writer.write({ packs: written, mark: null });
    const waiting = writer.write({ packs: written, mark: null });
    await until(() => writer.writesWaiting === 1, 'it to wait');
    writers.length = 0;
    await writer.close();
    expect((await waiting).ok).toBe(true);
    release();
    expect(await count(await openWriter())).toBe(2_000);
  });
});

describe('renewing', () => {
  const ROWS = 1_000;
  const COMMITS = 40;

  /** MiB that DuckDB holds for tables. */
  const held = (writer: Writer): Promise<number> =>
    writer.alone(async (connection) => {
      const sum = `SELECT coalesce(sum(memory_usage_bytes), 0) FROM duckdb_memory() WHERE tag = 'BASE_TABLE'`;
      return Number((await connection.runAndReadAll(sum)).getRows()[0]?.[0]) / 2 ** 20;
    });

  /** Row groups that several commits fill, and nothing in the log. */
  async function fill(writer: Writer): Promise<void> {
    const written = await packs(ROWS);
    for (let index = 0; index < COMMITS; index += 1) await writer.write({ packs: written, mark: null });
    (await writer.lend(() => undefined))();
  }

  test('gives back what DuckDB keeps for filled row groups, and neither rows nor followers are lost', async () => {
    const writer = await openWriter({ owner_renew_rows: ROWS * COMMITS });
    const changes: (Change | 'lost')[] = [];
    writer.follow((change) => void changes.push(change));
    await fill(writer);
    const before = await held(writer);
    await writer.renew();
    expect(await held(writer)).toBeLessThan(before / 2);
    expect(await count(writer)).toBe(ROWS * COMMITS);
    const again = writer.renew();
    expect((await writer.write({ packs: await packs(), mark: null })).ok).toBe(true);
    await again;
    expect(await count(writer)).toBe(ROWS * COMMITS + 2);
    expect(changes).toHaveLength(COMMITS + 1);
    expect(changes).not.toContain('lost');
    expect(writer.failure).toBeNull();
  });

  test('keeps what DuckDB takes within its bound, however much is written', async () => {
    const writer = await openWriter({ owner_memory_mib: 12, owner_wal_mib: 1, owner_renew_rows: 100_000 });
    const written = await packs(ROWS);
    for (let index = 1; index <= 500; index += 1) {
      expect((await writer.write({ packs: written, mark: null })).ok).toBe(true);
      if (index % 50 === 0) await writer.renew();
    }
    expect(writer.counts.failed_commits).toBe(0);
    expect(await held(writer)).toBeLessThan(12);
    expect(await count(writer)).toBe(500 * ROWS);
  });

  test('waits for owner_renew_rows rows, and for whoever copies or reads the file', async () => {
    const writer = await openWriter({ owner_renew_rows: ROWS * COMMITS + 1 });
    await fill(writer);
    const before = await held(writer);
    const unchanged = async () => {
      await writer.renew();
      expect(await held(writer)).toBeGreaterThan(before * 0.9);
    };
    await unchanged();
    await writer.write({ packs: await packs(1), mark: null });
    const release = await writer.lend(() => undefined);
    await unchanged();
    release();
    const reader = await writer.alone((_, connect) => connect());
    await unchanged();
    reader.close();
    await writer.renew();
    expect(await held(writer)).toBeLessThan(before / 2);
    expect(await count(writer)).toBe(ROWS * COMMITS + 1);
  });

  test('leaves a file open that was taken away', async () => {
    const writer = await openWriter({ owner_renew_rows: ROWS });
    await fill(writer);
    await rename(join(folder.path, 'telemetry.duckdb'), join(folder.path, 'away'));
    await writer.renew();
    expect(await count(writer)).toBe(ROWS * COMMITS);
    expect((await writer.write({ packs: await packs(), mark: null })).ok).toBe(true);
  });

  test('that fails says so, and is made up for when the file can be opened', async () => {
    const writer = await openWriter({ owner_renew_rows: ROWS });
    await fill(writer);
    const [path, head] = [join(folder.path, 'telemetry.duckdb'), join(folder.path, 'head')];
    // By other processes: this one would lose its lock on the file by closing it.
    const copyHead = (from: string, to: string) =>
      execFileSync('dd', [`if=${from}`, `of=${to}`, 'bs=4096', 'count=1', 'conv=notrunc', 'status=none']);
    copyHead(path, head);
    copyHead('/dev/zero', path);
    await expect(writer.renew()).rejects.toThrow();
    expect(writer.failure).toContain('telemetry.duckdb');
    expect(await writer.write({ packs: await packs(), mark: null })).toMatchObject({ ok: false });
    copyHead(head, path);
    await until(async () => (await writer.write({ packs: await packs(), mark: null })).ok, 'a write to be taken');
    expect(await count(writer)).toBe(ROWS * COMMITS + 2);
  });
});

describe('a data file that DuckDB gave up', () => {
  test('is opened again when nobody reads it any more, and counts once', async () => {
    const writer = await openWriter();
    const mark = { producer: randomUUID(), seq: 1, lost_rows: 0 };
    expect((await writer.write({ packs: await packs(), mark })).ok).toBe(true);
    const other = await writer.alone((_, connect) => connect());
    let isLost = false;
    writer.follow((change) => {
      isLost ||= change === 'lost';
    });
    // What DuckDB has for its own tests: it gives up as if the disk had failed.
    await writer.alone((connection) => connection.run(`SET debug_checkpoint_abort = 'before_truncate'`));
    await expect(writer.alone((connection) => connection.run('CHECKPOINT'))).rejects.toThrow();
    expect(writer.failure).not.toBeNull();
    const next = { packs: await packs(), mark: { ...mark, seq: 2 } };
    expect(await writer.write(next)).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    expect(isLost).toBe(false);
    other.close();
    await until(async () => (await writer.write(next)).ok, 'it to be open again');
    expect(isLost).toBe(true);
    expect(writer.failure).toBeNull();
    expect((await writer.write({ packs: await packs(), mark })).ok).toBe(true);
    expect(writer.counts.duplicates).toBe(1);
    expect(await count(writer)).toBe(4);
    // Still its own.
    expect((await openDatabase(folder.path, resolveLimits())).ok).toBe(false);
  });
});
