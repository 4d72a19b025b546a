/**
 * Retention: every table has a bound.
 *
 * 1. Events, messages, spans and metric points go by age (`timestamp_us` at or before the cut-off) and by number of rows.
 *    `actors` and `meshes`, which describe what the others refer to, go by number only.
 * 2. Captures: the newest few stay whatever their age; others go by age, and beyond a number of captures and of rows. A
 *    capture's rows go together, its row in `snapshots` last. Rows of a capture that never got its row in `snapshots` go by age.
 * 3. Stored dumps: the newest stay, by number of dumps and of rows, and go whole.
 * 4. One sweep is one transaction, and says what to delete by values, so that copies of the store can repeat it.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { TABLES } from '../contract/index.ts';
import { quoteIdentifier, quoteText } from './ddl.ts';
import type { TelemetryLimits } from './limits.ts';

const SNAPSHOT_TABLES = TABLES.filter((table) => table.group === 'snapshot' && table.name !== 'snapshots');
const PYSPY_TABLES = TABLES.filter((table) => table.group === 'pyspy');
const ENTITY_TABLES = ['actors', 'meshes'];
const EVENT_TABLES = TABLES.filter((table) => ['core', 'trace', 'metric'].includes(table.group));

/** The statements of one sweep at `now_us`, microseconds; empty when nothing is over its bound. */
export async function sweepStatements(
  connection: DuckDBConnection,
  limits: TelemetryLimits,
  now_us: number,
): Promise<string[]> {
  return [
    ...(await eventStatements(connection, limits, now_us)),
    ...(await snapshotStatements(connection, limits, now_us)),
    ...(await dumpStatements(connection, limits)),
  ];
}

async function eventStatements(
  connection: DuckDBConnection,
  limits: TelemetryLimits,
  now_us: number,
): Promise<string[]> {
  const statements: string[] = [];
  for (const { name } of EVENT_TABLES) {
    const table = quoteIdentifier(name);
    const byAge = ENTITY_TABLES.includes(name) ? [] : [now_us - limits.event_window_ms * 1000];
    // Zone maps answer these two without reading the table in the usual case, where nothing is over.
    const [oldest] = await column(connection, `SELECT min(timestamp_us) FROM main.${table}`);
    const [rows] = await column(connection, `SELECT count(*) FROM main.${table}`);
    if (oldest === undefined || oldest === null) continue;
    const byNumber =
      Number(rows) > limits.event_rows_max
        ? await column(
            connection,
            `SELECT timestamp_us FROM main.${table} ORDER BY timestamp_us DESC LIMIT 1 OFFSET ${limits.event_rows_max}`,
          )
        : [];
    const cutoff = [...byAge, ...byNumber.map(Number)].reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    if (Number(oldest) <= cutoff) statements.push(`DELETE FROM main.${table} WHERE timestamp_us <= ${cutoff}`);
  }
  return statements;
}

async function snapshotStatements(
  connection: DuckDBConnection,
  limits: TelemetryLimits,
  now_us: number,
): Promise<string[]> {
  const cutoff = now_us - limits.snapshot_window_ms * 1000;
  const expired = await column(
    connection,
    `SELECT snapshot_id FROM (SELECT snapshot_id, snapshot_ts,
         row_number() OVER (ORDER BY snapshot_ts DESC, snapshot_id) AS place FROM main.snapshots)
     WHERE place > ${limits.snapshots_keep_max} OR (place > ${limits.snapshots_keep_min} AND snapshot_ts <= ${cutoff})`,
  );
  const unfinished = await column(
    connection,
    `SELECT snapshot_id FROM main.nodes WHERE snapshot_id NOT IN (SELECT snapshot_id FROM main.snapshots)
     GROUP BY snapshot_id HAVING max(as_of) <= ${cutoff}`,
  );
  const tables = SNAPSHOT_TABLES.map((table) => table.name);
  const ordered = { name: 'snapshots', key: 'snapshot_id', time: 'snapshot_ts' };
  const surplus = await beyondRows(connection, ordered, tables, limits.snapshot_rows_keep_max);
  return [
    ...deleteBy('snapshot_id', tables, [...expired, ...surplus, ...unfinished]),
    ...deleteBy('snapshot_id', ['snapshots'], [...expired, ...surplus]),
  ];
}

async function dumpStatements(connection: DuckDBConnection, limits: TelemetryLimits): Promise<string[]> {
  const expired = await column(
    connection,
    `SELECT dump_id FROM main.pyspy_dumps ORDER BY timestamp_us DESC, dump_id OFFSET ${limits.dumps_keep_max}`,
  );
  const tables = PYSPY_TABLES.map((table) => table.name);
  const ordered = { name: 'pyspy_dumps', key: 'dump_id', time: 'timestamp_us' };
  const surplus = await beyondRows(connection, ordered, tables, limits.dump_rows_keep_max);
  return deleteBy('dump_id', tables, [...expired, ...surplus]);
}

/** Keys of the oldest, beyond the newest that have `rows_max` rows in `tables` together; the newest is never among them. */
async function beyondRows(
  connection: DuckDBConnection,
  { name, key, time }: { readonly name: string; readonly key: string; readonly time: string },
  tables: readonly string[],
  rows_max: number,
): Promise<unknown[]> {
  // Known without reading the tables, in the usual case where nothing is over.
  const counts = tables.map((table) => `(SELECT count(*) FROM main.${quoteIdentifier(table)})`);
  const [rows] = await column(connection, `SELECT ${counts.join(' + ')}`);
  if (Number(rows) <= rows_max) return [];
  const keys = tables.map((table) => `SELECT ${key} FROM main.${quoteIdentifier(table)}`);
  return await column(
    connection,
    `SELECT ${key} FROM (
       SELECT ${key}, sum(n) OVER newest AS rows_so_far, row_number() OVER newest AS place
       FROM main.${name} JOIN (SELECT ${key}, count(*) AS n FROM (${keys.join(' UNION ALL ')}) GROUP BY ${key}) USING (${key})
       WINDOW newest AS (ORDER BY ${time} DESC, ${key} ROWS UNBOUNDED PRECEDING))
     WHERE rows_so_far > ${rows_max} AND place > 1`,
  );
}

function deleteBy(key: string, tables: readonly string[], values: readonly unknown[]): string[] {
  if (values.length === 0) return [];
  const list = values.map((value) => quoteText(String(value))).join(', ');
  return tables.map((table) => `DELETE FROM main.${quoteIdentifier(table)} WHERE ${key} IN (${list})`);
}

async function column(connection: DuckDBConnection, sql: string): Promise<unknown[]> {
  return (await connection.runAndReadAll(sql)).getRows().map((row) => row[0]);
}
