/** Rows that are far wider than usual: DuckDB holds thousands at a time, which must never cost a row, or the store. */
import { randomBytes, randomUUID } from 'node:crypto';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sleep } from '../../../src/base/index.ts';
import type { EventBatch } from '../../../src/contract/index.ts';
import { resolveLimits, type TelemetryLimits } from '../../../src/telemetry/limits.ts';
import { openStoreFiles } from '../../../src/telemetry/segments/recover.ts';
import { Store } from '../../../src/telemetry/store/store.ts';
import { compactStore } from '../../../src/telemetry/tools/compact.ts';
import { verifyStore } from '../../../src/telemetry/tools/verify.ts';
import { temporaryFolder } from './support.ts';

const ROWS_PER_BATCH = 20;
const BATCHES = 30;
const ROWS = ROWS_PER_BATCH * BATCHES;
const ROW_CHARS = 100_000;
/** Less than a checkpoint, a sealing or a rebuild of the rows takes. */
const LIMITS: Partial<TelemetryLimits> = { owner_memory_mib: 48, seal_memory_mib: 1, reopen_interval_ms: 50 };

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let copy: Awaited<ReturnType<typeof temporaryFolder>>;
const said: string[] = [];
const log = { warn: (message: string) => void said.push(message) };

beforeEach(async () => {
  folder = await temporaryFolder();
  copy = await temporaryFolder();
});

afterEach(async () => {
  await folder.remove();
  await copy.remove();
});

async function open(data_dir: string): Promise<Store> {
  const opened = await Store.open(data_dir, resolveLimits(LIMITS), log);
  if (!opened.ok) throw new Error(opened.failure.message);
  return opened.value;
}

/** Opened with as much memory as the others first: reading all texts takes more. */
async function count(data_dir: string): Promise<unknown[]> {
  await (await open(data_dir)).close();
  const opened = await openStoreFiles(data_dir, resolveLimits({ owner_memory_mib: 512 }), log);
  if (!opened.ok) throw new Error(opened.failure.message);
  const { connection, close } = opened.value.database;
  const sql = `SELECT count(*)::INTEGER, count(DISTINCT id)::INTEGER, sum(strlen(reason))::BIGINT::VARCHAR FROM actor_status_events`;
  const rows = (await connection.runAndReadAll(sql)).getRowsJson()[0] ?? [];
  close();
  return rows;
}

test('600 rows of 100 kB: stored once, sealed, and there again after a crash, a rebuild and a compaction', async () => {
  const store = await open(folder.path);
  const producer = randomUUID();
  const text = randomBytes(ROW_CHARS / 2).toString('hex');
  let refused = 0;
  for (let seq = 1; seq <= BATCHES; ) {
    const row = (index: number) => [seq * 1_000 + index, Date.now() * 1_000, '1', 'Idle', text];
    const rows = Array.from({ length: ROWS_PER_BATCH }, (_, index) => row(index));
    const batch: EventBatch = { producer, seq, lost_rows: 0, tables: { actor_status_events: rows } };
    const answer = await store.ingest(batch);
    if (answer.ok) seq += 1;
    else {
      expect(answer.failure.code).toBe('service_unavailable');
      refused += 1;
      await sleep(20);
    }
    // It finds out what it needs, and is back after one or two pauses.
    expect(refused).toBeLessThan(50);
  }
  const all = [ROWS, ROWS, String(ROWS * ROW_CHARS)];
  expect(await store.seal()).toEqual({ rows: ROWS });

  // As a crash leaves it, with what is in the log.
  await cp(folder.path, copy.path, { recursive: true });
  expect(await count(copy.path)).toEqual(all);

  await store.close();
  await rm(join(folder.path, 'telemetry.duckdb'));
  said.length = 0;
  expect(await count(folder.path)).toEqual(all);
  expect(said).toEqual([expect.stringContaining('filling the data file from 1 segment')]);
  expect(await compactStore({ data_dir: folder.path })).toMatchObject({ ok: true, value: { rows: ROWS } });
  expect(await verifyStore({ data_dir: folder.path })).toMatchObject({ ok: true, value: { findings: [], rows: ROWS } });
}, 90_000);

test('a file of a segment with other rows than the manifest says: none of them comes in', async () => {
  const store = await open(folder.path);
  const row = (id: number) => [id, Date.now() * 1_000, '1', 'Idle', null];
  const tables = { actor_status_events: [row(1), row(2)] };
  await store.ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, tables });
  await store.close();
  const path = join(folder.path, 'segments/manifest.json');
  await writeFile(path, (await readFile(path, 'utf8')).replaceAll('"rows":2', '"rows":3'));
  await rm(join(folder.path, 'telemetry.duckdb'));
  said.length = 0;
  expect((await count(folder.path))[0]).toBe(0);
  expect(said.join()).toContain('the file has 2 rows, not 3; its 3 rows are left out');
});
