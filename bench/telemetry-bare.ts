/**
 * What DuckDB's appender takes by itself, on the rows of the benchmark, rows per second:
 *
 * - `values`: the appender as its documentation shows it, a chunk of values at a time, into a table in memory;
 * - `columns`: typed arrays laid over its vectors, into a table in memory;
 * - `durable`: the same into a file, with a commit, which syncs the disk, per 10,000 rows.
 */
import { join } from 'node:path';
import { BIGINT, type DuckDBConnection, DuckDBDataChunk, DuckDBInstance, UBIGINT, VARCHAR } from '@duckdb/node-api';
import { type PackedTable, unpackRows } from '../src/contract/index.ts';
import { Appenders } from '../src/telemetry/database/append.ts';
import { tableDdl } from '../src/telemetry/database/ddl.ts';
import { readPack } from '../src/telemetry/store/packs.ts';
import { EncodedBatch } from './telemetry-rows.ts';

const BATCH_ROWS = 10_000;
const CHUNK_ROWS = 2_048;
const TYPES = { u64: UBIGINT, i64: BIGINT, text: VARCHAR } as const;

export interface BareAppender {
  readonly values: number;
  readonly columns: number;
  readonly durable: number;
}

export async function benchBareAppender(folder: string, seconds: number): Promise<BareAppender> {
  const batches = Array.from({ length: 8 }, (_, number) => {
    const pack = readPack(new EncodedBatch(BATCH_ROWS, number).bytes);
    if (!pack.ok) throw new Error(pack.failure.message);
    return pack.value.tables;
  });
  const columns = (connection: DuckDBConnection) => {
    const appenders = new Appenders(connection);
    return async (tables: readonly PackedTable[]) => {
      for (const table of tables) await appenders.append(table);
      appenders.flush();
    };
  };
  return {
    values: await rate(':memory:', batches, seconds, valueAppender),
    columns: await rate(':memory:', batches, seconds, columns),
    durable: await rate(join(folder, 'bare-appender.duckdb'), batches, seconds, columns),
  };
}

type Append = (tables: readonly PackedTable[]) => Promise<void>;

async function rate(
  path: string,
  batches: readonly (readonly PackedTable[])[],
  seconds: number,
  open: (connection: DuckDBConnection) => Append,
): Promise<number> {
  const instance = await DuckDBInstance.create(path, { threads: '1' });
  const connection = await instance.connect();
  for (const { table } of batches[0] ?? []) await connection.run(tableDdl(table));
  const append = open(connection);
  const start_ms = performance.now();
  const end_ms = start_ms + seconds * 1_000;
  let rows = 0;
  for (let index = 0; performance.now() < end_ms; index += 1) {
    await connection.run('BEGIN');
    await append(batches[index % batches.length] ?? []);
    await connection.run('COMMIT');
    rows += BATCH_ROWS;
    // What is in memory must not grow with the time that the benchmark takes.
    if (path === ':memory:' && index % 50 === 49) {
      for (const { table } of batches[0] ?? []) await connection.run(`TRUNCATE ${table.name}`);
    }
  }
  const elapsed_s = (performance.now() - start_ms) / 1_000;
  connection.closeSync();
  instance.closeSync();
  return rows / elapsed_s;
}

function valueAppender(connection: DuckDBConnection): Append {
  const values = new Map<PackedTable, ReturnType<typeof valuesOf>>();
  return async (tables) => {
    for (const table of tables) {
      const chunks = values.get(table) ?? valuesOf(table);
      values.set(table, chunks);
      const appender = await connection.createAppender(table.table.name);
      for (const columns of chunks) {
        const chunk = DuckDBDataChunk.create(
          table.columns.map(({ column }) => TYPES[column.type as keyof typeof TYPES]),
        );
        chunk.setColumns(columns);
        appender.appendDataChunk(chunk);
      }
      appender.closeSync();
    }
  };
}

/** The values of a table by chunks and columns, as `setColumns` takes them. */
function valuesOf(table: PackedTable): (string | bigint | null)[][][] {
  const rows = unpackRows(table);
  const chunks: (string | bigint | null)[][][] = [];
  for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
    const part = rows.slice(start, start + CHUNK_ROWS);
    chunks.push(
      table.columns.map(({ column }, place) =>
        part.map((row) => {
          const value = row[place] ?? null;
          return value === null ? null : column.type === 'text' ? String(value) : BigInt(value);
        }),
      ),
    );
  }
  return chunks;
}
