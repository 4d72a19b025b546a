/**
 * Rows into a table, by data chunks. Inside a transaction the appender takes part in it: what it flushed is committed or
 * rolled back with everything else.
 */
import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBType,
  type DuckDBValue,
  INTEGER,
  UBIGINT,
  UINTEGER,
  VARCHAR,
} from '@duckdb/node-api';
import type { ColumnType, Row, RowValue, Table } from '../contract/index.ts';

/** Rows by table name. */
export type TableRows = Readonly<Record<string, readonly Row[]>>;

/** Rows of one chunk: DuckDB's vector size, and the most a chunk can hold. */
const CHUNK_ROWS = 2048;

const CHUNK_TYPES: Record<ColumnType, DuckDBType> = {
  u64: UBIGINT,
  i64: BIGINT,
  i32: INTEGER,
  u32: UINTEGER,
  f64: DOUBLE,
  text: VARCHAR,
  flag: BOOLEAN,
};

/** Appends rows that fit the table (see the contract's `batchError`). Throws what DuckDB throws. */
export async function appendRows(
  connection: DuckDBConnection,
  table: Table,
  rows: readonly Row[],
  catalog?: string,
): Promise<void> {
  const appender = await connection.createAppender(table.name, 'main', catalog);
  try {
    const types = table.columns.map((column) => CHUNK_TYPES[column.type]);
    for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
      const part = rows.slice(start, start + CHUNK_ROWS);
      const chunk = DuckDBDataChunk.create(types);
      chunk.setColumns(
        table.columns.map((column, index) => part.map((row) => chunkValue(column.type, row[index] ?? null))),
      );
      appender.appendDataChunk(chunk);
    }
    appender.flushSync();
  } catch (error) {
    // Closing flushes again, and what that says would hide the reason.
    closeQuietly(appender);
    throw error;
  }
  appender.closeSync();
}

function closeQuietly(appender: DuckDBAppender): void {
  try {
    appender.closeSync();
  } catch {
    // The rows are given up with the transaction.
  }
}

function chunkValue(type: ColumnType, value: RowValue): DuckDBValue {
  if (value === null) return null;
  switch (type) {
    case 'u64':
    case 'i64':
      return BigInt(value);
    case 'u32':
    case 'i32':
      // Decimal text is allowed for every integer.
      return Number(value);
    default:
      return value;
  }
}
