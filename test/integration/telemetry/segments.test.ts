import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  copyFile,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Row } from '../../../src/base/index.ts';
import { TABLES } from '../../../src/contract/index.ts';
import { resolveLimits, type TelemetryLimits } from '../../../src/telemetry/limits.ts';
import { sweepIntervalMs } from '../../../src/telemetry/retention/settings.ts';
import { readManifest } from '../../../src/telemetry/segments/manifest.ts';
import { openStoreFiles } from '../../../src/telemetry/segments/recover.ts';
import { Segments } from '../../../src/telemetry/segments/segments.ts';
import { Store } from '../../../src/telemetry/store/store.ts';
import { until } from '../../support/until.ts';
import { batch, dumpRequest, post, rowsOf, startService, statusRow, temporaryFolder } from './support.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const stores: Store[] = [];
const children: ChildProcess[] = [];
let said: string[] = [];
const log = { warn: (message: string) => void said.push(message) };

beforeEach(async () => {
  folder = await temporaryFolder();
  said = [];
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await Promise.all(stores.splice(0).map((store) => store.close().catch(() => undefined)));
  await folder.remove();
});

async function open(limits: Partial<TelemetryLimits> = {}): Promise<Store> {
  const opened = await Store.open(folder.path, resolveLimits(limits), log);
  if (!opened.ok) throw new Error(opened.failure.message);
  stores.push(opened.value);
  return opened.value;
}

async function close(store: Store): Promise<void> {
  stores.splice(stores.indexOf(store), 1);
  await store.close();
}

/** Leaves the folder as a crash would: what is open goes on, on a copy that nobody looks at any more. */
async function crash(store: Store): Promise<void> {
  const copy = await temporaryFolder();
  await cp(folder.path, copy.path, { recursive: true });
  await close(store);
  await rm(folder.path, { recursive: true });
  await cp(copy.path, folder.path, { recursive: true });
  await copy.remove();
}

async function ingest(store: Store, producer: string, seq: number, rows: Row[], lost_rows = 0): Promise<void> {
  const answer = await store.ingest(batch(producer, seq, rows, lost_rows));
  expect(answer).toEqual({ ok: true, value: { acked: seq } });
}

/** Rows of the data file, which must not be open. */
async function read(sql: string, file = 'telemetry.duckdb'): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(join(folder.path, file), { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function change(...statements: string[]): Promise<void> {
  const instance = await DuckDBInstance.create(join(folder.path, 'telemetry.duckdb'));
  const connection = await instance.connect();
  for (const statement of statements) await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
}

const MIB = 2 ** 20;
const IDS = 'SELECT id::INTEGER FROM actor_status_events ORDER BY id';

interface ManifestFile {
  seals: number;
  segments: { number: number; files: { table: string; rows: number }[] }[];
  damaged: { segment: number; table: string; rows: number; reason: string }[];
}

async function manifest(): Promise<ManifestFile> {
  return JSON.parse(await readFile(join(folder.path, 'segments/manifest.json'), 'utf8')) as ManifestFile;
}

/** Rows of each table that segments hold, together. */
async function sealedRows(): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const file of (await manifest()).segments.flatMap((segment) => segment.files)) {
    sums[file.table] = (sums[file.table] ?? 0) + file.rows;
  }
  return sums;
}

const names = async (pattern: RegExp): Promise<string[]> =>
  (await readdir(folder.path)).filter((name) => pattern.test(name)).sort();

/** A row for every table, with every column that may be null so. */
function rowOfEach(): Record<string, Row[]> {
  const now_us = Date.now() * 1000;
  const value = { u64: 1, i64: now_us, i32: 1, u32: 1, f64: 1.5, text: 'text', flag: true } as const;
  return Object.fromEntries(
    TABLES.map((table) => [table.name, [table.columns.map(({ type, nullable }) => (nullable ? null : value[type]))]]),
  );
}

/** Batches 1 to 20 of a producer: enough that sealing them takes its time. */
async function ingestWide(store: Store, producer: string): Promise<void> {
  const wide = (seq: number): Row[] =>
    Array.from({ length: 5_000 }, (_, index) => [...statusRow(seq * 5_000 + index).slice(0, 4), randomUUID()]);
  for (let seq = 1; seq <= 20; seq++) await ingest(store, producer, seq, wide(seq));
}

describe('sealing', () => {
  test('puts what came since the last one into a segment, of every table, and nothing when nothing came', async () => {
    const store = await open();
    const producer = randomUUID();
    const tables = rowOfEach() as never;
    expect((await store.ingest({ producer, seq: 1, lost_rows: 0, tables })).ok).toBe(true);
    expect(await store.seal()).toEqual({ rows: TABLES.length });
    expect(await store.seal()).toEqual({ rows: 0 });
    await ingest(store, producer, 2, [statusRow(2), statusRow(3)]);
    expect(await store.seal()).toEqual({ rows: 2 });
    const { segments } = await manifest();
    expect(segments.map(({ number, files }) => [number, files.length])).toEqual([
      [1, TABLES.length],
      [2, 1],
    ]);
    expect(await store.health()).toMatchObject({ segments: 2, unsealed_rows: 0, damaged_files: 0 });
    await close(store);
    expect(await sealedRows()).toMatchObject({ actor_status_events: 3, pyspy_frames: 1, spans: 1 });
  });

  test('happens at an orderly close, with losses that came without rows', async () => {
    const store = await open();
    const producer = randomUUID();
    await ingest(store, producer, 1, [statusRow(1)]);
    await close(store);
    expect((await manifest()).segments).toHaveLength(1);
    const again = await open();
    await ingest(again, producer, 2, [], 7);
    await close(again);
    expect((await manifest()).segments).toHaveLength(2);
    // And none is made of nothing.
    await close(await open());
    expect((await manifest()).segments).toHaveLength(2);
    await rm(join(folder.path, 'telemetry.duckdb'));
    const rebuilt = await open();
    expect(rebuilt.losses()).toMatchObject([{ producer, lost_rows: 7, last_seq: 2, stored_rows: 1 }]);
  });

  test('is due at n rows, not before, and after its time', async () => {
    const store = await open({ seal_rows_max: 3, seal_interval_ms: 3_600_000 });
    await ingest(store, randomUUID(), 1, [statusRow(1), statusRow(2)]);
    expect(store.isSealDue).toBe(false);
    await ingest(store, randomUUID(), 1, [statusRow(3)]);
    expect(store.isSealDue).toBe(true);
    await store.seal();
    expect(store.isSealDue).toBe(false);
    await close(store);
    const timed = await open({ seal_interval_ms: 20 });
    await ingest(timed, randomUUID(), 1, [statusRow(4)]);
    await until(() => timed.isSealDue, 'the oldest row to be old enough');
  });

  test('commits go on meanwhile, and are in the next one', async () => {
    const store = await open();
    const producer = randomUUID();
    await ingestWide(store, producer);
    let isSealing = true;
    const sealing = store.seal().finally(() => {
      isSealing = false;
    });
    let during = 0;
    for (let seq = 21; isSealing; seq++) {
      await ingest(store, producer, seq, [statusRow(seq)]);
      if (isSealing) during += 1;
    }
    const first = (await sealing).rows;
    expect(during).toBeGreaterThan(0);
    expect(first).toBeGreaterThanOrEqual(100_000);
    await close(store);
    const [[rows]] = (await read('SELECT count(*)::INTEGER FROM actor_status_events')) as [[number]];
    expect(await sealedRows()).toEqual({ actor_status_events: rows });
  });

  test('a copy that is lent meanwhile has every row that was committed before', async () => {
    const store = await open();
    const producer = randomUUID();
    await ingestWide(store, producer);
    let isSealing = true;
    const sealing = store.seal().finally(() => {
      isSealing = false;
    });
    let copies = 0;
    for (let seq = 21; isSealing; seq++) {
      await ingest(store, producer, seq, [statusRow(seq)]);
      const lease = await store.lend(() => undefined);
      copies += 1;
      // By another process: this one owns the file.
      execFileSync('cp', [lease.path, join(folder.path, 'copy')]);
      await lease.release();
      expect(await read('SELECT count(*)::INTEGER FROM actor_status_events', 'copy')).toEqual([[100_000 + seq - 20]]);
    }
    await sealing;
    expect(copies).toBeGreaterThan(0);
  });

  test('beyond n segments, the next one replaces them', async () => {
    const store = await open({ segments_max: 3 });
    const producer = randomUUID();
    for (let seq = 1; seq <= 3; seq++) {
      await ingest(store, producer, seq, [statusRow(seq)]);
      await store.seal();
    }
    expect((await manifest()).segments.map(({ number }) => number)).toEqual([1, 2, 3]);
    await ingest(store, producer, 4, [statusRow(4)]);
    await store.seal();
    expect((await manifest()).segments.map(({ number }) => number)).toEqual([4]);
    expect(await readdir(join(folder.path, 'segments'))).toEqual(['00000004', 'manifest.json']);
    await crash(store);
    await rm(join(folder.path, 'telemetry.duckdb'));
    await close(await open());
    expect(await read(IDS)).toEqual([[1], [2], [3], [4]]);
  });

  test('a merge that fails: the new rows are sealed all the same, and it is tried again later', async () => {
    const store = await open({ segments_max: 2 });
    const producer = randomUUID();
    const seal = async (seq: number): Promise<number> => {
      await ingest(store, producer, seq, [statusRow(seq)]);
      await store.seal();
      return (await manifest()).segments.length;
    };
    expect([await seal(1), await seal(2)]).toEqual([1, 2]);
    // Stands for a disk that has room for a row, and not for all.
    const { seal: original } = Segments.prototype;
    const failing = vi.spyOn(Segments.prototype, 'seal').mockImplementation(function (this: Segments, alone, options) {
      return options?.all === true ? Promise.reject(new Error('No space left')) : original.call(this, alone, options);
    });
    expect(await seal(3)).toBe(3);
    expect(said).toEqual(['merging segments failed: No space left']);
    failing.mockRestore();
    expect(await seal(4)).toBe(1);
    await close(store);
    await rm(join(folder.path, 'telemetry.duckdb'));
    await close(await open());
    expect(await read(IDS)).toEqual([[1], [2], [3], [4]]);
  });
});

describe('opening after a crash', () => {
  test('what the manifest does not name any more is removed: a file, and what memory could not hold', async () => {
    const store = await open();
    await ingest(store, randomUUID(), 1, [statusRow(1)]);
    await close(store);
    const left = ['segments/00000001/spans.parquet', 'telemetry.duckdb.tmp-1/duckdb_temp_block-1.block'];
    await mkdir(join(folder.path, 'telemetry.duckdb.tmp-1'));
    for (const name of left) await writeFile(join(folder.path, name), 'left');
    await close(await open());
    expect(await readdir(join(folder.path, 'segments/00000001'))).toEqual([
      'actor_status_events.parquet',
      'meshscope-producers.parquet',
    ]);
    expect(await names(/tmp/)).toEqual([]);
  });

  test('a sealing that the data file did not note: its rows are sealed once', async () => {
    const store = await open();
    await ingest(store, randomUUID(), 1, [statusRow(1), statusRow(2)]);
    await store.seal();
    await crash(store);
    // As if the last transaction had not come to be.
    await change('UPDATE meshscope.sealing SET seals = 0', 'DELETE FROM meshscope.sealed');
    const again = await open();
    expect(await again.seal()).toEqual({ rows: 0 });
    await ingest(again, randomUUID(), 1, [statusRow(3)]);
    expect(await again.seal()).toEqual({ rows: 1 });
    await close(again);
    expect(await sealedRows()).toEqual({ actor_status_events: 3 });
    expect(said).toEqual([]);
  });

  test('segments that another service wrote meanwhile are left as they are', async () => {
    const store = await open();
    const producer = randomUUID();
    await ingest(store, producer, 1, [statusRow(1)]);
    await close(store);
    const stale = await readManifest(join(folder.path, 'segments'));
    if (stale.kind !== 'manifest') throw new Error(stale.kind);
    const other = await open();
    await ingest(other, producer, 2, [statusRow(2)]);
    await close(other);
    const written = await manifest();
    const opened = await openStoreFiles(folder.path, resolveLimits(), log);
    if (!opened.ok) throw new Error(opened.failure.message);
    const { connection, connect, close: closeDatabase } = opened.value.database;
    const segments = new Segments(join(folder.path, 'segments'), stale.manifest, resolveLimits());
    await expect(segments.seal((work) => work(connection, connect))).rejects.toThrow('another service has written');
    await expect(segments.catchUp(connection)).rejects.toThrow('another service has written');
    closeDatabase();
    expect(await manifest()).toEqual(written);
    await close(await open());
    expect(await sealedRows()).toEqual({ actor_status_events: 2 });
  });

  test('a segment that the manifest does not name is removed, and its rows are sealed again', async () => {
    const store = await open();
    await ingest(store, randomUUID(), 1, [statusRow(1)]);
    await store.seal();
    await crash(store);
    await cp(join(folder.path, 'segments/00000001'), join(folder.path, 'segments/00000002'), { recursive: true });
    await mkdir(join(folder.path, 'segments/00000003.partial'));
    const again = await open();
    expect((await readdir(join(folder.path, 'segments'))).sort()).toEqual(['00000001', 'manifest.json']);
    expect(await again.seal()).toEqual({ rows: 0 });
  });

  test('segments that are older than the data file, or of another store, are set aside and all rows sealed anew', async () => {
    const store = await open();
    await ingest(store, randomUUID(), 1, [statusRow(1)]);
    await store.seal();
    const old = await readFile(join(folder.path, 'segments/manifest.json'), 'utf8');
    await ingest(store, randomUUID(), 1, [statusRow(2)]);
    await store.seal();
    await crash(store);
    await writeFile(join(folder.path, 'segments/manifest.json'), old);
    const again = await open();
    expect(said).toEqual([expect.stringContaining('older than the data file')]);
    expect(await again.seal()).toEqual({ rows: 2 });
    await close(again);
    await writeFile(
      join(folder.path, 'segments/manifest.json'),
      old.replace(/"store_id":"[^"]+"/, `"store_id":"${randomUUID()}"`),
    );
    const third = await open();
    expect(said.at(-1)).toContain('do not belong to the data file');
    expect(await third.seal()).toEqual({ rows: 2 });
    await close(third);
    await writeFile(join(folder.path, 'segments/manifest.json'), '{"format": 99');
    const fourth = await open();
    expect(said.at(-1)).toContain('not JSON');
    expect(await fourth.seal()).toEqual({ rows: 2 });
    // The newest of what was set aside is kept.
    expect(await names(/^segments/)).toEqual(['segments', expect.stringMatching(/^segments\..*\.old$/)]);
  });

  test('a data file that is older than its segments is filled anew', async () => {
    const producer = randomUUID();
    const first = await open();
    await ingest(first, producer, 1, [statusRow(1)]);
    await close(first);
    await copyFile(join(folder.path, 'telemetry.duckdb'), join(folder.path, 'backup'));
    for (const seq of [2, 3]) {
      const store = await open();
      await ingest(store, producer, seq, [statusRow(seq)]);
      await close(store);
    }
    await rename(join(folder.path, 'backup'), join(folder.path, 'telemetry.duckdb'));
    const store = await open();
    expect(said[0]).toContain('the data file is older than its segments');
    await ingest(store, producer, 3, [statusRow(99)]);
    await close(store);
    expect(await read(IDS)).toEqual([[1], [2], [3]]);
  });
});

describe('a data file that cannot be used', () => {
  const DAMAGE: Record<string, (path: string) => Promise<void>> = {
    'not a data file': (path) => writeFile(path, 'x'.repeat(100_000)),
    empty: (path) => truncate(path, 0),
    'cut off': async (path) => truncate(path, Math.floor((await stat(path)).size / 2)),
    'of another engine': async (path) => {
      const bytes = await readFile(path);
      bytes.writeUInt32LE(9_999, 12);
      await writeFile(path, bytes);
    },
    missing: (path) => rm(path),
  };

  test.each(Object.keys(DAMAGE))('%s: it is set aside, and history comes back, counting once', async (kind) => {
    const producer = randomUUID();
    const store = await open();
    await store.ingest({ producer, seq: 1, lost_rows: 4, tables: rowOfEach() as never, source: 'agent gpu-7' });
    await store.storeDump(dumpRequest());
    await ingest(store, producer, 2, [statusRow(2)]);
    await close(store);
    const before = await read(TABLES.map(({ name }) => `SELECT count(*) FROM ${name}`).join(' UNION ALL '));
    await DAMAGE[kind]?.(join(folder.path, 'telemetry.duckdb'));
    const again = await open();
    expect(said.at(-1)).toContain('filling the data file from 1 segment');
    expect(await again.health()).toMatchObject({ ok: true, lost_rows: 4, producers: 1 });
    expect(again.losses()).toMatchObject([{ producer, source: 'agent gpu-7', stored_rows: 30 }]);
    await ingest(again, producer, 2, [statusRow(99)]);
    await ingest(again, producer, 3, [statusRow(3)]);
    await close(again);
    expect(await read('SELECT count(*) FILTER (id = 99)::INTEGER, count(*)::INTEGER FROM actor_status_events')).toEqual(
      [[0, 3]],
    );
    await change('DELETE FROM actor_status_events WHERE id = 3');
    expect(await read(TABLES.map(({ name }) => `SELECT count(*) FROM ${name}`).join(' UNION ALL '))).toEqual(before);
    expect(await names(/\.old$/)).toHaveLength(kind === 'missing' ? 0 : 1);
  });

  test('of the files that were set aside, the newest is kept', async () => {
    const store = await open();
    await ingest(store, randomUUID(), 1, [statusRow(1)]);
    await close(store);
    for (let round = 0; round < 2; round++) {
      await writeFile(join(folder.path, 'telemetry.duckdb'), `broken ${round}`.repeat(1_000));
      await close(await open());
    }
    const [old = '', ...others] = await names(/\.old$/);
    expect(others).toEqual([]);
    expect(await readFile(join(folder.path, old), 'utf8')).toContain('broken 1');
    expect(await read(IDS)).toEqual([[1]]);
  });

  test('a rebuild that was cut short begins anew', async () => {
    const store = await open();
    await ingest(store, randomUUID(), 1, [statusRow(1), statusRow(2)]);
    await close(store);
    await change(
      `UPDATE meshscope.sealing SET store_id = 'rebuilding', seals = -1`,
      'INSERT INTO actor_status_events VALUES (3, 1, 1, $$Idle$$, NULL)',
    );
    await close(await open());
    expect(await read(IDS)).toEqual([[1], [2]]);
  });

  test('in use, or not to be entered: that is the answer, and nothing is touched', async () => {
    const store = await open();
    await ingest(store, randomUUID(), 1, [statusRow(1)]);
    const second = await openStoreFiles(folder.path, resolveLimits(), log);
    expect(second).toMatchObject({
      ok: false,
      failure: { code: 'service_unavailable', details: { reason: 'in_use' } },
    });
    await close(store);
    const owner = spawn(process.execPath, [join(import.meta.dirname, 'owner.ts'), folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(owner);
    await new Promise((resolve) => createInterface({ input: owner.stdout }).once('line', resolve));
    const third = await openStoreFiles(folder.path, resolveLimits(), log);
    expect(third.ok ? '' : third.failure.message).toContain(`process ${owner.pid}`);
    owner.kill('SIGKILL');
    await until(() => owner.signalCode !== null, 'the end of the owner');
    const path = join(folder.path, 'telemetry.duckdb');
    await rename(path, `${path}.away`);
    await mkdir(path);
    const fourth = await openStoreFiles(folder.path, resolveLimits(), log);
    expect(fourth).toMatchObject({ ok: false, failure: { details: { reason: 'other' } } });
    expect(await names(/\.old$/)).toEqual([]);
    expect(said).toEqual([]);
  });
});

describe('another schema', () => {
  test('unsealed rows of the old file are sealed; new columns are null or zero, unknown ones go', async () => {
    const producer = randomUUID();
    const store = await open();
    await ingest(store, producer, 1, [statusRow(1, 111), statusRow(2, 222)]);
    await crash(store);
    await change(
      'ALTER TABLE actor_status_events DROP COLUMN reason',
      'ALTER TABLE actor_status_events DROP COLUMN new_status',
      'ALTER TABLE actor_status_events ALTER COLUMN actor_id TYPE VARCHAR',
      `ALTER TABLE actor_status_events ADD COLUMN mood VARCHAR DEFAULT 'good'`,
      'CREATE TABLE forgotten_table AS SELECT 1 AS x',
    );
    const again = await open({ core_window_ms: 0 });
    expect(said[0]).toMatch(/written by another version.*is now telemetry\.duckdb\..*\.old/);
    await ingest(again, producer, 1, [statusRow(9)]);
    await close(again);
    expect(
      await read(
        'SELECT id::INTEGER, timestamp_us::INTEGER, actor_id::VARCHAR, new_status, reason FROM actor_status_events ORDER BY id',
      ),
    ).toEqual([
      [1, 111, '15219662858440215073', '', null],
      [2, 222, '15219662858440215073', '', null],
    ]);
    // What nobody knows any more stays in its segment.
    expect(await sealedRows()).toEqual({ actor_status_events: 2, forgotten_table: 1 });
  });

  test('a store of a release without segments is taken over as it is', async () => {
    const producer = randomUUID();
    const store = await open();
    await ingest(store, producer, 1, [statusRow(1)], 3);
    await crash(store);
    await rm(join(folder.path, 'segments'), { recursive: true, force: true });
    await change(
      'DROP TABLE meshscope.sealing',
      'DROP TABLE meshscope.sealed',
      'ALTER TABLE meshscope.producers DROP COLUMN source',
    );
    const again = await open();
    expect(said).toEqual([]);
    await ingest(again, producer, 1, [statusRow(9)]);
    expect(await again.seal()).toEqual({ rows: 1 });
    expect(again.losses()).toMatchObject([{ producer, source: null, lost_rows: 3 }]);
  });
});

describe('a damaged segment', () => {
  test('is left out, told, and kept; the others come back', async () => {
    const store = await open();
    for (let seq = 1; seq <= 3; seq++) {
      await ingest(store, randomUUID(), 1, [statusRow(seq)]);
      await store.seal();
    }
    await close(store);
    const path = join(folder.path, 'segments/00000002/actor_status_events.parquet');
    const bytes = await readFile(path);
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await rm(join(folder.path, 'segments/00000003/meshscope-producers.parquet'));
    await rm(join(folder.path, 'telemetry.duckdb'));
    const again = await open();
    expect(said.join('\n')).toMatch(/segment 2, actor_status_events: its checksum is wrong; its 1 rows are left out/);
    expect(said.join('\n')).toMatch(/segment 3, producers: the file is missing; older ones are taken/);
    expect(await again.health()).toMatchObject({ ok: true, damaged_files: 1, producers: 2 });
    expect(await again.seal()).toEqual({ rows: 0 });
    await close(again);
    expect(await read(IDS)).toEqual([[1], [3]]);
    expect(await readFile(join(folder.path, 'segments/damaged/00000002/actor_status_events.parquet'))).toEqual(bytes);
    expect((await manifest()).damaged).toMatchObject([{ segment: 2, table: 'actor_status_events', rows: 1 }]);
  });
});

describe('retention', () => {
  const now_ms = Date.now();
  const now_us = now_ms * 1000;

  test('deleted rows go from segments when all that a file holds is over; what is left is sealed once', async () => {
    const store = await open({ core_window_ms: 1_000 });
    const producer = randomUUID();
    const age = (ms: number): number => now_us - ms * 1000;
    await ingest(store, producer, 1, [statusRow(1, age(5_000)), statusRow(2, age(4_000))]);
    await store.seal();
    await ingest(store, producer, 2, [statusRow(3, age(3_000)), statusRow(4, age(500))]);
    await store.seal();
    await ingest(store, producer, 3, [statusRow(5, age(2_000)), statusRow(6, age(100))]);
    await store.sweep(now_ms);
    const { segments } = await manifest();
    expect(segments.map(({ number }) => number)).toEqual([2, 3]);
    expect(await readdir(join(folder.path, 'segments'))).toEqual(['00000002', '00000003', 'manifest.json']);
    await ingest(store, producer, 4, [statusRow(7)]);
    expect(await store.seal()).toEqual({ rows: 1 });
    await crash(store);
    expect(await read(IDS)).toEqual([[4], [6], [7]]);
    await rm(join(folder.path, 'telemetry.duckdb'));
    // What had been deleted from a file that is still held comes back, until the sweep of the next window.
    await close(await open({ core_window_ms: 0 }));
    expect((await read(IDS)).filter(([id]) => [4, 6, 7].includes(Number(id)))).toHaveLength(3);
  });

  test('a sweep of rows that could not be sealed leaves the count of sealed rows right', async () => {
    const store = await open({ core_window_ms: 1_000, disk_free_min_bytes: 1 });
    const producer = randomUUID();
    await ingest(store, producer, 1, [statusRow(1, now_us - 5_000_000), statusRow(2)]);
    await store.seal();
    await ingest(store, producer, 2, [statusRow(3), statusRow(4, now_us - 5_000_000), statusRow(5)]);
    // A file where the folder of the next segment should be: sealing fails, as on a full disk.
    await writeFile(join(folder.path, 'segments/00000002.partial'), 'in the way');
    await rm(join(folder.path, 'segments'), { recursive: true });
    await writeFile(join(folder.path, 'segments'), 'in the way');
    await store.sweep(now_ms);
    expect(said.at(-1)).toContain('sealing failed');
    expect(said.at(-1)).not.toContain(folder.path);
    await crash(store);
    expect(await read(IDS)).toEqual([[2], [3], [5]]);
    expect(await read('SELECT rows::INTEGER FROM meshscope.sealed')).toEqual([[1]]);
  });

  test('a failing sweep deletes nothing', async () => {
    const store = await open({ core_window_ms: 1_000, trace_window_ms: 1_000 });
    await ingest(store, randomUUID(), 1, [statusRow(1, now_us - 5_000_000)]);
    await close(store);
    await change(
      'DROP TABLE meshscope.forgotten',
      'CREATE TABLE meshscope.forgotten (lost_rows UBIGINT CHECK (lost_rows > 5))',
    );
    const again = await open({ core_window_ms: 1_000, producers_max: 1 });
    await ingest(again, randomUUID(), 1, [statusRow(2)]);
    await expect(again.sweep(now_ms)).rejects.toThrow(/CHECK/);
    await close(again);
    expect(await read(IDS)).toEqual([[1], [2]]);
  });

  test('bytes: n stay, and of n and one row the oldest go, over the tables of a group', async () => {
    // 8 + 8 + 8 bytes of numbers, 4 + 4 of `Idle`, and 4 of a reason that is null; 8 + 8 + 8, 4 + 6 of `active`.
    const [status, message] = [36, 34];
    const producer = randomUUID();
    const statuses = (...times: number[]): Row[] => times.map((time) => statusRow(time, now_us - time));
    const messages = (...times: number[]): Row[] => times.map((time) => [time, now_us - time, 1, 'active']);
    const fill = async (limit: number): Promise<unknown[][]> => {
      const store = await open({ core_max_bytes: limit });
      const tables = { actor_status_events: statuses(5, 3, 1), message_status_events: messages(4, 2) };
      await store.ingest({ producer, seq: 1, lost_rows: 0, tables: tables as never });
      await store.sweep(now_ms);
      await close(store);
      return await read(
        'SELECT id::INTEGER FROM (SELECT id FROM actor_status_events UNION ALL SELECT id FROM message_status_events) ORDER BY id',
      );
    };
    const all = 3 * status + 2 * message;
    expect(await fill(all)).toEqual([[1], [2], [3], [4], [5]]);
    expect(await fill(all - 1)).toEqual([[1], [2], [3], [4]]);
    expect(await fill(all - status - 1)).toEqual([[1], [2], [3]]);
    expect(await fill(1)).toEqual([]);
  });

  test('bytes of dumps and captures: the oldest go whole, the newest stays', async () => {
    const store = await open({ pyspy_max_bytes: 1, snapshot_max_bytes: 1 });
    const requests = [dumpRequest(), dumpRequest()];
    for (const request of requests) {
      expect((await store.storeDump(request)).ok).toBe(true);
      const at_ms = Date.now();
      await until(() => Date.now() > at_ms, 'the clock to move on');
    }
    for (const [index, name] of ['a', 'b'].entries()) {
      const tables = { nodes: [[name, 'root', 'root', now_us + index]], snapshots: [[name, now_us + index]] };
      await store.ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, tables });
    }
    await store.sweep(now_ms);
    await store.sweep(now_ms);
    await close(store);
    expect(await read('SELECT DISTINCT dump_id FROM pyspy_frames')).toEqual([[requests[1]?.dump_id]]);
    expect(await read('SELECT snapshot_id FROM nodes')).toEqual([['b']]);
  });

  test('dumps go by age, strictly', async () => {
    const store = await open({ pyspy_window_ms: 60_000 });
    await store.storeDump(dumpRequest());
    await close(store);
    const [[at_us]] = (await read('SELECT timestamp_us::DOUBLE FROM pyspy_dumps')) as [[number]];
    const again = await open({ pyspy_window_ms: 60_000 });
    await again.sweep(at_us / 1000 + 59_999);
    await close(again);
    expect(await read('SELECT count(*)::INTEGER FROM pyspy_frames')).toEqual([[2]]);
    const third = await open({ pyspy_window_ms: 60_000 });
    await third.sweep(at_us / 1000 + 60_000);
    await close(third);
    expect(await read('SELECT count(*)::INTEGER FROM pyspy_frames')).toEqual([[0]]);
    expect((await manifest()).segments.flatMap((segment) => segment.files)).toEqual([]);
  });

  test('rows of what never became whole go some time after a sweep saw them, those beyond n at once', async () => {
    const store = await open({ unfinished_window_ms: 60_000, unfinished_max: 2 });
    const whole = dumpRequest();
    await store.storeDump(whole);
    const half = async (seq: number, ...ids: string[]): Promise<void> => {
      const tables = {
        children: ids.map((id) => [id, 'root', 'host:a', 0, false, false]),
        pyspy_stack_traces: ids.map((id) => [id, 1, 2, null, null, true, false]),
      };
      expect((await store.ingest({ producer, seq, lost_rows: 0, tables })).ok).toBe(true);
    };
    const producer = randomUUID();
    const left = async (): Promise<unknown[]> => {
      const lease = await store.lend(() => undefined);
      execFileSync('cp', [lease.path, join(folder.path, 'copy.duckdb')]);
      await lease.release();
      return (await read('SELECT DISTINCT snapshot_id FROM children ORDER BY 1', 'copy.duckdb')).flat();
    };
    await half(1, 'a', 'b');
    await store.sweep(now_ms);
    expect(await left()).toEqual(['a', 'b']);
    // One of them becomes whole meanwhile.
    await store.ingest({ producer, seq: 2, lost_rows: 0, tables: { snapshots: [['b', now_us]] } });
    await half(3, 'c');
    await store.sweep(now_ms + 59_999);
    expect(await left()).toEqual(['a', 'b', 'c']);
    await store.sweep(now_ms + 60_000);
    expect(await left()).toEqual(['b', 'c']);
    await half(4, 'd', 'e');
    await store.sweep(now_ms + 60_001);
    expect(await left()).toHaveLength(3);
    await close(store);
    const [[dumps]] = (await read('SELECT count(DISTINCT dump_id)::INTEGER FROM pyspy_stack_traces')) as [[number]];
    expect(dumps).toBe(3);
    expect(await read(`SELECT count(*)::INTEGER FROM pyspy_frames WHERE dump_id = '${whole.dump_id}'`)).toEqual([[2]]);
  });

  test('without room, what is not whole goes at the second sweep that sees it, not at the first', async () => {
    const store = await open({ snapshot_rows_keep_max: 1 });
    const tables = { children: ['x', 'y'].map((id) => [id, 'root', 'host:a', 0, false, false]) };
    await store.ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, tables });
    await store.sweep(now_ms);
    await store.sweep(now_ms + 1);
    await close(store);
    expect(await read('SELECT count(*)::INTEGER FROM children')).toEqual([[0]]);
  });

  test('producers beyond a tenth more than are remembered make a sweep due', async () => {
    const store = await open({ producers_max: 10 });
    for (let count = 1; count <= 11; count++) await ingest(store, randomUUID(), 1, [statusRow(count)]);
    expect(store.isSweepDue).toBe(false);
    await ingest(store, randomUUID(), 1, [statusRow(12)]);
    expect(store.isSweepDue).toBe(true);
    await store.sweep(now_ms);
    expect((await store.health()).producers).toBe(10);
    expect(store.isSweepDue).toBe(false);
  });

  test('actors beyond their bound: those that nothing refers to go first, then the oldest', async () => {
    const actors = (...ids: number[]): Row[] => ids.map((id) => [id, now_us + id, 1, 0, 'actor', null]);
    // 8 * 4 numbers, 4 + 5 of `actor`, 4 of a name that is null.
    const width = 45;
    const producer = randomUUID();
    const store = await open({ entity_max_bytes: 3 * width });
    const tables = {
      actors: actors(1, 2, 3, 4),
      actor_status_events: [1, 3].map((id) => [id, now_us, id, 'Idle', null]),
    };
    await store.ingest({ producer, seq: 1, lost_rows: 0, tables });
    await store.sweep(now_ms);
    await close(store);
    expect(await read('SELECT id::INTEGER FROM actors ORDER BY id')).toEqual([[1], [3], [4]]);
    const again = await open({ entity_max_bytes: width });
    await again.sweep(now_ms);
    await close(again);
    expect(await read('SELECT id::INTEGER FROM actors ORDER BY id')).toEqual([[3]]);
  });

  test('a window of 0 is never, and more than so many bytes make a sweep due', async () => {
    const store = await open({ core_window_ms: 0, sweep_after_bytes: 10_000 });
    await ingest(store, randomUUID(), 1, [statusRow(1, 1)]);
    await store.sweep(now_ms);
    expect(store.isSweepDue).toBe(false);
    await ingest(
      store,
      randomUUID(),
      1,
      Array.from({ length: 1_000 }, (_, id) => statusRow(id)),
    );
    expect(store.isSweepDue).toBe(true);
    await store.sweep(now_ms);
    expect(store.isSweepDue).toBe(false);
    await close(store);
    expect(await read('SELECT count(*)::INTEGER FROM actor_status_events WHERE timestamp_us = 1')).toEqual([[1]]);
  });

  test.each([
    ['10 s', 10_000, 10_000],
    ['5 min', 300_000, 30_000],
    ['10 min', 600_000, 60_000],
    ['1 h', 3_600_000, 300_000],
    ['never', 0, 300_000],
  ])('the pause between sweeps for a window of %s', (_, window, pause) => {
    const windows = ['core', 'trace', 'metric', 'snapshot', 'pyspy'].map((group) => [`${group}_window_ms`, window]);
    expect(sweepIntervalMs(resolveLimits(Object.fromEntries(windows)))).toBe(pause);
  });
});

describe('losses', () => {
  test('a view of its own tells who lost how many rows; base tables stay the contract’s', async () => {
    const service = await startService(folder.path, { producers_max: 2, losses_shown_max: 1 });
    const losses = 'select * from telemetry_losses';
    try {
      expect(await rowsOf(service.url, losses)).toEqual([]);
      const producer = randomUUID();
      const send = async (seq: number, lost_rows: number, source?: string): Promise<void> => {
        const body = {
          ...batch(producer, seq, [statusRow(seq)], lost_rows),
          ...(source === undefined ? {} : { source }),
        };
        expect((await post(service.url, '/ingest', body)).status).toBe(200);
      };
      await send(1, 0, 'agent gpu-7');
      expect(await rowsOf(service.url, losses)).toEqual([]);
      await send(2, 5);
      const row = { producer, source: 'agent gpu-7', lost_rows: 5, stored_rows: 2, last_seq: 2 };
      expect(await rowsOf(service.url, losses)).toMatchObject([row]);
      // Text that would end a statement, or a line, is only text.
      await send(3, 1, `it's a\0 "gpu"\n\ud800`);
      const [told] = await rowsOf(service.url, losses);
      expect(told).toMatchObject({ source: `it's a  "gpu" \ufffd`, lost_rows: 6, last_seq: 3 });
      expect(told?.heard_us).toBeGreaterThan((Date.now() - 60_000) * 1000);
      // One more than are shown one by one, and one more than are remembered.
      await post(service.url, '/ingest', batch(randomUUID(), 1, [], 10));
      expect((await rowsOf(service.url, losses)).map((loss) => [loss.producer === null, loss.lost_rows])).toEqual([
        [false, 10],
        [true, 6],
      ]);
      await post(service.url, '/ingest', batch(randomUUID(), 1, [], 100));
      await service.sweep();
      expect(await rowsOf(service.url, 'select sum(lost_rows) as n from telemetry_losses')).toEqual([{ n: 116 }]);
      const kinds = `select table_type as kind, count(*) as n from information_schema.tables
        where table_schema = 'main' and (table_name = 'telemetry_losses' or table_type = 'BASE TABLE') group by all order by all`;
      expect(await rowsOf(service.url, kinds)).toEqual([
        { kind: 'BASE TABLE', n: TABLES.length },
        { kind: 'VIEW', n: 1 },
      ]);
    } finally {
      await service.close();
    }
  });
});

describe('room on the disk', () => {
  test('below the bound ingestion pauses and says why, sweeps go on, and it resumes when there is room', async () => {
    const { bavail, bsize } = await statfs(folder.path);
    const limits = { disk_free_min_bytes: bavail * bsize - 512 * MIB, disk_look_interval_ms: 1, core_window_ms: 1_000 };
    const store = await open(limits);
    const producer = randomUUID();
    await ingest(store, producer, 1, [statusRow(1, 1), statusRow(2)]);
    const ballast = join(folder.path, 'ballast');
    execFileSync('fallocate', ['-x', '-l', String(1_024 * MIB), ballast]);
    const refused = await store.ingest(batch(producer, 2, [statusRow(3)]));
    expect(refused).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    expect(refused.ok ? '' : refused.failure.message).toMatch(/has \d+ MiB free, less than the \d+ MiB that ingestion/);
    expect(await store.health()).toMatchObject({ ok: false, failure: expect.stringContaining('MiB free') });
    await store.sweep(Date.now());
    expect(said).toEqual([expect.stringContaining('sealing failed: the disk of the data folder has')]);
    await rm(ballast);
    await ingest(store, producer, 2, [statusRow(3)]);
    expect(await store.health()).toMatchObject({ ok: true, failure: null });
    await close(store);
    expect(await read(IDS)).toEqual([[2], [3]]);
  });
});
