/**
 * Rows in slices that memory can take: a Parquet writer holds a whole row group, and DuckDB hands it up to 2,048 rows at a
 * time, which can be anything from a few kilobytes to gigabytes.
 *
 * Rows are measured in blocks of 2,048 row ids, as DuckDB keeps them. Blocks of ordinary width are left to DuckDB; wider ones
 * are cut.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { quoteIdentifier } from '../database/ddl.ts';
import type { TelemetryLimits } from '../limits.ts';
import { dataBytesSql, type ShapeTable } from './shape.ts';

/** Rows that DuckDB takes at a time. */
const BLOCK_ROWS = 2_048;

/** Row ids from the first up to, but not including, the second. */
export type RowRange = readonly [from: number, to: number];

export interface Slices {
  readonly rows: number;
  readonly data_bytes: number;
  /** Each is at most one row group, where it is not of ordinary width. */
  readonly ranges: readonly RowRange[];
  readonly row_group_rows: number;
}

/**
 * @param after the rows behind this row id
 * @param limits of one row group
 */
export async function slicesOf(
  connection: DuckDBConnection,
  table: ShapeTable,
  after: number,
  { segment_group_rows_max, segment_group_max_bytes }: TelemetryLimits,
): Promise<Slices> {
  const name = `main.${quoteIdentifier(table.name)}`;
  const numbers = async (sql: string): Promise<number[][]> =>
    (await connection.runAndReadAll(sql)).getRows().map((row) => row.map(Number));
  const blocks = await numbers(
    `SELECT rowid // ${BLOCK_ROWS} AS block, count(*), ${dataBytesSql(table)} FROM ${name}
     WHERE rowid > ${after} GROUP BY block ORDER BY block`,
  );
  let [rows, data_bytes, widest_bytes] = [0, 0, 1];
  for (const [, count = 0, bytes = 0] of blocks) {
    rows += count;
    data_bytes += bytes;
    widest_bytes = Math.max(widest_bytes, bytes);
  }
  const all: RowRange = [after + 1, Number.MAX_SAFE_INTEGER];
  if (widest_bytes <= segment_group_max_bytes) {
    const group = Math.min(segment_group_rows_max, Math.floor(segment_group_max_bytes / widest_bytes) * BLOCK_ROWS);
    return { rows, data_bytes, ranges: [all], row_group_rows: group };
  }
  const ranges: RowRange[] = [];
  let from = all[0];
  const cut = (at: number): void => {
    if (at > from) ranges.push([from, at]);
    from = at;
  };
  for (const [block = 0, , bytes = 0] of blocks) {
    if (bytes <= segment_group_max_bytes) continue;
    const first = Math.max(after + 1, block * BLOCK_ROWS);
    cut(first);
    const end = (block + 1) * BLOCK_ROWS;
    const widths = await numbers(
      `SELECT rowid, ${dataBytesSql(table)} FROM ${name} WHERE rowid >= ${first} AND rowid < ${end}
       GROUP BY rowid ORDER BY rowid`,
    );
    let held = 0;
    for (const [row = 0, width = 0] of widths) {
      if (held > 0 && held + width > segment_group_max_bytes) {
        cut(row);
        held = 0;
      }
      held += width;
    }
    cut(end);
  }
  cut(all[1]);
  // Every slice arrives by itself, and is written at once.
  return { rows, data_bytes, ranges, row_group_rows: 1 };
}

/** SQL that reads the rows of slices in their order. */
export function slicesSql(table: string, { ranges }: Slices): string {
  return ranges
    .map(([from, to]) => `SELECT * FROM main.${quoteIdentifier(table)} WHERE rowid >= ${from} AND rowid < ${to}`)
    .join(' UNION ALL ');
}
