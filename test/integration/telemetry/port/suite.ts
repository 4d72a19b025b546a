/**
 * How a telemetry store must behave, whatever engine it has. A test file of an engine gives a place where one can be opened,
 * closed and opened again, and calls `storeCases`.
 */

import { randomUUID } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TableRows } from '../../../../src/base/index.ts';
import { parseExact } from '../../../../src/cli/exact-json.ts';
import { COLUMN_TYPES, pack, type StoreDumpRequest, TABLES } from '../../../../src/contract/index.ts';
import type { TelemetryStore } from '../../../../src/telemetry/port.ts';

/** Bounds that a case sets low, so that it can try what happens at them. */
export interface Bounds {
  readonly dump_rows_max?: number;
  readonly dumps_keep_max?: number;
  readonly result_rows_max?: number;
  readonly sql_max_bytes?: number;
  /** Age at which status changes go. */
  readonly event_window_ms?: number;
}

/** Where a store keeps what it has, between being closed and opened again. */
export interface Place {
  open(bounds?: Bounds): Promise<TelemetryStore>;
  /** Opens the store in a process of its own, has it take the batches, and kills it right after the last acknowledgement. */
  takeAndDie(batches: readonly object[]): Promise<void>;
  remove(): Promise<void>;
}

type Row = readonly unknown[];

export function storeCases(makePlace: () => Promise<Place>): void {
  let place: Place;
  let store: TelemetryStore | null = null;

  beforeEach(async () => {
    place = await makePlace();
  });

  afterEach(async () => {
    await store?.close();
    store = null;
    await place.remove();
  });

  /** One store for the cases of a group, each of which leaves it to the next: opening takes longer than they do. */
  function shareStore(prepare: (opened: TelemetryStore) => Promise<unknown> = async () => undefined): void {
    let shared: { place: Place; store: TelemetryStore };
    beforeAll(async () => {
      const own = await makePlace();
      shared = { place: own, store: await own.open() };
      await prepare(shared.store);
    });
    beforeEach(() => {
      store = shared.store;
    });
    // Before the hook above, which closes the store of a case.
    afterEach(() => {
      store = null;
    });
    afterAll(async () => {
      await shared.store.close();
      await shared.place.remove();
    });
  }

  async function open(bounds: Bounds = {}): Promise<TelemetryStore> {
    store = await place.open(bounds);
    return store;
  }

  async function reopen(bounds: Bounds = {}): Promise<TelemetryStore> {
    await store?.close();
    store = null;
    return open(bounds);
  }

  /** Rows of a query that must succeed, with integers exact. */
  async function rows(sql: string): Promise<Record<string, unknown>[]> {
    const answer = await (store as TelemetryStore).query(sql);
    if (!answer.ok) throw new Error(`${sql}: ${answer.failure.message}`);
    const text = Buffer.concat(answer.value.parts).toString('utf8');
    return (parseExact(text) as { rows: Record<string, unknown>[] }).rows;
  }

  async function ids(): Promise<unknown[]> {
    return (await rows('select id from actor_status_events order by id')).map(({ id }) => id);
  }

  const storeDump = (dump: object) => (store as TelemetryStore).storeDump(dump);
  const ingest = (batch: object) => (store as TelemetryStore).ingest(batch);
  const acked = (seq: number) => ({ ok: true, value: { acked: seq } });
  const refused = (text: string) => ({
    ok: false,
    failure: { code: 'bad_request', message: expect.stringContaining(text) },
  });

  describe('tables', () => {
    it('are all there from the first, empty, with the columns of the contract', async () => {
      await open();
      const found = await rows(
        `select c.table_name, c.column_name, c.data_type, c.is_nullable from information_schema.columns c
           join information_schema.tables t using (table_schema, table_name)
          where t.table_type = 'BASE TABLE' order by c.table_name, c.ordinal_position`,
      );
      const expected = [...TABLES]
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .flatMap(({ name, columns }) =>
          columns.map((column) => ({
            table_name: name,
            column_name: column.name,
            data_type: COLUMN_TYPES[column.type],
            is_nullable: column.nullable ? 'YES' : 'NO',
          })),
        );
      expect(found).toEqual(expected);
      const counts = TABLES.map(({ name }) => `select count(*) as n from ${name}`).join(' union all ');
      expect(await rows(counts)).toEqual(TABLES.map(() => ({ n: 0 })));
    });
  });

  describe('a batch', () => {
    it('counts once, however often it is sent', async () => {
      await open();
      const producer = randomUUID();
      const batch = batchOf(producer, 1, [1, 2]);
      expect(await ingest(batch)).toEqual(acked(1));
      expect(await ingest(batch)).toEqual(acked(1));
      const many = await Promise.all(Array.from({ length: 10 }, () => ingest(batchOf(producer, 2, [3]))));
      expect(many).toEqual(Array(10).fill(acked(2)));
      expect(await ids()).toEqual([1, 2, 3]);
      expect(await store?.health()).toMatchObject({ ok: true, failure: null, producers: 1, duplicate_batches: 10 });
    });

    it('after a gap is taken, and what would fill the gap is not', async () => {
      await open();
      const producer = randomUUID();
      for (const [seq, id] of [
        [1, 1],
        [5, 5],
        [3, 3],
        [6, 6],
      ] as const) {
        expect(await ingest(batchOf(producer, seq, [id]))).toEqual(acked(seq));
      }
      expect(await ids()).toEqual([1, 5, 6]);
    });

    it('of one producer is nothing to another', async () => {
      await open();
      for (const id of [1, 2, 3]) expect(await ingest(batchOf(randomUUID(), 1, [id]))).toEqual(acked(1));
      expect(await ids()).toEqual([1, 2, 3]);
      expect(await store?.health()).toMatchObject({ producers: 3, duplicate_batches: 0 });
    });

    it('is seen by every query that is sent after its acknowledgement', async () => {
      await open();
      await Promise.all(
        Array.from({ length: 4 }, async (_, lane) => {
          const producer = randomUUID();
          for (let seq = 1; seq <= 10; seq += 1) {
            expect(await ingest(batchOf(producer, seq, [lane * 100 + seq]))).toEqual(acked(seq));
            const found = await rows(`select count(*) as n from actor_status_events where id = ${lane * 100 + seq}`);
            expect(found).toEqual([{ n: 1 }]);
          }
        }),
      );
    });

    it('is the same by rows and by columns', async () => {
      await open();
      const tables = { actors: [['18446744073709551615', -1, 0, '9007199254740993', 'a\u0000b "ä" 🙂', null]] };
      const packed = pack(tables as TableRows);
      if (!packed.ok) throw new Error(packed.failure.message);
      const columns = zstdCompressSync(packed.value).toString('base64');
      expect(await ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, tables })).toEqual(acked(1));
      expect(await ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, packed: columns })).toEqual(acked(1));
      const row = {
        id: 18446744073709551615n,
        timestamp_us: -1,
        mesh_id: 0,
        rank: 9007199254740993n,
        full_name: 'a\u0000b "ä" 🙂',
        display_name: null,
      };
      expect(await rows('select * from actors')).toEqual([row, row]);
    });

    it('into several tables is there whole', async () => {
      await open();
      const tables = { actor_status_events: [statusRow(1), statusRow(2)], span_events: [['p', 7, 1, 'enter']] };
      expect(await ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, tables })).toEqual(acked(1));
      expect(await ids()).toEqual([1, 2]);
      expect(await rows('select * from span_events')).toEqual([
        { process_id: 'p', id: 7, timestamp_us: 1, event_type: 'enter' },
      ]);
    });

    it('tells what was lost, which counts once', async () => {
      await open();
      const producer = randomUUID();
      for (const _ of [1, 2]) expect(await ingest({ ...batchOf(producer, 1, [1]), lost_rows: 5 })).toEqual(acked(1));
      expect(await ingest({ producer, seq: 2, lost_rows: 2, tables: {} })).toEqual(acked(2));
      expect(await store?.health()).toMatchObject({ lost_rows: 7 });
    });

    it('that was acknowledged outlives a kill of the process right after', async () => {
      const producer = randomUUID();
      await place.takeAndDie([1, 2, 3].map((seq) => batchOf(producer, seq, [seq])));
      await open();
      expect(await ids()).toEqual([1, 2, 3]);
      expect(await ingest(batchOf(producer, 3, [99]))).toEqual(acked(3));
      expect(await ids()).toEqual([1, 2, 3]);
    });
  });

  describe('a batch', () => {
    shareStore();

    it.each<[string, object, string]>([
      ['names a table that is none', { tables: { nobody: [[1]] } }, 'tables.nobody'],
      ['has a row that is too short', { tables: { span_events: [['p', 1]] } }, 'tables.span_events[0]'],
      ['has null where none may be', { tables: { span_events: [['p', 1, 2, null]] } }, 'event_type'],
      ['has text for a number', { tables: { span_events: [['p', 'x', 2, 'exit']] } }, 'id'],
      ['has a number that is too large', { tables: { span_events: [['p', '18446744073709551616', 2, 'exit']] } }, 'id'],
      [
        'is wrong only in its last row',
        {
          tables: {
            span_events: [
              ['p', 1, 2, 'a'],
              ['p', 1, 2],
            ],
          },
        },
        'span_events[1]',
      ],
      ['has columns that are no zstd', { packed: 'AAAA' }, 'packed'],
      ['has neither producer', { producer: 'me' }, 'producer'],
      ['nor number', { seq: 0 }, 'seq'],
      ['loses less than nothing', { lost_rows: -1 }, 'lost_rows'],
    ])('that %s is refused, naming the place, stores nothing and uses up no number', async (_, change, text) => {
      const before = await ids();
      const producer = randomUUID();
      const base = { producer, seq: 1, lost_rows: 0, ...('packed' in change ? {} : { tables: {} }) };
      expect(await ingest({ ...base, ...change })).toMatchObject(refused(text));
      for (const { name } of TABLES.filter((table) => ['span_events', 'actors'].includes(table.name))) {
        expect(await rows(`select count(*) as n from ${name}`)).toEqual([{ n: 0 }]);
      }
      const id = before.length + 1;
      expect(await ingest(batchOf(producer, 1, [id]))).toEqual(acked(1));
      expect(await ids()).toEqual([...before, id]);
    });
  });

  describe('a dump', () => {
    it('is found by its id in all four tables once it is acknowledged', async () => {
      await open();
      const [one, other] = [dumpOf(2), dumpOf(1)];
      for (const dump of [one, other])
        expect(await storeDump(dump)).toEqual({ ok: true, value: { dump_id: dump.dump_id } });
      const where = `where dump_id = '${one.dump_id}'`;
      expect(await rows(`select pid, proc_ref, capture_mode, warnings_json from pyspy_dumps ${where}`)).toEqual([
        { pid: 42, proc_ref: 'p<ZG3F>@ipc://h', capture_mode: 'native', warnings_json: '["careful \\"here\\""]' },
      ]);
      expect(await rows(`select thread_id, thread_name, owns_gil from pyspy_stack_traces ${where}`)).toEqual([
        { thread_id: 9007199254740991, thread_name: 'MainThread', owns_gil: true },
      ]);
      const frames = await rows(`select frame_depth, name from pyspy_frames ${where} order by frame_depth`);
      expect(frames).toEqual([
        { frame_depth: 0, name: 'f0' },
        { frame_depth: 1, name: 'f1' },
      ]);
      expect(await rows(`select frame_depth, name, repr from pyspy_local_variables ${where}`)).toEqual([
        { frame_depth: 0, name: 'x', repr: '7' },
      ]);
    });

    it('up to its bound of rows is stored, one beyond it refused whole', async () => {
      // A thread, its frames, and a local of the innermost.
      await open({ dump_rows_max: 1 + 1 + 3 + 1 });
      expect((await storeDump(dumpOf(3))).ok).toBe(true);
      const more = dumpOf(4);
      expect(await storeDump(more)).toMatchObject(refused('at most 6'));
      expect(await rows(`select count(*) as n from pyspy_frames where dump_id = '${more.dump_id}'`)).toEqual([
        { n: 0 },
      ]);
    });
  });

  describe('a dump', () => {
    shareStore();

    it.each<[string, object, string]>([
      ['has an id that is no UUID', { dump_id: 'mine' }, 'dump_id'],
      ['is of no proc', { proc_ref: '' }, 'proc_ref'],
      ['failed', { result: { Failed: {} } }, 'result'],
    ])('that %s is refused, naming the field', async (_, change, field) => {
      expect(await storeDump({ ...dumpOf(1), ...change })).toMatchObject(refused(field));
      expect(await rows('select count(*) as n from pyspy_dumps')).toEqual([{ n: 0 }]);
    });
  });

  describe('a query', () => {
    shareStore((opened) => opened.ingest(batchOf(randomUUID(), 1, [1])));

    it.each([
      "insert into actors values (1, 1, 1, 1, 'a', null)",
      'update actors set rank = 0',
      'delete from actor_status_events',
      'drop table actors',
      'create table mine (a integer)',
      'alter table actors add column more integer',
      'truncate actors',
      'select 1 as one; select 2 as two',
      '',
    ])('%j is refused, and changes nothing', async (sql) => {
      const answer = await (store as TelemetryStore).query(sql);
      expect(answer).toMatchObject({ ok: false, failure: { code: 'bad_request' } });
      expect(await ids()).toEqual([1]);
      expect(await rows(`select count(*) as n from information_schema.tables where table_type = 'BASE TABLE'`)).toEqual(
        [{ n: TABLES.length }],
      );
    });
  });

  describe('a query', () => {
    it('that is wrong is told what is wrong, and harms nobody', async () => {
      await open();
      for (const [sql, text] of [
        ['selec 1', 'selec'],
        ['select nothing from actors', 'nothing'],
        ['select * from nobody', 'nobody'],
        ['select cast(full_name as integer) as n from actors', ''],
      ] as const) {
        if (text === '')
          await ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, tables: { actors: [[1, 1, 1, 1, 'a', null]] } });
        expect(await (store as TelemetryStore).query(sql)).toMatchObject(refused(text));
      }
      expect(await rows('select 1 as one')).toEqual([{ one: 1 }]);
    });

    it('has a bound of rows: as many are answered, one more is an error and not a part', async () => {
      await open({ result_rows_max: 3 });
      await ingest(batchOf(randomUUID(), 1, [1, 2, 3, 4]));
      expect(await rows('select id from actor_status_events where id < 4')).toHaveLength(3);
      const more = await (store as TelemetryStore).query('select id from actor_status_events');
      expect(more).toMatchObject(refused('3 rows'));
    });

    it('has a bound of its text: as many bytes are read, one more refused', async () => {
      await open({ sql_max_bytes: 40 });
      const sql = 'select 1 as one';
      expect(await rows(sql.padEnd(40))).toEqual([{ one: 1 }]);
      expect(await (store as TelemetryStore).query(sql.padEnd(41))).toMatchObject(refused('40 bytes'));
    });

    it('that nobody waits for any more ends', async () => {
      await open();
      const over = new AbortController();
      over.abort();
      const answer = await (store as TelemetryStore).query('select 1 as one', over.signal);
      expect(answer.ok).toBe(false);
    });
  });

  describe('a sweep', () => {
    it('takes what is too old, and nothing else', async () => {
      await open({ event_window_ms: 60_000 });
      const now_ms = Date.now();
      const tables = { actor_status_events: [statusRow(1, now_ms - 61_000), statusRow(2, now_ms - 30_000)] };
      await ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, tables });
      await store?.sweep(now_ms);
      expect(await ids()).toEqual([2]);
      await store?.sweep(now_ms);
      expect(await ids()).toEqual([2]);
    });

    it('takes the oldest dumps beyond their number, whole, and no newer one', async () => {
      await open({ dumps_keep_max: 2 });
      const now_us = Date.now() * 1000;
      const dumps = [1, 2, 3].map((age) => [randomUUID(), now_us - age * 1_000_000, 1, 'b', 'p', 'native', '[]']);
      const tables = {
        pyspy_dumps: dumps,
        pyspy_stack_traces: dumps.map(([dump_id]) => [dump_id, 1, 1, null, null, true, false]),
        pyspy_frames: dumps.map(([dump_id]) => [dump_id, 1, 0, 'f', 'f.py', null, null, 1, true]),
        pyspy_local_variables: dumps.map(([dump_id]) => [dump_id, 1, 0, 'x', 1, true, null]),
      };
      await ingest({ producer: randomUUID(), seq: 1, lost_rows: 0, tables });
      await store?.sweep();
      const kept = dumps.slice(0, 2).map(([dump_id]) => dump_id);
      for (const name of Object.keys(tables)) {
        const left = (await rows(`select dump_id from ${name}`)).map(({ dump_id }) => dump_id);
        expect(left.sort()).toEqual([...kept].sort());
      }
    });

    it('leaves numbers of producers as they are: a batch that was swept is not taken again', async () => {
      await open({ event_window_ms: 60_000 });
      const producer = randomUUID();
      const old = { producer, seq: 1, lost_rows: 1, tables: { actor_status_events: [statusRow(1, 0)] } };
      await ingest(old);
      await store?.sweep();
      expect(await ids()).toEqual([]);
      expect(await ingest(old)).toEqual(acked(1));
      expect(await ids()).toEqual([]);
      expect(await store?.health()).toMatchObject({ lost_rows: 1 });
    });
  });

  describe('closed and opened again', () => {
    it('it has every row, every dump, every producer’s number and every loss', async () => {
      await open();
      const producer = randomUUID();
      await ingest({ ...batchOf(producer, 7, [1, 2]), lost_rows: 4 });
      const dump = dumpOf(2);
      await store?.storeDump(dump);
      await reopen();
      expect(await ids()).toEqual([1, 2]);
      expect(await rows(`select count(*) as n from pyspy_frames where dump_id = '${dump.dump_id}'`)).toEqual([
        { n: 2 },
      ]);
      expect(await store?.health()).toMatchObject({ ok: true, producers: 1, lost_rows: 4 });
      expect(await ingest(batchOf(producer, 7, [9]))).toEqual(acked(7));
      expect(await ingest(batchOf(producer, 8, [3]))).toEqual(acked(8));
      expect(await ids()).toEqual([1, 2, 3]);
    });

    it('it finished what it was asked before', async () => {
      await open();
      const producers = Array.from({ length: 20 }, () => randomUUID());
      const taken = producers.map((producer, index) => ingest(batchOf(producer, 1, [index])));
      await reopen();
      const answers = await Promise.all(taken);
      const stored = await ids();
      for (const [index, answer] of answers.entries()) {
        // What was acknowledged is there; what was refused is to be sent again.
        if (answer.ok) expect(stored).toContain(index);
        else expect(answer.failure.code).toBe('service_unavailable');
      }
    });
  });
}

function statusRow(id: number, time_ms = Date.now()): Row {
  return [id, time_ms * 1000, 7, 'Idle', null];
}

function batchOf(producer: string, seq: number, statusIds: readonly number[]): object {
  return { producer, seq, lost_rows: 0, tables: { actor_status_events: statusIds.map((id) => statusRow(id)) } };
}

/** A dump of one thread with so many frames, the innermost of which has a local. */
function dumpOf(frameCount: number): StoreDumpRequest {
  const frames = Array.from({ length: frameCount }, (_, depth) => ({
    name: `f${depth}`,
    filename: '/app/f.py',
    module: null,
    short_filename: 'f.py',
    line: depth,
    locals: depth === 0 ? [{ name: 'x', addr: 1, arg: true, repr: '7' }] : null,
    is_entry: false,
  }));
  return {
    dump_id: randomUUID(),
    proc_ref: 'p<ZG3F>@ipc://h',
    result: {
      pid: 42,
      binary: 'py-spy',
      capture_mode: 'native',
      stack_traces: [
        {
          pid: 42,
          thread_id: Number.MAX_SAFE_INTEGER,
          thread_name: 'MainThread',
          os_thread_id: null,
          active: true,
          owns_gil: true,
          frames,
        },
      ],
      warnings: ['careful "here"'],
    },
  };
}
