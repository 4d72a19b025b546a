import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Row, TableRows } from '../../../src/base/index.ts';
import { COLUMN_TYPES, type EventBatch, PACKED_MAX_BYTES, pack, TABLES } from '../../../src/contract/index.ts';
import { openDatabase } from '../../../src/telemetry/database/database.ts';
import { startTelemetry, type TelemetryLimits, type TelemetryService } from '../../../src/telemetry/index.ts';
import { resolveLimits } from '../../../src/telemetry/limits.ts';
import { openCore } from '../../../src/telemetry/service/core.ts';
import { countPacks, packRows } from '../../../src/telemetry/store/packs.ts';
import { Producers } from '../../../src/telemetry/store/producers.ts';
import { Writer } from '../../../src/telemetry/store/writer.ts';
import { until } from '../../support/until.ts';
import {
  batch,
  dumpRequest,
  isAlive,
  post,
  query,
  rowsOf,
  startService,
  statusRow,
  TOKEN,
  temporaryFolder,
} from './support.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
/** Of the owners' compiled scripts, so that only the first compiles them. */
let compiled: Awaited<ReturnType<typeof temporaryFolder>>;
const services: TelemetryService[] = [];
const owners: ChildProcess[] = [];

beforeAll(async () => {
  compiled = await temporaryFolder();
});

afterAll(() => compiled.remove());

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(async () => {
  for (const owner of owners.splice(0)) owner.kill('SIGKILL');
  await Promise.all(services.splice(0).map((service) => service.close()));
  await folder.remove();
});

async function start(limits: Partial<TelemetryLimits> = {}): Promise<TelemetryService> {
  const service = await startService(folder.path, limits);
  services.push(service);
  return service;
}

/** @param script shell commands that come before the owner, in its process */
async function startOwner(
  limits: Partial<TelemetryLimits> = {},
  script = '',
): Promise<{ child: ChildProcess; said: { url?: string; error?: string } }> {
  const owner = [join(import.meta.dirname, 'owner.ts'), folder.path, JSON.stringify(limits)];
  const child = spawn('/bin/sh', ['-c', `${script}\nexec "$@"`, 'sh', process.execPath, ...owner], {
    env: { ...process.env, NODE_COMPILE_CACHE: compiled.path },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  owners.push(child);
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  const said = await new Promise<string>((resolve) => lines.once('line', resolve));
  return { child, said: JSON.parse(said) as { url?: string; error?: string } };
}

describe('tables', () => {
  test('information_schema shows the tables of the contract, empty, with their columns in order', async () => {
    const { url } = await start();
    const columns = await rowsOf(
      url,
      `select table_catalog, table_schema, table_name, column_name, data_type, is_nullable
         from information_schema.columns
         where table_name in (select table_name from information_schema.tables where table_type = 'BASE TABLE')
         order by table_name, ordinal_position`,
    );
    const expected = [...TABLES]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((table) =>
        table.columns.map((column) => ({
          table_catalog: 'telemetry',
          table_schema: 'main',
          table_name: table.name,
          column_name: column.name,
          data_type: COLUMN_TYPES[column.type],
          is_nullable: column.nullable ? 'YES' : 'NO',
        })),
      );
    expect(columns).toEqual(expected);
    const counts = await rowsOf(url, TABLES.map(({ name }) => `select count(*) as n from ${name}`).join(' union all '));
    expect(counts).toEqual(TABLES.map(() => ({ n: 0 })));
  });

  test('the folder and the file are closed to other users', async () => {
    const data_dir = join(folder.path, 'data');
    services.push(await startService(data_dir));
    expect((await stat(data_dir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(data_dir, 'telemetry.duckdb'))).mode & 0o777).toBe(0o600);
  });
});

describe('ingestion', () => {
  test('a batch counts once, however often and in whatever company it is sent', async () => {
    const { url } = await start();
    const producer = randomUUID();
    expect((await post(url, '/ingest', batch(producer, 1, [statusRow(1), statusRow(2)], 3))).json).toEqual({
      acked: 1,
    });
    expect((await post(url, '/ingest', batch(producer, 1, [statusRow(1), statusRow(2)], 3))).json).toEqual({
      acked: 1,
    });
    const again = Array.from({ length: 20 }, () => post(url, '/ingest', batch(producer, 2, [statusRow(3)])));
    for (const answer of await Promise.all(again)) expect(answer.json).toEqual({ acked: 2 });
    expect((await post(url, '/ingest', batch(producer, 1, [statusRow(9)]))).json).toEqual({ acked: 1 });
    expect(await rowsOf(url, 'select id from actor_status_events order by id')).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ]);
    const health = (await (await fetch(`${url}/healthz`)).json()) as Record<string, unknown>;
    expect(health).toMatchObject({ ok: true, rows_stored: 3, producers: 1, lost_rows: 3, duplicate_batches: 21 });
  });

  test('batches that wait together share commits', async () => {
    const { url } = await start();
    const sends = Array.from({ length: 100 }, (_, index) =>
      post(url, '/ingest', batch(randomUUID(), 1, [statusRow(index)])),
    );
    for (const answer of await Promise.all(sends)) expect(answer.status).toBe(200);
    const health = (await (await fetch(`${url}/healthz`)).json()) as { commits: number };
    expect(health.commits).toBeLessThan(60);
    expect(await rowsOf(url, 'select count(distinct id) as n from actor_status_events')).toEqual([{ n: 100 }]);
  });

  test('64-bit integers, doubles, nulls and text come back exactly', async () => {
    const { url } = await start();
    const gauge = ['g', '-9223372036854775808', null, 's', 'By', '{"é":"\\u0000"}', '{}', 0.1, '9223372036854775807'];
    const tables = {
      actors: [['18446744073709551615', 1, 0, '9007199254740993', 'näme\n"q"', null]],
      metric_gauges: [[...gauge, '18446744073709551614']],
    };
    expect((await post(url, '/ingest', { producer: randomUUID(), seq: 1, lost_rows: 0, tables })).status).toBe(200);
    const actors = await query(url, 'select * exclude (timestamp_us, mesh_id) from actors');
    expect(actors.text).toContain(
      '{"id":18446744073709551615,"rank":9007199254740993,"full_name":"näme\\n\\"q\\"","display_name":null}',
    );
    const gauges = await query(url, 'select * from metric_gauges');
    for (const exact of ['-9223372036854775808', '9223372036854775807', '18446744073709551614', ':0.1,']) {
      expect(gauges.text).toContain(exact);
    }
    const sum = await query(url, 'select sum(id) + 1 as s from actors');
    expect(sum.text).toContain('{"s":18446744073709551616}');
  });

  test.each([
    ['no such table', { tables: { nobody: [] } }, 'tables.nobody'],
    ['row too short', { tables: { span_events: [[1, 2]] } }, 'tables.span_events[0]'],
    ['null where none may be', { tables: { span_events: [['p', 1, 2, null]] } }, 'event_type'],
    ['integer out of range', { tables: { span_events: [['p', '18446744073709551616', 2, 'enter']] } }, 'id'],
    ['producer that is no uuid', { producer: 'x' }, 'producer'],
    ['number 0', { seq: 0 }, 'seq'],
    ['no batch at all', { tables: 7 }, 'tables'],
  ])('a bad batch is refused, naming the place, and stores nothing: %s', async (_, change, place) => {
    const { url } = await start();
    const answer = await post(url, '/ingest', { producer: randomUUID(), seq: 1, lost_rows: 0, tables: {}, ...change });
    expect([answer.status, answer.code]).toEqual([400, 'bad_request']);
    expect(answer.message).toContain(place);
    expect((await (await fetch(`${url}/healthz`)).json()) as object).toMatchObject({ rows_stored: 0, producers: 0 });
  });

  test('decimal text is an integer in every integer column', async () => {
    const { url } = await start();
    const span = ['p', '1', 'n', 't', 'info', '{}', '2', null, 'main', null, '4294967295'];
    const dump = [randomUUID(), '1', '-2147483648', 'b', 'p', 'c', '[]'];
    const tables = { spans: [span], pyspy_dumps: [dump] };
    const answer = await post(url, '/ingest', { producer: randomUUID(), seq: 1, lost_rows: 0, tables });
    expect(answer.json).toEqual({ acked: 1 });
    expect(await rowsOf(url, 'select line from spans')).toEqual([{ line: 4_294_967_295 }]);
    expect(await rowsOf(url, 'select pid from pyspy_dumps')).toEqual([{ pid: -2_147_483_648 }]);
  });

  test('a body that is wrong in a million places is refused at the first', async () => {
    const { url } = await start();
    const wrong = `{"producer":"${randomUUID()}","seq":1,"lost_rows":0,"tables":{"actors":[[${'{},'.repeat(1_000_000)}{}]]}}`;
    const begin_bytes = process.memoryUsage.rss();
    const answer = await post(url, '/ingest', wrong);
    expect([answer.status, answer.message]).toEqual([400, expect.stringContaining('tables.actors[0]: 1000001 values')]);
    // An issue for each would take some 2 GB.
    expect(process.memoryUsage.rss() - begin_bytes).toBeLessThan(700e6);
  });

  test('rows per batch: 10,000 are stored, 10,001 refused', async () => {
    const { url } = await start();
    const rows = Array.from({ length: 10_000 }, (_, index) => statusRow(index));
    expect((await post(url, '/ingest', batch(randomUUID(), 1, rows))).status).toBe(200);
    const more = await post(url, '/ingest', batch(randomUUID(), 1, [...rows, statusRow(1)]));
    expect([more.status, more.message]).toEqual([400, expect.stringContaining('10000')]);
    expect(await rowsOf(url, 'select count(*) as n from actor_status_events')).toEqual([{ n: 10_000 }]);
  });
});

describe('packed batches', () => {
  const rows = (count: number): Row[] => Array.from({ length: count }, (_, index) => statusRow(index));

  function packedOf(tables: TableRows): Uint8Array {
    const packed = pack(tables);
    if (!packed.ok) throw new Error(packed.failure.message);
    return packed.value;
  }

  function packedBatch(bytes: Uint8Array, seq = 1, producer: string = randomUUID()): EventBatch {
    return { producer, seq, lost_rows: 0, packed: zstdCompressSync(bytes).toString('base64') };
  }

  test('rows by columns are the same rows, and a batch counts once in either form', async () => {
    const { url } = await start();
    const producer = randomUUID();
    const given = [statusRow(1), statusRow('18446744073709551615'), [3, 4, 5, 'a\0b', 'a reason with a NUL\0 inside']];
    const bytes = packedOf({ actor_status_events: given, actors: [[1, 2, 3, 4, 'näme', null]] });
    expect((await post(url, '/ingest', packedBatch(bytes, 1, producer))).json).toEqual({ acked: 1 });
    expect((await post(url, '/ingest', packedBatch(bytes, 1, producer))).json).toEqual({ acked: 1 });
    expect((await post(url, '/ingest', batch(producer, 1, rows(5)))).json).toEqual({ acked: 1 });
    const answer = await query(url, 'select id, new_status, reason from actor_status_events order by id');
    expect(answer.text).toContain(
      '[{"id":1,"new_status":"Idle","reason":null},{"id":3,"new_status":"a\\u0000b","reason":"a reason with a NUL\\u0000 inside"},{"id":18446744073709551615,',
    );
    expect(await rowsOf(url, 'select full_name, display_name from actors')).toEqual([
      { full_name: 'näme', display_name: null },
    ]);
    expect((await post(url, '/ingest', batch(producer, 2, rows(5)))).json).toEqual({ acked: 2 });
    const health = (await (await fetch(`${url}/healthz`)).json()) as object;
    expect(health).toMatchObject({ rows_stored: 9, producers: 1, duplicate_batches: 2 });
  });

  test('batches of one producer are taken in the order in which they came, whatever takes longer to unpack', async () => {
    const opened = await openCore({ data_dir: join(folder.path, 'core') });
    if (!opened.ok) throw new Error(opened.failure.message);
    const { store, close } = opened.value;
    const producer = randomUUID();
    const noise = (count: number): Row[] =>
      Array.from({ length: count }, (_, index) => [index, 1, 2, 'Idle', randomBytes(48).toString('hex')]);
    const large = packedBatch(packedOf({ actor_status_events: noise(9_000) }), 1, producer);
    const answers = await Promise.all([large, batch(producer, 2, rows(1))].map((each) => store.ingest(each)));
    expect(answers.map((answer) => answer.ok)).toEqual([true, true]);
    expect((await store.health()).rows_stored).toBe(9_001);
    await close();
  });

  test('a query process follows batches of any length', async () => {
    const { url } = await start();
    const producer = randomUUID();
    let stored = 0;
    for (let seq = 1; seq <= 60; seq++) {
      const some = rows((seq * 37) % 101).map((row, index) => [...row.slice(0, 4), 'x'.repeat((seq * index) % 29)]);
      expect(
        (await post(url, '/ingest', packedBatch(packedOf({ actor_status_events: some }), seq, producer))).status,
      ).toBe(200);
      stored += some.length;
      const sql = 'select count(*) as n, count(distinct id) <= 101 as is_whole from actor_status_events';
      expect(await rowsOf(url, sql)).toEqual([{ n: stored, is_whole: true }]);
    }
  });

  const good = () => packedOf({ actor_status_events: rows(3) });
  const compressed = (bytes: Uint8Array) => zstdCompressSync(bytes).toString('base64');
  const otherVersion = () => {
    const bytes = good();
    bytes[0] = 9;
    return bytes;
  };
  test.each<[string, () => Partial<EventBatch>, string]>([
    ['both forms', () => ({ packed: compressed(good()), tables: {} }), 'both tables and packed'],
    ['neither form, and nothing lost', () => ({}), 'neither tables nor packed'],
    ['no base64', () => ({ packed: `${compressed(good()).slice(0, -8)}????????` }), 'packed: not base64'],
    ['nothing at all', () => ({ packed: '' }), 'packed: not base64'],
    ['no zstd', () => ({ packed: Buffer.from('zstd?').toString('base64') }), 'packed: not zstd'],
    ['half of it', () => ({ packed: zstdCompressSync(good()).subarray(0, 20).toString('base64') }), 'packed: not zstd'],
    ['another version', () => ({ packed: compressed(otherVersion()) }), 'packed: version 9, expected 1'],
    ['bytes too many', () => ({ packed: compressed(Buffer.concat([good(), Buffer.alloc(8)])) }), '8 bytes too many'],
    [
      'a small bomb',
      () => ({ packed: compressed(Buffer.alloc(PACKED_MAX_BYTES + 1)) }),
      `more than ${PACKED_MAX_BYTES}`,
    ],
    [
      'a bomb that is large itself',
      () => ({ packed: compressed(Buffer.concat([randomBytes(1024 * 1024), Buffer.alloc(500e6)])) }),
      `more than ${PACKED_MAX_BYTES}`,
    ],
  ])('refused, saying why, and nothing is stored: %s', async (_, change, why) => {
    const { url } = await start();
    const begin_bytes = process.memoryUsage.rss();
    const answer = await post(url, '/ingest', { producer: randomUUID(), seq: 1, lost_rows: 0, ...change() });
    expect([answer.status, answer.code]).toEqual([400, 'bad_request']);
    expect(answer.message).toContain(why);
    expect(process.memoryUsage.rss() - begin_bytes).toBeLessThan(700e6);
    expect(await healthOf(url)).toMatchObject({ rows_stored: 0, producers: 0 });
  });

  test('columns of n bytes are taken', async () => {
    const { url } = await start();
    const text = (chars: number) => [[1, 2, 3, 'Idle', 'x'.repeat(chars)]];
    const room = PACKED_MAX_BYTES - packedOf({ actor_status_events: text(0) }).length;
    const bytes = packedOf({ actor_status_events: text(room) });
    expect(bytes.length).toBe(PACKED_MAX_BYTES);
    expect((await post(url, '/ingest', packedBatch(bytes))).json).toEqual({ acked: 1 });
    expect(await rowsOf(url, 'select strlen(reason) as n from actor_status_events')).toEqual([{ n: room }]);
  });

  test('what a producer lost may be told without rows', async () => {
    const { url } = await start();
    const producer = randomUUID();
    expect((await post(url, '/ingest', { producer, seq: 1, lost_rows: 7 })).json).toEqual({ acked: 1 });
    expect((await post(url, '/ingest', { producer, seq: 2, lost_rows: 0, tables: {} })).json).toEqual({ acked: 2 });
    expect((await post(url, '/ingest', packedBatch(packedOf({}), 3, producer))).json).toEqual({ acked: 3 });
    expect(await healthOf(url)).toMatchObject({ rows_stored: 0, producers: 1, lost_rows: 7 });
  });

  test('the place of a wrong value is that in the whole batch', async () => {
    const { url } = await start();
    const wrong = [...rows(2_345), [1, 2, 3, 4, null]];
    const answer = await post(url, '/ingest', {
      producer: randomUUID(),
      seq: 1,
      lost_rows: 0,
      tables: { actor_status_events: wrong },
    });
    expect(answer.message).toContain('tables.actor_status_events[2345]: new_status: 4 is not text');
  });
});

describe('writes that wait', () => {
  const packs = async () => {
    const packed = await packRows({ actor_status_events: [statusRow(1), statusRow(2)] });
    if (!packed.ok) throw new Error(packed.failure.message);
    return packed.value;
  };

  /** A writer whose line does not move before `go` is called. */
  async function heldWriter(limits: Partial<TelemetryLimits>) {
    const resolved = resolveLimits(limits);
    const opened = await openDatabase(folder.path, resolved);
    if (!opened.ok) throw new Error(opened.failure.message);
    const producers = new Producers();
    await producers.load(opened.value.connection);
    const writer = new Writer(opened.value, producers, resolved);
    const { promise, resolve: go } = Promise.withResolvers<void>();
    const held = writer.alone(() => promise);
    return { writer, go, held };
  }

  test('n writes wait, one more is refused, and taken when it is sent again', async () => {
    const { writer, go, held } = await heldWriter({ writes_waiting_max: 2 });
    const write = { packs: await packs(), mark: null };
    const waiting = [writer.write(write), writer.write(write)];
    expect(await writer.write(write)).toMatchObject({
      ok: false,
      failure: { code: 'service_unavailable', message: 'telemetry has 2 writes waiting; send again later' },
    });
    go();
    await held;
    for (const outcome of await Promise.all(waiting)) expect(outcome.ok).toBe(true);
    expect((await writer.write(write)).ok).toBe(true);
    await writer.close();
  });

  test('n bytes wait, more are refused; one write alone always may', async () => {
    const one = await packs();
    const bytes = countPacks(one).bytes;
    const { writer, go, held } = await heldWriter({ writes_waiting_max_bytes: 2 * bytes });
    const waiting = [writer.write({ packs: one, mark: null }), writer.write({ packs: one, mark: null })];
    const refused = await writer.write({ packs: one, mark: null });
    expect(refused).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    expect(refused.ok ? '' : refused.failure.message).toContain(`at most ${2 * bytes} may`);
    go();
    await held;
    for (const outcome of await Promise.all(waiting)) expect(outcome.ok).toBe(true);
    expect((await writer.write({ packs: [...one, ...one, ...one], mark: null })).ok).toBe(true);
    await writer.close();
  });
});

describe('stored dumps', () => {
  test('a dump is found by its id in all four tables as soon as it is acknowledged', async () => {
    const { url } = await start();
    for (let round = 0; round < 3; round++) {
      const request = dumpRequest();
      const before_us = Date.now() * 1000;
      expect((await post(url, '/dumps', request)).json).toEqual({ dump_id: request.dump_id });
      const where = `where dump_id = '${request.dump_id}'`;
      const [dump] = await rowsOf(url, `select * from pyspy_dumps ${where}`);
      expect(dump).toMatchObject({
        pid: 4242,
        proc_ref: request.proc_ref,
        capture_mode: 'python_only',
        warnings_json: '["late \\"frame\\""]',
      });
      expect(dump?.timestamp_us).toBeGreaterThanOrEqual(before_us);
      expect(
        await rowsOf(url, `select thread_name, active, owns_gil, os_thread_id from pyspy_stack_traces ${where}`),
      ).toEqual([{ thread_name: 'MainThread', active: true, owns_gil: true, os_thread_id: 4242 }]);
      expect(
        await rowsOf(url, `select frame_depth, name, line from pyspy_frames ${where} order by frame_depth`),
      ).toEqual([
        { frame_depth: 0, name: 'train_step', line: 12 },
        { frame_depth: 1, name: '<module>', line: 12 },
      ]);
      expect(await rowsOf(url, `select name, arg, repr from pyspy_local_variables ${where}`)).toEqual([
        { name: 'step', arg: true, repr: '7' },
      ]);
    }
  });

  test('rows per dump: n are stored, n + 1 refused', async () => {
    const { url } = await start({ dump_rows_max: 5 });
    const request = dumpRequest();
    expect((await post(url, '/dumps', request)).status).toBe(200);
    request.result.stack_traces.push({ ...dumpRequest().result.stack_traces[0], frames: [] } as never);
    const more = await post(url, '/dumps', request);
    expect([more.status, more.message]).toEqual([400, expect.stringContaining('at most 5')]);
  });

  test('a dump that is not the contract’s is refused, naming the field', async () => {
    const { url } = await start();
    const answer = await post(url, '/dumps', { ...dumpRequest(), dump_id: 'mine' });
    expect([answer.status, answer.message]).toEqual([400, expect.stringContaining('dump_id')]);
  });
});

describe('ownership', () => {
  test('a second owner gets an error that names the first, and the first goes on, copies or not', async () => {
    const { said, child } = await startOwner();
    // Copying the file for a query must not give up the lock on it.
    await rowsOf(said.url ?? '', 'select 1 as one');
    const second = await startTelemetry({ data_dir: folder.path, token: TOKEN });
    expect(second).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    expect(second.ok ? '' : second.failure.message).toContain(`process ${child.pid}`);
    expect((await post(said.url ?? '', '/ingest', batch(randomUUID(), 1, [statusRow(1)]))).status).toBe(200);
    child.kill('SIGTERM');
    await until(() => child.exitCode !== null, 'the end of the first owner');
    expect(child.exitCode).toBe(0);
    expect((await readdir(folder.path)).sort()).toEqual(['segments', 'telemetry.duckdb']);
    const third = await start();
    expect(await rowsOf(third.url, 'select id from actor_status_events')).toEqual([{ id: 1 }]);
  });

  test('a second owner in the same process is refused too', async () => {
    await start();
    const second = await startTelemetry({ data_dir: folder.path, token: TOKEN });
    expect(second).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
  });
});

describe('recovery', () => {
  test('kill -9 under load: every acknowledged batch is there exactly once, and its query process is gone', async () => {
    const acknowledged = new Map<string, number>();
    for (let round = 0; round < 3; round++) {
      const { said, child } = await startOwner();
      const url = said.url ?? '';
      expect(said.error).toBeUndefined();
      await rowsOf(url, 'select 1 as one');
      const worker = await childOf(child.pid ?? 0);
      let sent = 0;
      const load = Array.from({ length: 6 }, async () => {
        const producer = randomUUID();
        for (let seq = 1; ; seq++) {
          const rows = Array.from({ length: 50 }, () => [...statusRow(seq).slice(0, 4), producer]);
          // The answer may be lost to the kill, so each batch is sent twice, as a producer would.
          for (const _ of [1, 2]) {
            const answer = await post(url, '/ingest', batch(producer, seq, rows)).catch(() => null);
            if (answer === null) return;
            expect(answer.json).toEqual({ acked: seq });
            acknowledged.set(producer, seq);
            sent += 1;
          }
        }
      });
      await until(() => sent > 60 + 40 * round, 'the load to be on');
      child.kill('SIGKILL');
      await Promise.all(load);
      await until(() => !isAlive(worker), 'the query process to end with its owner');
    }
    expect(await readdir(folder.path)).toContain('telemetry-copies');
    const { url } = await start();
    expect(await readdir(folder.path)).not.toContain('telemetry-copies');
    const rows = await rowsOf(
      url,
      'select reason as producer, id as seq, count(*) as n from actor_status_events group by all order by all',
    );
    const batches = new Map<string, number>();
    for (const { producer, seq, n } of rows) {
      expect(n).toBe(50);
      expect(seq).toBe((batches.get(String(producer)) ?? 0) + 1);
      batches.set(String(producer), Number(seq));
    }
    expect(acknowledged.size).toBe(18);
    for (const [producer, seq] of acknowledged) {
      // What was committed but not acknowledged in time may be there too: at most the one batch that was on its way.
      expect([seq, seq + 1]).toContain(batches.get(producer));
      const repeated = await post(url, '/ingest', batch(producer, seq, [statusRow(0)]));
      expect(repeated.json).toEqual({ acked: seq });
    }
    expect(await rowsOf(url, 'select count(*) as n from actor_status_events where id = 0')).toEqual([{ n: 0 }]);
  });
});

describe('a full disk', () => {
  // The limit on the size of a file stands for the disk, and can be lifted from outside like a disk can be cleared.
  const FULL = 'trap "" XFSZ; ulimit -S -f ';
  const rows = (seq: number): Row[] =>
    Array.from({ length: 500 }, () => [...statusRow(seq).slice(0, 4), randomUUID() + randomUUID()]);

  async function fill(url: string, producer: string): Promise<{ acked: number; message: string }> {
    for (let seq = 1; seq < 1_000; seq++) {
      const answer = await post(url, '/ingest', batch(producer, seq, rows(seq)));
      if (answer.status !== 200) return { acked: seq - 1, message: answer.message };
    }
    throw new Error('the disk never got full');
  }

  test.each([
    ['the log cannot be written', 64, 200],
    // Then a copy for queries cannot be taken either.
    ['the data file cannot be written, and DuckDB gives the database up', 1, 503],
  ])(
    '%s: refused, said by /healthz, and taken again once there is room; nothing is lost',
    async (_, owner_wal_mib, reading) => {
      // 6144 blocks are 3 MiB or 6 MiB, as the shell counts.
      const { child, said } = await startOwner({ owner_wal_mib, reopen_interval_ms: 50 }, `${FULL} 6144`);
      const url = said.url ?? '';
      const count = 'select count(*) as n, count(distinct id) as batches from actor_status_events';
      await rowsOf(url, count);
      const producer = randomUUID();
      const { acked, message } = await fill(url, producer);
      expect(acked).toBeGreaterThan(0);
      expect(message).toContain('File too large');
      expect(message).not.toContain(folder.path);
      const response = await fetch(`${url}/healthz`);
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({ ok: false, failure: expect.stringContaining('telemetry.duckdb') });
      // Refused again without harm, unless the file, opened again, turns out to have it: then it is a repeated one.
      const repeated = await post(url, '/ingest', batch(producer, acked + 1, rows(acked + 1)));
      if (reading === 200 || repeated.status !== 200) expect(repeated.status).toBe(503);
      const answer = await query(url, count);
      if (reading === 200 || answer.status !== 200) expect(answer.status).toBe(reading);
      expect(answer.text).not.toContain(folder.path);
      const batches = repeated.status === 200 ? acked + 1 : acked;
      if (answer.status === 200) expect(answer.json.rows).toEqual([{ n: batches * 500, batches }]);

      execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited:unlimited']);
      await until(async () => {
        const answer = await post(url, '/ingest', batch(producer, acked + 1, rows(acked + 1)));
        return answer.status === 200;
      }, 'it to take batches again');
      expect(await (await fetch(`${url}/healthz`)).json()).toMatchObject({ ok: true, failure: null });
      expect(await rowsOf(url, count)).toEqual([{ n: (acked + 1) * 500, batches: acked + 1 }]);
      // It still owns the file.
      expect((await startTelemetry({ data_dir: folder.path, token: TOKEN })).ok).toBe(false);
      child.kill('SIGKILL');
      await until(() => child.exitCode !== null || child.signalCode !== null, 'the end of the owner');
      const again = await start();
      expect(await rowsOf(again.url, count)).toEqual([{ n: (acked + 1) * 500, batches: acked + 1 }]);
    },
  );
});

describe('retention', () => {
  // Ahead of the clock, so that the sweeps of the service, which go by it, find nothing that is old.
  const now_ms = Date.now() + 3_600_000;
  const now_us = now_ms * 1000;

  test('status events: by age, strictly, and by number', async () => {
    const { url, sweep } = await start({ core_window_ms: 1_000, event_rows_max: 4 });
    const at = [now_us - 1_000_000, now_us - 999_999, now_us, now_us + 1];
    await post(
      url,
      '/ingest',
      batch(
        randomUUID(),
        1,
        at.map((timestamp_us, index) => statusRow(index, timestamp_us)),
      ),
    );
    expect(await rowsOf(url, 'select count(*) as n from actor_status_events')).toEqual([{ n: 4 }]);
    await sweep(now_ms);
    expect(await rowsOf(url, 'select id from actor_status_events order by id')).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ]);
    await post(url, '/ingest', batch(randomUUID(), 1, [statusRow(4, now_us + 2), statusRow(5, now_us + 3)]));
    await sweep(now_ms);
    expect(await rowsOf(url, 'select id from actor_status_events order by id')).toEqual([
      { id: 2 },
      { id: 3 },
      { id: 4 },
      { id: 5 },
    ]);
  });

  test('captures: the newest stay, others go whole by age and beyond a number; unfinished ones go by age', async () => {
    const limits = { snapshots_keep_min: 2, snapshots_keep_max: 3, snapshot_window_ms: 1_000 };
    const { url, sweep } = await start(limits);
    const capture = async (name: string, ts: number, finished = true): Promise<void> => {
      const tables = {
        nodes: [[name, 'root', 'root', ts]],
        children: [[name, 'root', 'host:a', 0, false, false]],
        ...(finished ? { snapshots: [[name, ts]] } : {}),
      };
      await post(url, '/ingest', { producer: randomUUID(), seq: 1, lost_rows: 0, tables });
    };
    for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) await capture(name, now_us - 5_000_000 + index);
    await capture('half-old', now_us - 5_000_000, false);
    await capture('half-new', now_us, false);
    await sweep(now_ms);
    const left =
      'select (select list(snapshot_id order by 1) from snapshots) as s, list(snapshot_id order by 1) as n from ';
    expect(await rowsOf(url, `${left} nodes`)).toEqual([{ s: ['c', 'd'], n: ['c', 'd', 'half-new'] }]);
    expect(await rowsOf(url, `${left} children`)).toEqual([{ s: ['c', 'd'], n: ['c', 'd', 'half-new'] }]);
    for (const name of ['x', 'y']) await capture(name, now_us);
    await sweep(now_ms);
    expect(await rowsOf(url, 'select list(snapshot_id order by 1) as s from snapshots')).toEqual([{ s: ['x', 'y'] }]);
    for (const name of ['z', 'zz']) await capture(name, now_us);
    await sweep(now_ms);
    expect(await rowsOf(url, 'select count(*) as n from snapshots')).toEqual([{ n: 3 }]);
  });

  test('captures by rows: the newest stay whole, n rows together, and at least one capture', async () => {
    const { url, sweep } = await start({ snapshot_rows_keep_max: 4 });
    const capture = async (name: string, ts: number, nodes: number): Promise<void> => {
      const rows = Array.from({ length: nodes }, (_, index) => [name, `node-${index}`, 'host', ts]);
      const tables = { nodes: rows, snapshots: [[name, ts]] };
      await post(url, '/ingest', { producer: randomUUID(), seq: 1, lost_rows: 0, tables });
    };
    const kept = 'select (select list(snapshot_id order by 1) from snapshots) as s, count(*) as n from nodes';
    await capture('a', now_us, 2);
    await capture('b', now_us + 1, 2);
    await sweep(now_ms);
    expect(await rowsOf(url, kept)).toEqual([{ s: ['a', 'b'], n: 4 }]);
    await capture('c', now_us + 2, 1);
    await sweep(now_ms);
    expect(await rowsOf(url, kept)).toEqual([{ s: ['b', 'c'], n: 3 }]);
    await capture('d', now_us + 3, 5);
    await sweep(now_ms);
    expect(await rowsOf(url, kept)).toEqual([{ s: ['d'], n: 5 }]);
  });

  // A dump of the fixture has five rows.
  test.each([
    ['number', { dumps_keep_max: 2 }],
    ['rows', { dump_rows_keep_max: 10 }],
  ])('dumps, by %s: the newest stay, the others go whole', async (_, bound) => {
    const { url, sweep } = await start(bound);
    const ids: string[] = [];
    for (let index = 0; index < 3; index++) {
      const request = dumpRequest();
      ids.push(request.dump_id);
      await post(url, '/dumps', request);
      const stored_ms = Date.now();
      await until(() => Date.now() > stored_ms, 'the clock to move on');
      await sweep();
    }
    for (const table of ['pyspy_dumps', 'pyspy_stack_traces', 'pyspy_frames', 'pyspy_local_variables']) {
      const [left] = await rowsOf(url, `select list(distinct dump_id order by dump_id) as ids from ${table}`);
      expect(left?.ids).toEqual(ids.slice(1).sort());
    }
  });

  test('producers: those longest unheard are forgotten, their losses are not', async () => {
    const { url, sweep } = await start({ producers_max: 2 });
    for (let index = 0; index < 3; index++) await post(url, '/ingest', batch(randomUUID(), 1, [], 5));
    await sweep();
    expect(await (await fetch(`${url}/healthz`)).json()).toMatchObject({ producers: 2, lost_rows: 15 });
    await services.pop()?.close();
    const again = await start();
    expect(await (await fetch(`${again.url}/healthz`)).json()).toMatchObject({ producers: 2, lost_rows: 15 });
  });
});

async function healthOf(url: string): Promise<object> {
  return (await (await fetch(`${url}/healthz`)).json()) as object;
}

async function childOf(pid: number): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return Number(text.trim().split(' ')[0]);
}
