/**
 * Captures and stored dumps: their rows, in several tables, are deleted together. Each has one row in the table that dates it.
 *
 * Rows without that row belong to a capture or dump that is still on its way or never became whole. They have no time of their
 * own, so they are dated by the sweep that saw them first.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { type RowsGo, TABLES } from '../../contract/index.ts';
import { quoteIdentifier, quoteText } from '../database/ddl.ts';
import type { TelemetryLimits } from '../limits.ts';
import { bytesOf, column, cutoffOf, type Deletion, type RowBytes } from './deletion.ts';

/** What goes whole. */
interface Kind {
  /** The column that all its tables share. */
  readonly key: string;
  /** The table that dates it, and that makes it whole. */
  readonly head: string;
  readonly time: string;
  /** All its tables, `head` last, so that a copy that stops between two deletions has no whole one that lacks rows. */
  readonly tables: readonly string[];
}

function kindOf(rows_go: RowsGo, key: string, head: string, time: string): Kind {
  const others = TABLES.filter((table) => table.rows_go === rows_go && table.name !== head).map(({ name }) => name);
  return { key, head, time, tables: [...others, head] };
}

const CAPTURE = kindOf('capture', 'snapshot_id', 'snapshots', 'snapshot_ts');
const DUMP = kindOf('dump', 'dump_id', 'pyspy_dumps', 'timestamp_us');

/** When a sweep first saw each capture and dump that is not whole, microseconds. */
export class Unfinished {
  readonly #seen = new Map<Kind, Map<string, number>>();

  /**
   * What is over: seen longer ago than the window, or beyond the number that is remembered.
   * @param isTight whether there is no room: then all that an earlier sweep saw
   */
  async over(
    connection: DuckDBConnection,
    kind: Kind,
    { unfinished_window_ms, unfinished_max }: TelemetryLimits,
    now_us: number,
    isTight: boolean,
  ): Promise<string[]> {
    const { key, head, tables } = kind;
    const keys = tables.filter((name) => name !== head).map((name) => `SELECT DISTINCT ${key} FROM main.${name}`);
    const found = await column(
      connection,
      `SELECT DISTINCT ${key} FROM (${keys.join(' UNION ALL ')}) WHERE ${key} NOT IN (SELECT ${key} FROM main.${head})`,
    );
    const before = this.#seen.get(kind) ?? new Map<string, number>();
    const after = new Map<string, number>();
    const over: string[] = [];
    const cutoff = cutoffOf(now_us, unfinished_window_ms);
    for (const name of found.map(String)) {
      const first = before.get(name);
      const isOver = first !== undefined && (first <= cutoff || isTight);
      if (isOver || after.size >= unfinished_max) over.push(name);
      else after.set(name, Math.min(first ?? now_us, now_us));
    }
    this.#seen.set(kind, after);
    return over;
  }
}

export async function captureDeletions(
  connection: DuckDBConnection,
  unfinished: Unfinished,
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
  // Their nodes do say how old they are.
  const dated = await column(
    connection,
    `SELECT snapshot_id FROM main.nodes WHERE snapshot_id NOT IN (SELECT snapshot_id FROM main.snapshots)
     GROUP BY snapshot_id HAVING max(as_of) <= ${cutoff}`,
  );
  const bounds: Bound[] = [
    { weigh: (table) => (table === CAPTURE.head ? 0 : 1), max: limits.snapshot_rows_keep_max },
    { weigh: (table) => bytesOf(row_bytes, table), max: limits.snapshot_max_bytes },
  ];
  const { keys, isTight } = await surplus(connection, CAPTURE, bounds);
  const half = await unfinished.over(connection, CAPTURE, limits, now_us, isTight);
  return deleteWhole(CAPTURE, [...expired, ...keys, ...dated, ...half]);
}

export async function dumpDeletions(
  connection: DuckDBConnection,
  unfinished: Unfinished,
  limits: TelemetryLimits,
  row_bytes: RowBytes,
  now_us: number,
): Promise<Deletion[]> {
  const expired = await column(
    connection,
    `SELECT dump_id FROM main.pyspy_dumps WHERE timestamp_us <= ${cutoffOf(now_us, limits.pyspy_window_ms)}`,
  );
  const many = await column(
    connection,
    `SELECT dump_id FROM main.pyspy_dumps ORDER BY timestamp_us DESC, dump_id OFFSET ${limits.dumps_keep_max}`,
  );
  const bounds: Bound[] = [
    { weigh: () => 1, max: limits.dump_rows_keep_max },
    { weigh: (table) => bytesOf(row_bytes, table), max: limits.pyspy_max_bytes },
  ];
  const { keys, isTight } = await surplus(connection, DUMP, bounds);
  const half = await unfinished.over(connection, DUMP, limits, now_us, isTight);
  return deleteWhole(DUMP, [...expired, ...many, ...keys, ...half]);
}

interface Bound {
  /** What a row of a table weighs. */
  readonly weigh: (table: string) => number;
  /** What all may weigh together. */
  readonly max: number;
}

/** Keys of the oldest, beyond the newest that are within each bound; the newest is never among them. */
async function surplus(
  connection: DuckDBConnection,
  kind: Kind,
  bounds: readonly Bound[],
): Promise<{ keys: unknown[]; isTight: boolean }> {
  const keys: unknown[] = [];
  let isTight = false;
  for (const bound of bounds) {
    // Known without reading the tables, in the usual case where nothing is over.
    const weights = kind.tables.map(
      (table) => `(SELECT count(*) * ${bound.weigh(table)}::DOUBLE FROM main.${quoteIdentifier(table)})`,
    );
    const [weight] = await column(connection, `SELECT ${weights.join(' + ')}`);
    if (Number(weight) <= bound.max) continue;
    isTight = true;
    keys.push(...(await beyond(connection, kind, bound)));
  }
  return { keys, isTight };
}

async function beyond(
  connection: DuckDBConnection,
  { key, head, time, tables }: Kind,
  { weigh, max }: Bound,
): Promise<unknown[]> {
  const rows = tables.map((table) => `SELECT ${key}, ${weigh(table)}::DOUBLE AS w FROM main.${quoteIdentifier(table)}`);
  return await column(
    connection,
    `SELECT ${key} FROM (
       SELECT ${key}, sum(n) OVER newest AS weight_so_far, row_number() OVER newest AS place
       FROM main.${head} JOIN (SELECT ${key}, sum(w) AS n FROM (${rows.join(' UNION ALL ')}) GROUP BY ${key}) USING (${key})
       WINDOW newest AS (ORDER BY ${time} DESC, ${key} ROWS UNBOUNDED PRECEDING))
     WHERE weight_so_far > ${max} AND place > 1`,
  );
}

function deleteWhole({ key, tables }: Kind, keys: readonly unknown[]): Deletion[] {
  if (keys.length === 0) return [];
  const list = [...new Set(keys)].map((value) => quoteText(String(value))).join(', ');
  return tables.map((table) => ({
    table,
    sql: `DELETE FROM main.${quoteIdentifier(table)} WHERE ${key} IN (${list})`,
  }));
}
