/**
 * The five queries of the query benchmark on their data set (20 stored dumps of 4 threads with 1,250 frames, each frame with
 * one local variable), one at a time, at two boundaries beside bare DuckDB in process: from SQL to the bytes of the answer
 * inside of a query process, and over HTTP to rows that are parsed. Every result is checked, outside of what is timed.
 */
import { deepStrictEqual } from 'node:assert';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type StoreDumpRequest, TABLES } from '../src/contract/index.ts';
import { Appenders } from '../src/telemetry/database/append.ts';
import { INTERNAL_SCHEMA, tableDdl } from '../src/telemetry/database/ddl.ts';
import { resolveLimits } from '../src/telemetry/limits.ts';
import { StoreCopy } from '../src/telemetry/query/process/store-copy.ts';
import { dumpRows } from '../src/telemetry/store/dump-rows.ts';
import { packRows } from '../src/telemetry/store/packs.ts';
import type { Connection } from './http-connection.ts';
import { progress } from './processes.ts';

const DUMPS = 20;

type Row = Readonly<Record<string, unknown>>;

interface Case {
  readonly name: string;
  readonly sql: string;
  readonly expected: readonly Row[];
}

const dumpId = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
const group = (index: number): Row => ({ filename: `module_${index}.py`, frame_count: index < 2 ? 6_320 : 6_240 });

const CASES: readonly Case[] = [
  {
    name: 'frame_count',
    sql: 'select count(*) as frame_count from pyspy_frames',
    expected: [{ frame_count: 100_000 }],
  },
  {
    name: 'filtered_count',
    sql: "select count(*) as frame_count from pyspy_frames where filename = 'module_0.py'",
    expected: [{ frame_count: 6_320 }],
  },
  {
    name: 'group_by_filename',
    sql: 'select filename, count(*) as frame_count from pyspy_frames group by filename order by filename',
    expected: Array.from({ length: 16 }, (_, index) => group(index)).sort((a, b) =>
      String(a.filename) < String(b.filename) ? -1 : 1,
    ),
  },
  {
    name: 'four_table_join',
    sql: `select count(*) as local_count from pyspy_local_variables l
      join pyspy_frames f on l.dump_id = f.dump_id and l.thread_id = f.thread_id and l.frame_depth = f.frame_depth
      join pyspy_stack_traces s on f.dump_id = s.dump_id and f.thread_id = s.thread_id
      join pyspy_dumps d on f.dump_id = d.dump_id where l.arg = true`,
    expected: [{ local_count: 100_000 }],
  },
  {
    name: 'ordered_projection',
    sql: `select dump_id, thread_id, frame_depth, name, filename, line from pyspy_frames
      order by dump_id, thread_id, frame_depth limit 1000`,
    expected: Array.from({ length: 1_000 }, (_, index) => ({
      dump_id: dumpId(0),
      thread_id: 0,
      frame_depth: index,
      name: `function_${index % 64}`,
      filename: `module_${index % 16}.py`,
      line: index + 1,
    })),
  },
];

export interface QueryFigures {
  readonly name: string;
  readonly bare: Times;
  readonly engine: Times;
  readonly http: Times;
}

export interface Times {
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/**
 * @param open a connection to a service whose store is empty; one that is not used for long is closed
 * @param folder for files that are the caller's to remove
 */
export async function benchQueries(
  open: () => Promise<Connection>,
  folder: string,
  repetitions: number,
): Promise<QueryFigures[]> {
  progress('query benchmark: loading its data set');
  const path = join(folder, 'bare.duckdb');
  const [file, memory] = [await DuckDBInstance.create(path), await DuckDBInstance.create(':memory:', { threads: '2' })];
  const [stored, bare] = [await file.connect(), await memory.connect()];
  await fill(stored);
  await fill(bare);
  stored.closeSync();
  file.closeSync();
  const copy = await StoreCopy.open(path, folder, resolveLimits());
  const loading = await open();
  for (let index = 0; index < DUMPS; index += 1) await answered(loading.post('/dumps', JSON.stringify(dump(index))));

  loading.close();

  const figures: QueryFigures[] = [];
  for (const { name, sql, expected } of CASES) {
    progress(`query benchmark: ${name}`);
    const check = (rows: unknown) => deepStrictEqual(rows, expected);
    const body = JSON.stringify({ sql });
    const inProcess = await measure(
      repetitions,
      async () => (await bare.runAndReadAll(sql)).getRowObjectsJS(),
      (rows) => check(rows.map(withNumbers)),
    );
    const engine = await measure(
      repetitions,
      () => copy.query(sql),
      (answer) => {
        if (!answer.ok) throw new Error(answer.failure.message);
        check(JSON.parse(Buffer.from(answer.value).toString()).rows);
      },
    );
    const connection = await open();
    const http = await measure(
      repetitions,
      async () => JSON.parse((await answered(connection.post('/query', body))).toString()) as { rows: unknown },
      ({ rows }) => check(rows),
    );
    connection.close();
    figures.push({ name, bare: inProcess, engine, http });
  }
  bare.closeSync();
  memory.closeSync();
  return figures;
}

/** The body of an answer that must be a success. */
export async function answered(answer: ReturnType<Connection['post']>): Promise<Buffer> {
  const { status, body } = await answer;
  if (status !== 200) throw new Error(`${status} ${body}`);
  return body;
}

export function timesOf(durations_ms: readonly number[]): Times {
  const sorted = durations_ms.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { p50_ms: at(0.5), p99_ms: at(0.99) };
}

async function measure<T>(times: number, work: () => Promise<T>, check: (result: T) => void): Promise<Times> {
  const durations_ms: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const begin_ms = performance.now();
    const result = await work();
    durations_ms.push(performance.now() - begin_ms);
    check(result);
  }
  return timesOf(durations_ms);
}

/** 64-bit integers are bigints in process: that they are integers is the point, not how JavaScript writes them. */
function withNumbers(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => [key, typeof value === 'bigint' ? Number(value) : value]),
  );
}

async function fill(connection: DuckDBConnection): Promise<void> {
  for (const statement of [...TABLES.map(tableDdl), `CREATE SCHEMA ${INTERNAL_SCHEMA}`])
    await connection.run(statement);
  const appenders = new Appenders(connection);
  for (let index = 0; index < DUMPS; index += 1) {
    const packs = await packRows(dumpRows(dump(index), 0));
    if (!packs.ok) throw new Error(packs.failure.message);
    for (const pack of packs.value) for (const table of pack.tables) await appenders.append(table);
    appenders.flush();
  }
  appenders.close();
}

function dump(index: number): StoreDumpRequest {
  return {
    dump_id: dumpId(index),
    proc_ref: `proc[${index}]`,
    result: {
      pid: 0,
      binary: '',
      capture_mode: 'python_only',
      warnings: [],
      stack_traces: Array.from({ length: 4 }, (_, thread_id) => ({
        pid: 0,
        thread_id,
        thread_name: null,
        os_thread_id: null,
        active: false,
        owns_gil: false,
        frames: Array.from({ length: 1_250 }, (_, depth) => ({
          name: `function_${depth % 64}`,
          filename: `module_${depth % 16}.py`,
          module: null,
          short_filename: null,
          line: depth + 1,
          is_entry: false,
          locals: [{ name: '', addr: 0, arg: true, repr: null }],
        })),
      })),
    },
  };
}
