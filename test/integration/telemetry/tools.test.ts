import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RETENTION_HELP } from '../../../src/cli/retention-options.ts';
import { TABLES } from '../../../src/contract/index.ts';
import { resolveLimits, type TelemetryLimits } from '../../../src/telemetry/limits.ts';
import { retentionLimits, STORE_MAX_BYTES } from '../../../src/telemetry/retention/settings.ts';
import { Store } from '../../../src/telemetry/store/store.ts';
import { compactStore } from '../../../src/telemetry/tools/compact.ts';
import { exportStore } from '../../../src/telemetry/tools/export.ts';
import { verifyStore } from '../../../src/telemetry/tools/verify.ts';
import { startCli } from '../../support/cli.ts';
import { batch, dumpRequest, statusRow, temporaryFolder } from './support.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  data = join(folder.path, 'data');
});

afterEach(async () => {
  await folder.remove();
});

/** Fills the store, one segment for every part. */
async function fill(parts: readonly number[], limits: Partial<TelemetryLimits> = {}): Promise<void> {
  const opened = await Store.open(data, resolveLimits(limits));
  if (!opened.ok) throw new Error(opened.failure.message);
  const store = opened.value;
  const producer = randomUUID();
  for (const [index, count] of parts.entries()) {
    const rows = Array.from({ length: count }, (_, row) => [
      ...statusRow(`18446744073709${row}`).slice(0, 4),
      `"${row}",\n`,
    ]);
    expect((await store.ingest(batch(producer, index + 1, rows))).ok).toBe(true);
    await store.seal();
  }
  await store.storeDump(dumpRequest());
  await store.close();
}

async function telemetry(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return startCli(['telemetry', ...args, '--data', data]).ended;
}

async function rowsIn(sql: string, path = ':memory:'): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

describe('compact', () => {
  test('merges segments, drops what is over its bound, and makes the data file smaller', async () => {
    await fill([8_000, 8_000, 10]);
    const file = join(data, 'telemetry.duckdb');
    await rowsIn(
      `INSERT INTO actor_status_events SELECT i, 1, 2, 'Idle', md5(i::VARCHAR) FROM range(200000) t(i)`,
      file,
    );
    const before = (await stat(file)).size;
    const { code, stdout, stderr } = await telemetry('compact', '--retention', '1d');
    // Nothing but what it says when it takes long.
    expect([code, stderr.replace(/^compact: .* …\n/gm, '')]).toEqual([0, '']);
    expect(stdout).toMatch(/^16015 rows, [\d.]+ MiB → [\d.]+ [KM]iB\n$/);
    expect((await stat(file)).size).toBeLessThan(before / 2);
    expect(await readdir(data)).toEqual(['segments', 'telemetry.duckdb']);
    expect((await readdir(join(data, 'segments'))).length).toBe(2);
    expect(await telemetry('verify')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^fine: 16015 rows, .* 1 segment\n/),
    });
    // It goes on as before, counting once.
    const opened = await Store.open(data, resolveLimits());
    if (!opened.ok) throw new Error(opened.failure.message);
    expect(await opened.value.seal()).toEqual({ rows: 0 });
    expect(await opened.value.health()).toMatchObject({ ok: true, producers: 1 });
    await opened.value.close();
  });

  test('stopped on the way, or killed, the store is whole', async () => {
    await fill([5_000, 5_000]);
    for (const when of ['retention', 'segments', 'data file']) {
      const stop = new AbortController();
      const onProgress = (what: string): void => {
        if (what === when) stop.abort();
      };
      const outcome = await compactStore({ data_dir: data, signal: stop.signal, onProgress });
      expect(outcome).toMatchObject({ ok: false, failure: { message: expect.stringContaining('stopped') } });
      expect(await readdir(data)).toEqual(['segments', 'telemetry.duckdb']);
      expect(await verifyStore({ data_dir: data })).toMatchObject({ ok: true, value: { findings: [], rows: 10_005 } });
    }
    for (let round = 0; round < 4; round++) {
      const cli = startCli(['telemetry', 'compact', '--data', data]);
      setTimeout(() => cli.signal(round % 2 === 0 ? 'SIGKILL' : 'SIGINT'), 300 + 250 * Math.random());
      await cli.ended;
      expect(await verifyStore({ data_dir: data })).toMatchObject({ ok: true, value: { findings: [], rows: 10_005 } });
    }
    expect((await telemetry('compact')).code).toBe(0);
    expect(await readdir(data)).toEqual(['segments', 'telemetry.duckdb']);
  });
});

describe('export', () => {
  test.each(['parquet', 'csv', 'json'])('%s: every table, exactly, with a manifest', async (format) => {
    await fill([3]);
    const to = join(folder.path, 'export');
    const { code, stdout } = await telemetry('export', '--to', to, '--format', format);
    expect([code, stdout.startsWith(`${TABLES.length} tables, 8 rows, `)]).toEqual([0, true]);
    const manifest = JSON.parse(await readFile(join(to, 'manifest.json'), 'utf8'));
    expect(manifest.format).toBe(format);
    expect(manifest.tables.map(({ name }: { name: string }) => name)).toEqual(TABLES.map(({ name }) => name));
    expect((await readdir(to)).length).toBe(TABLES.length + 1);
    expect(await readdir(folder.path)).toEqual(['data', 'export']);
    const read = { parquet: 'read_parquet', csv: 'read_csv', json: 'read_json' }[format];
    const path = join(to, `actor_status_events.${format}`);
    expect(await rowsIn(`SELECT id::UBIGINT::VARCHAR, reason FROM ${read}('${path}') ORDER BY 1`)).toEqual([
      ['184467440737090', '"0",\n'],
      ['184467440737091', '"1",\n'],
      ['184467440737092', '"2",\n'],
    ]);
    expect(await rowsIn(`SELECT count(*)::INTEGER FROM ${read}('${join(to, `pyspy_frames.${format}`)}')`)).toEqual([
      [2],
    ]);
  });

  test('refuses a folder that exists, and leaves nothing when it is stopped or fails', async () => {
    await fill([3]);
    const to = join(folder.path, 'export');
    await mkdir(to);
    const refused = await telemetry('export', '--to', to);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('exists already')]);
    await rm(to, { recursive: true });
    const stop = new AbortController();
    const onProgress = (what: string): void => {
      if (what === 'messages') stop.abort();
    };
    const outcome = await exportStore({ data_dir: data, to, format: 'csv', signal: stop.signal, onProgress });
    expect(outcome).toMatchObject({ ok: false, failure: { message: expect.stringContaining('stopped') } });
    expect(await readdir(folder.path)).toEqual(['data']);
    const nowhere = await telemetry('export', '--to', join(folder.path, 'none/export'));
    expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringContaining('no such file or directory')]);
  });
});

describe('verify', () => {
  test('says that all is well, and changes nothing', async () => {
    await fill([3]);
    const before = await readFile(join(data, 'telemetry.duckdb'));
    expect(await telemetry('verify')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^fine: 8 rows/) });
    expect(await readFile(join(data, 'telemetry.duckdb'))).toEqual(before);
    expect(await readdir(data)).toEqual(['segments', 'telemetry.duckdb']);
  });

  test('tells each thing that is wrong, a line each, and exits 1', async () => {
    await fill([3, 3]);
    const damaged = join(data, 'segments/00000001/actor_status_events.parquet');
    const bytes = await readFile(damaged);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    await writeFile(damaged, bytes);
    await rm(join(data, 'segments/00000002/meshscope-producers.parquet'));
    await rowsIn(
      `UPDATE meshscope.sealed SET rows = 999 WHERE table_name = 'pyspy_frames'; ALTER TABLE nodes DROP COLUMN as_of`,
      join(data, 'telemetry.duckdb'),
    );
    const { code, stdout } = await telemetry('verify');
    expect(code).toBe(1);
    expect(stdout.trim().split('\n')).toEqual([
      'telemetry.duckdb: there is no nodes.as_of BIGINT NO',
      'pyspy_frames: 999 rows are noted as sealed, but the table has 2',
      'pyspy_frames: 999 rows are noted as sealed, but segments hold 2',
      'segment 1, actor_status_events: its checksum is wrong',
      'segment 2, producers: the file is missing',
    ]);
  });

  test('tells of a data file that cannot be opened, and of one that is missing', async () => {
    await fill([3]);
    const file = join(data, 'telemetry.duckdb');
    // In the middle, where nothing looks when it is opened.
    const bytes = await readFile(file);
    await writeFile(file, 'x'.repeat(1_000));
    expect(await telemetry('verify')).toMatchObject({ code: 1, stdout: expect.stringContaining('not a valid DuckDB') });
    await rm(file);
    expect(await telemetry('verify')).toMatchObject({ code: 1, stdout: 'telemetry.duckdb: missing\n' });
    bytes.fill(7, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 32_768);
    await writeFile(file, bytes);
    expect((await telemetry('verify')).code).toBe(1);
    await rm(data, { recursive: true });
    expect(await telemetry('verify')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no store in'),
    });
  });
});

test('verify takes the data file of a release that sealed nothing for what it is', async () => {
  await fill([5]);
  await rowsIn('DROP TABLE meshscope.sealing', join(data, 'telemetry.duckdb'));
  await rm(join(data, 'segments'), { recursive: true });
  expect(await verifyStore({ data_dir: data })).toMatchObject({ ok: true, value: { findings: [] } });
});

test('compact, export and verify refuse a store that is in use, naming the process', async () => {
  const service = startCli(['telemetry', '--port', '0', '--data', data]);
  await service.says(/listening on/);
  for (const args of [['compact'], ['verify'], ['export', '--to', join(folder.path, 'export')]]) {
    const { code, stderr } = await telemetry(...args);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(new RegExp(`in use by process ${service.pid} .*stop that process`)),
    ]);
  }
  service.signal('SIGTERM');
  expect((await service.ended).code).toBe(0);
});

test('--retention and --max-bytes: what they mean, and what they refuse', async () => {
  expect(retentionLimits({ retention_ms: 0 })).toMatchObject({ core_window_ms: 0, pyspy_window_ms: 0 });
  expect(resolveLimits(retentionLimits({ max_bytes: STORE_MAX_BYTES }))).toEqual(resolveLimits());
  expect(RETENTION_HELP).toContain(`Default ${STORE_MAX_BYTES / 2 ** 20}M`);
  expect(retentionLimits({ max_bytes: STORE_MAX_BYTES / 2 }).trace_max_bytes).toBe(200 * 2 ** 20);
  for (const args of [
    ['--retention', '5'],
    ['--retention', '11000d'],
    ['--max-bytes', '9M'],
    ['--max-bytes', 'lots'],
    ['--to', 'there'],
    ['compress'],
    ['verify', '--format', 'csv'],
  ]) {
    expect((await telemetry(...args)).code).toBe(2);
  }
});
