/** Rows that go by their own time: by age, by number of a table, and by bytes of a group. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { TABLES, type Table, type TableGroup } from '../../contract/index.ts';
import { quoteIdentifier } from '../database/ddl.ts';
import type { TelemetryLimits } from '../limits.ts';
import { bytesOf, column, type Deletion, type RowBytes, timeOf } from './deletion.ts';

/** Times are looked at within these bounds, so that they stay exact numbers: 1970 to 2112. */
const TIME_MAX_US = 2 ** 52;
const BUCKETS = 1_024;

export interface EventGroup {
  readonly group: TableGroup;
  /** Rows at or before this time are over, microseconds; -1 when none are. */
  readonly cutoff: number;
  readonly max_bytes: number;
}

interface Weighed {
  readonly table: Table;
  /** What one row counts. */
  readonly weight: number;
}

export async function eventDeletions(
  connection: DuckDBConnection,
  { group, cutoff, max_bytes }: EventGroup,
  { event_rows_max }: TelemetryLimits,
  row_bytes: RowBytes,
): Promise<Deletion[]> {
  const tables = TABLES.filter((table) => table.group === group && table.rows_go === 'age').map(
    (table): Weighed => ({ table, weight: bytesOf(row_bytes, table.name) }),
  );
  const byBytes = await weightCutoff(connection, tables, cutoff, max_bytes);
  const deletions: Deletion[] = [];
  for (const { table } of tables) {
    const name = quoteIdentifier(table.name);
    const time = timeOf(table);
    // Zone maps answer these two without reading the table in the usual case, where nothing is over.
    const [oldest] = await column(connection, `SELECT min(${time}) FROM main.${name}`);
    const [rows] = await column(connection, `SELECT count(*) FROM main.${name}`);
    if (oldest === undefined || oldest === null) continue;
    const isOver = Number(rows) > event_rows_max;
    const byNumber = isOver ? await weightCutoff(connection, [{ table, weight: 1 }], cutoff, event_rows_max) : -1;
    const last = Math.max(cutoff, byBytes, byNumber);
    if (last >= 0 && Number(oldest) <= last) {
      deletions.push({ table: table.name, sql: `DELETE FROM main.${name} WHERE ${time} <= ${last}` });
    }
  }
  return deletions;
}

/**
 * The earliest time so that the rows after it, in all tables together, weigh at most `weight_max`; -1 when all rows after
 * `cutoff` do. Found by counting rows in ever narrower stretches of time: sorting them would take more memory than there is.
 */
async function weightCutoff(
  connection: DuckDBConnection,
  tables: readonly Weighed[],
  cutoff: number,
  weight_max: number,
): Promise<number> {
  let low = Math.max(-1, cutoff);
  let high = TIME_MAX_US;
  let weightAbove = 0;
  while (high > low) {
    const step = Math.ceil((high - low) / BUCKETS);
    const counts = tables.map(({ table, weight }) => {
      const time = `greatest(least(${timeOf(table)}, ${TIME_MAX_US}), 0)`;
      return `SELECT (${time} - ${low + 1}) // ${step} AS bucket, count(*) * ${weight}::DOUBLE AS weight
        FROM main.${quoteIdentifier(table.name)} WHERE ${time} > ${low} AND ${time} <= ${high} GROUP BY bucket`;
    });
    const reader = await connection.runAndReadAll(
      `SELECT bucket, sum(weight) FROM (${counts.join(' UNION ALL ')}) GROUP BY bucket ORDER BY bucket DESC`,
    );
    let over: number | null = null;
    for (const [bucket, weight] of reader.getRows()) {
      if (weightAbove + Number(weight) > weight_max) {
        over = Number(bucket);
        break;
      }
      weightAbove += Number(weight);
    }
    if (over === null) return -1;
    const start = low + over * step;
    high = Math.min(high, start + step);
    low = start;
    if (step === 1) return high;
  }
  return -1;
}
