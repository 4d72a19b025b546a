/**
 * Retention: every table has a bound, by time and by bytes.
 *
 * 1. Spans and events, messages and statuses, and metric points go by age (`timestamp_us` at or before now less the window of
 *    their group), by number of rows, and by bytes: beyond the bytes of its group, the oldest rows of all its tables go,
 *    up to one time. Spans are swept before what refers to them.
 * 2. `actors` and `meshes`, which describe what the others refer to, go by number and by bytes only: first the oldest that no
 *    kept row refers to, then the oldest.
 * 3. Captures: the newest few stay whatever their age; others go by age, and beyond a number of captures, of rows and of
 *    bytes. A capture's rows go together, its row in `snapshots` last. Rows of a capture that never got its row in
 *    `snapshots` go by age.
 * 4. Stored dumps go whole: by age, and beyond a number of dumps, of rows and of bytes. The newest stays.
 * 5. One sweep is one transaction, and its statements delete the same rows wherever the rows are the same, so that copies of
 *    the store can repeat it.
 *
 * Bytes are those of the values before compression, by the average row of each table as it was sealed; on the disk it is
 * usually less. A window of 0 means never by age.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { TABLES, type TableGroup } from '../contract/index.ts';
import { quoteIdentifier, quoteText } from './ddl.ts';
import { LIMITS, type TelemetryLimits } from './limits.ts';

/** One statement of a sweep, and the table that it deletes from. */
export interface Deletion {
  readonly table: string;
  readonly sql: string;
}

/** Bytes of a row of each table, on the average. */
export type RowBytes = ReadonlyMap<string, number>;

const SNAPSHOT_TABLES = TABLES.filter((table) => table.group === 'snapshot' && table.name !== 'snapshots');
const PYSPY_TABLES = TABLES.filter((table) => table.group === 'pyspy');
const ENTITY_TABLES = ['actors', 'meshes'];
/** What a row is taken to have where none of its table was sealed yet. */
const ROW_BYTES_GUESS = 128;
/** Times are looked at within these bounds, so that they stay exact numbers: 1970 to 2112. */
const TIME_MAX_US = 2 ** 52;
const BUCKETS = 1_024;

/** The statements of one sweep at `now_us`, microseconds; empty when nothing is over its bound. */
export async function sweepStatements(
  connection: DuckDBConnection,
  limits: TelemetryLimits,
  row_bytes: RowBytes,
  now_us: number,
): Promise<Deletion[]> {
  const { trace_window_ms, core_window_ms, metric_window_ms } = limits;
  const groups = [
    { group: 'trace', window_ms: trace_window_ms, max_bytes: limits.trace_max_bytes },
    { group: 'core', window_ms: core_window_ms, max_bytes: limits.core_max_bytes },
    { group: 'metric', window_ms: metric_window_ms, max_bytes: limits.metric_max_bytes },
  ] as const;
  const deletions: Deletion[] = [];
  for (const { group, window_ms, max_bytes } of groups) {
    const cutoff = cutoffOf(now_us, window_ms);
    deletions.push(...(await eventDeletions(connection, { group, cutoff, max_bytes }, limits, row_bytes)));
  }
  for (const table of ENTITY_TABLES) {
    deletions.push(...(await entityDeletions(connection, table, limits, row_bytes)));
  }
  return [
    ...deletions,
    ...(await snapshotDeletions(connection, limits, row_bytes, now_us)),
    ...(await dumpDeletions(connection, limits, row_bytes, now_us)),
  ];
}

/** What is at or before this time is over; -1, which no time is before, when nothing ever is. */
function cutoffOf(now_us: number, window_ms: number): number {
  return window_ms === 0 ? -1 : now_us - window_ms * 1000;
}

function bytesOf(row_bytes: RowBytes, table: string): number {
  return Math.max(1, row_bytes.get(table) ?? ROW_BYTES_GUESS);
}

interface EventGroup {
  readonly group: TableGroup;
  readonly cutoff: number;
  readonly max_bytes: number;
}

async function eventDeletions(
  connection: DuckDBConnection,
  { group, cutoff, max_bytes }: EventGroup,
  limits: TelemetryLimits,
  row_bytes: RowBytes,
): Promise<Deletion[]> {
  const tables = TABLES.filter((table) => table.group === group && !ENTITY_TABLES.includes(table.name)).map(
    ({ name }) => ({ name, width: bytesOf(row_bytes, name) }),
  );
  const byBytes = await bytesCutoff(connection, tables, cutoff, max_bytes);
  const deletions: Deletion[] = [];
  for (const { name } of tables) {
    const table = quoteIdentifier(name);
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
    const last = [byBytes, ...byNumber.map(Number)].reduce((a, b) => Math.max(a, b), cutoff);
    if (last >= 0 && Number(oldest) <= last) {
      deletions.push({ table: name, sql: `DELETE FROM main.${table} WHERE timestamp_us <= ${last}` });
    }
  }
  return deletions;
}

/**
 * The earliest time so that the rows after it, in all tables together, have at most `max_bytes`; -1 when all rows after
 * `cutoff` do. Found by counting rows in ever narrower stretches of time, which needs no sorting.
 */
async function bytesCutoff(
  connection: DuckDBConnection,
  tables: readonly { readonly name: string; readonly width: number }[],
  cutoff: number,
  max_bytes: number,
): Promise<number> {
  let low = Math.max(-1, cutoff);
  let high = TIME_MAX_US;
  let bytesAbove = 0;
  const time = `greatest(least(timestamp_us, ${TIME_MAX_US}), 0)`;
  while (high > low) {
    const step = Math.ceil((high - low) / BUCKETS);
    const counts = tables.map(
      ({ name, width }) =>
        `SELECT (${time} - ${low + 1}) // ${step} AS bucket, count(*) * ${width}::DOUBLE AS bytes
           FROM main.${quoteIdentifier(name)} WHERE ${time} > ${low} AND ${time} <= ${high} GROUP BY bucket`,
    );
    const reader = await connection.runAndReadAll(
      `SELECT bucket, sum(bytes) FROM (${counts.join(' UNION ALL ')}) GROUP BY bucket ORDER BY bucket DESC`,
    );
    let over: number | null = null;
    for (const [bucket, bytes] of reader.getRows()) {
      if (bytesAbove + Number(bytes) > max_bytes) {
        over = Number(bucket);
        break;
      }
      bytesAbove += Number(bytes);
    }
    if (over === null) return -1;
    const start = low + over * step;
    high = Math.min(high, start + step);
    low = start;
    if (step === 1) return high;
  }
  return -1;
}

/** Which rows still refer to an actor, or a mesh. */
const REFERENCES: Readonly<Record<string, string>> = {
  actors: `SELECT actor_id FROM main.actor_status_events UNION ALL SELECT sender_actor_id FROM main.sent_messages
    UNION ALL SELECT from_actor_id FROM main.messages UNION ALL SELECT to_actor_id FROM main.messages`,
  meshes: `SELECT mesh_id FROM main.actors UNION ALL SELECT actor_mesh_id FROM main.sent_messages
    UNION ALL SELECT parent_mesh_id FROM main.meshes WHERE parent_mesh_id IS NOT NULL`,
};

async function entityDeletions(
  connection: DuckDBConnection,
  table: string,
  limits: TelemetryLimits,
  row_bytes: RowBytes,
): Promise<Deletion[]> {
  const keep = Math.min(limits.event_rows_max, Math.floor(limits.entity_max_bytes / bytesOf(row_bytes, table)));
  const [rows] = await column(connection, `SELECT count(*) FROM main.${table}`);
  const excess = Number(rows) - keep;
  if (excess <= 0) return [];
  const isIdle = `id NOT IN (${REFERENCES[table]})`;
  const [idle] = await column(connection, `SELECT count(*) FROM main.${table} WHERE ${isIdle}`);
  const nth = async (where: string, place: number): Promise<unknown> =>
    (
      await column(
        connection,
        `SELECT timestamp_us FROM main.${table} WHERE ${where} ORDER BY 1 LIMIT 1 OFFSET ${place}`,
      )
    )[0];
  const remove = (where: string): Deletion => ({ table, sql: `DELETE FROM main.${table} WHERE ${where}` });
  if (Number(idle) >= excess) {
    return [remove(`timestamp_us <= ${await nth(isIdle, excess - 1)} AND ${isIdle}`)];
  }
  const last = await nth(`NOT (${isIdle})`, excess - Number(idle) - 1);
  return [remove(`timestamp_us <= ${last} OR ${isIdle}`)];
}

async function snapshotDeletions(
  connection: DuckDBConnection,
  limits: TelemetryLimits,
  row_bytes: RowBytes,
  now_us: number,
): Promise<Deletion[]> {
  const cutoff = cutoffOf(now_us, limits.snapshot_window_ms);
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
  const surplus = [
    ...(await beyond(connection, ordered, tables, () => 1, limits.snapshot_rows_keep_max)),
    ...(await beyond(connection, ordered, tables, (table) => bytesOf(row_bytes, table), limits.snapshot_max_bytes)),
  ];
  return [
    ...deleteBy('snapshot_id', tables, [...expired, ...surplus, ...unfinished]),
    ...deleteBy('snapshot_id', ['snapshots'], [...expired, ...surplus]),
  ];
}

async function dumpDeletions(
  connection: DuckDBConnection,
  limits: TelemetryLimits,
  row_bytes: RowBytes,
  now_us: number,
): Promise<Deletion[]> {
  const expired = await column(
    connection,
    `SELECT dump_id FROM main.pyspy_dumps WHERE timestamp_us <= ${cutoffOf(now_us, limits.pyspy_window_ms)}`,
  );
  const surplus = await column(
    connection,
    `SELECT dump_id FROM main.pyspy_dumps ORDER BY timestamp_us DESC, dump_id OFFSET ${limits.dumps_keep_max}`,
  );
  const tables = PYSPY_TABLES.map((table) => table.name);
  const ordered = { name: 'pyspy_dumps', key: 'dump_id', time: 'timestamp_us' };
  return deleteBy('dump_id', tables, [
    ...expired,
    ...surplus,
    ...(await beyond(connection, ordered, tables, () => 1, limits.dump_rows_keep_max)),
    ...(await beyond(connection, ordered, tables, (table) => bytesOf(row_bytes, table), limits.pyspy_max_bytes)),
  ]);
}

/**
 * Keys of the oldest, beyond the newest whose rows in `tables` weigh `weight_max` together; the newest is never among them.
 * @param weigh what a row of a table weighs
 */
async function beyond(
  connection: DuckDBConnection,
  { name, key, time }: { readonly name: string; readonly key: string; readonly time: string },
  tables: readonly string[],
  weigh: (table: string) => number,
  weight_max: number,
): Promise<unknown[]> {
  // Known without reading the tables, in the usual case where nothing is over.
  const weights = tables.map(
    (table) => `(SELECT count(*) * ${weigh(table)}::DOUBLE FROM main.${quoteIdentifier(table)})`,
  );
  const [weight] = await column(connection, `SELECT ${weights.join(' + ')}`);
  if (Number(weight) <= weight_max) return [];
  const keys = tables.map((table) => `SELECT ${key}, ${weigh(table)}::DOUBLE AS w FROM main.${quoteIdentifier(table)}`);
  return await column(
    connection,
    `SELECT ${key} FROM (
       SELECT ${key}, sum(n) OVER newest AS weight_so_far, row_number() OVER newest AS place
       FROM main.${name} JOIN (SELECT ${key}, sum(w) AS n FROM (${keys.join(' UNION ALL ')}) GROUP BY ${key}) USING (${key})
       WINDOW newest AS (ORDER BY ${time} DESC, ${key} ROWS UNBOUNDED PRECEDING))
     WHERE weight_so_far > ${weight_max} AND place > 1`,
  );
}

function deleteBy(key: string, tables: readonly string[], values: readonly unknown[]): Deletion[] {
  if (values.length === 0) return [];
  const list = [...new Set(values)].map((value) => quoteText(String(value))).join(', ');
  return tables.map((table) => ({
    table,
    sql: `DELETE FROM main.${quoteIdentifier(table)} WHERE ${key} IN (${list})`,
  }));
}

async function column(connection: DuckDBConnection, sql: string): Promise<unknown[]> {
  return (await connection.runAndReadAll(sql)).getRows().map((row) => row[0]);
}

/**
 * Pause between sweeps, milliseconds: a tenth of the shortest window, between 30 seconds and 5 minutes, and never longer
 * than that window.
 */
export function sweepIntervalMs(limits: TelemetryLimits): number {
  const { core_window_ms, trace_window_ms, metric_window_ms, snapshot_window_ms, pyspy_window_ms } = limits;
  const windows = [core_window_ms, trace_window_ms, metric_window_ms, snapshot_window_ms, pyspy_window_ms];
  const shortest = Math.min(...windows.filter((window) => window > 0));
  const { sweep_interval_min_ms, sweep_interval_max_ms } = limits;
  return Math.min(shortest, sweep_interval_max_ms, Math.max(shortest / 10, sweep_interval_min_ms));
}

const BYTE_LIMITS = [
  'core_max_bytes',
  'trace_max_bytes',
  'metric_max_bytes',
  'snapshot_max_bytes',
  'pyspy_max_bytes',
] as const;

/** Bytes that all groups may have together: the sum of their bounds. */
export const STORE_MAX_BYTES =
  BYTE_LIMITS.reduce((sum, name) => sum + LIMITS[name], 0) + ENTITY_TABLES.length * LIMITS.entity_max_bytes;

/**
 * Limits by which the whole store keeps what a person asked for.
 * @param retention_ms age at which rows go, of every group; 0 is never. Default: as in the limits
 * @param max_bytes bytes before compression of all groups, which share them as the limits do. Default: as in the limits
 */
export function retentionLimits({
  retention_ms,
  max_bytes,
}: {
  readonly retention_ms?: number | undefined;
  readonly max_bytes?: number | undefined;
}): Partial<TelemetryLimits> {
  const windows =
    retention_ms === undefined
      ? {}
      : {
          core_window_ms: retention_ms,
          trace_window_ms: retention_ms,
          metric_window_ms: retention_ms,
          snapshot_window_ms: retention_ms,
          pyspy_window_ms: retention_ms,
        };
  if (max_bytes === undefined) return windows;
  const share = (bytes: number): number => Math.max(1, Math.floor((bytes / STORE_MAX_BYTES) * max_bytes));
  const bytes = [...BYTE_LIMITS, 'entity_max_bytes', 'sweep_after_bytes'] as const;
  return { ...windows, ...Object.fromEntries(bytes.map((name) => [name, share(LIMITS[name])])) };
}
