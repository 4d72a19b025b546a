/** What the parts of a sweep share. */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Table } from '../../contract/index.ts';

/** One statement of a sweep, and the table that it deletes from. */
export interface Deletion {
  readonly table: string;
  readonly sql: string;
}

/** Bytes of a row of each table, on the average. */
export type RowBytes = ReadonlyMap<string, number>;

/** Assumed bytes of a row whose table has no sealed rows yet. */
const ROW_BYTES_GUESS = 128;

export function bytesOf(row_bytes: RowBytes, table: string): number {
  return Math.max(1, row_bytes.get(table) ?? ROW_BYTES_GUESS);
}

/** @returns the time at or before which rows are deleted, microseconds; -1, which no row is before, for a window of 0 */
export function cutoffOf(now_us: number, window_ms: number): number {
  return window_ms === 0 ? -1 : now_us - window_ms * 1000;
}

/** The column that the rows of a table go by. */
export function timeOf({ name, time_column }: Table): string {
  if (time_column === null) throw new RangeError(`table ${name} has no time of its own`);
  return time_column;
}

/** The first column of a result. */
export async function column(connection: DuckDBConnection, sql: string): Promise<unknown[]> {
  return (await connection.runAndReadAll(sql)).getRows().map((row) => row[0]);
}
