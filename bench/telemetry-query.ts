/**
 * The five queries of the query benchmark: through the telemetry service over HTTP, and with bare DuckDB in process, on the
 * same rows in the same run. 20 stored dumps of 4 threads with 1,250 frames, each with one local variable: 100,000 frames.
 *
 *     node bench/telemetry-query.ts [REPETITIONS]
 *
 * Also: rows per second that the store takes over HTTP, and the latency of the first query while batches come in.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { TABLES } from '../src/contract/index.ts';
import { appendRows } from '../src/telemetry/append.ts';
import { tableDdl } from '../src/telemetry/ddl.ts';
import { dumpRows } from '../src/telemetry/dump-rows.ts';
import { startTelemetry } from '../src/telemetry/index.ts';

const QUERIES: Readonly<Record<string, { sql: string; rows: number }>> = {
  frame_count: { sql: 'select count(*) as frame_count from pyspy_frames', rows: 1 },
  filtered_count: { sql: "select count(*) as frame_count from pyspy_frames where filename = 'module_0.py'", rows: 1 },
  group_by_filename: {
    sql: 'select filename, count(*) as frame_count from pyspy_frames group by filename order by filename',
    rows: 16,
  },
  four_table_join: {
    sql: `select count(*) as local_count from pyspy_local_variables l
      join pyspy_frames f on l.dump_id = f.dump_id and l.thread_id = f.thread_id and l.frame_depth = f.frame_depth
      join pyspy_stack_traces s on f.dump_id = s.dump_id and f.thread_id = s.thread_id
      join pyspy_dumps d on f.dump_id = d.dump_id where l.arg = true`,
    rows: 1,
  },
  ordered_projection: {
    sql: `select dump_id, thread_id, frame_depth, name, filename, line from pyspy_frames
      order by dump_id, thread_id, frame_depth limit 1000`,
    rows: 1000,
  },
};

const repetitions = Number(process.argv[2] ?? 100);
const folder = await mkdtemp(join(tmpdir(), 'meshscope-bench-'));
const token = randomUUID();
const started = await startTelemetry({ data_dir: folder, token });
if (!started.ok) throw new Error(started.failure.message);
const service = started.value;
const bare = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect();
for (const table of TABLES) await bare.run(tableDdl(table));

async function post(path: string, body: unknown): Promise<{ rows?: unknown[] }> {
  const response = await fetch(service.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as { rows?: unknown[] };
}

function fixture(index: number): Parameters<typeof dumpRows>[0] {
  return {
    dump_id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
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

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function measure(times: number, work: () => Promise<unknown>): Promise<number[]> {
  const durations: number[] = [];
  for (let index = 0; index < times; index++) {
    const begin = performance.now();
    await work();
    durations.push(performance.now() - begin);
  }
  return durations;
}

try {
  for (let index = 0; index < 20; index++) {
    await post('/dumps', fixture(index));
    for (const [name, rows] of Object.entries(dumpRows(fixture(index), 0))) {
      const table = TABLES.find((candidate) => candidate.name === name);
      if (table !== undefined) await appendRows(bare, table, rows);
    }
  }
  const [first_ms = 0] = await measure(1, () => post('/query', { sql: 'select 1 as one' }));
  console.log(`first query, which starts the query process: ${first_ms.toFixed(0)} ms\n`);
  console.log('query                 http p50 ms   http p99 ms   bare p50 ms   over bare ms');
  for (const [name, { sql, rows }] of Object.entries(QUERIES)) {
    const http = await measure(repetitions, async () => {
      const answer = await post('/query', { sql });
      if (answer.rows?.length !== rows) throw new Error(`${name}: ${answer.rows?.length} rows`);
    });
    const inProcess = await measure(repetitions, async () => (await bare.runAndReadAll(sql)).getRowObjects());
    const [p50, bareP50] = [percentile(http, 0.5), percentile(inProcess, 0.5)];
    const cells = [p50, percentile(http, 0.99), bareP50, p50 - bareP50].map((value) => value.toFixed(2).padStart(12));
    console.log(`${name.padEnd(20)} ${cells.join('  ')}`);
  }

  const rows = Array.from({ length: 10_000 }, (_, index) => [index, index, 1, 'Idle', null]);
  const producers = Array.from({ length: 4 }, () => ({ producer: randomUUID(), seq: 0 }));
  const perProducer = 15;
  let isOver = false;
  const points = (async () => {
    const durations: number[] = [];
    const sql = 'select count(*) as n from pyspy_dumps';
    while (!isOver) durations.push(...(await measure(1, () => post('/query', { sql }))));
    return durations;
  })();
  const begin = performance.now();
  await Promise.all(
    producers.map(async (state) => {
      for (let index = 0; index < perProducer; index++) {
        state.seq += 1;
        await post('/ingest', { ...state, lost_rows: 0, tables: { actor_status_events: rows } });
      }
    }),
  );
  const took_s = (performance.now() - begin) / 1_000;
  isOver = true;
  const during = await points;
  const total = rows.length * producers.length * perProducer;
  const [p50, p99] = [percentile(during, 0.5), percentile(during, 0.99)].map((value) => value.toFixed(1));
  console.log(`\ningestion: ${total} rows over HTTP in ${took_s.toFixed(2)} s, ${(total / took_s).toFixed(0)} rows/s`);
  console.log(`point queries meanwhile: ${during.length}, p50 ${p50} ms, p99 ${p99} ms`);
} finally {
  await service.close();
  await rm(folder, { recursive: true, force: true });
}
