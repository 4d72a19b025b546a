/**
 * How a table is written down: what one row is, how long rows stay, and a line for each column.
 *
 *     display_name text? — user-facing name; null for agents
 *     │            │   │   └ what it means
 *     │            │   └ the column may be null
 *     │            └ a ColumnType
 *     └ name
 *
 * The order of the lines is the order of the columns, and part of the contract.
 */

export const COLUMN_TYPES = {
  /** Hashed ids, ranks, unsigned counts. Beyond 2^53: decimal text in batches, bare integers in query results. */
  u64: 'UBIGINT',
  i64: 'BIGINT',
  i32: 'INTEGER',
  u32: 'UINTEGER',
  f64: 'DOUBLE',
  text: 'VARCHAR',
  flag: 'BOOLEAN',
} as const;

export type ColumnType = keyof typeof COLUMN_TYPES;

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** One line for people, without a full stop. */
  readonly meaning: string;
}

/** What a table is about. */
export type TableGroup = 'core' | 'trace' | 'metric' | 'snapshot' | 'pyspy';

/**
 * When rows go. `age`: each by its own time. `number`: only when there are too many, since others refer to them: first
 * those that no other refers to, then the oldest. `capture`: with all rows of the same `snapshot_id`. `dump`: with all rows of the same `dump_id`.
 */
export type RowsGo = 'age' | 'number' | 'capture' | 'dump';

export interface Table {
  readonly name: string;
  readonly group: TableGroup;
  /** What one row is. */
  readonly row: string;
  readonly rows_go: RowsGo;
  /** The column that retention goes by, microseconds since the epoch; null: by that of the capture or dump. */
  readonly time_column: string | null;
  readonly columns: readonly Column[];
}

export interface TableHead {
  readonly row: string;
  readonly rows_go: RowsGo;
  readonly time_column: string | null;
}

const COLUMN_LINE = /^(\w+) (\w+)(\??) — (.+)$/;

/** @throws RangeError for a line that is not of the form above */
export function table(name: string, group: TableGroup, head: TableHead, columns: string): Table {
  return {
    name,
    group,
    ...head,
    columns: columns
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .map((line) => columnOf(name, line)),
  };
}

function columnOf(tableName: string, line: string): Column {
  const [, name = '', type = '', mark = '', meaning = ''] = COLUMN_LINE.exec(line) ?? [];
  if (!Object.hasOwn(COLUMN_TYPES, type)) throw new RangeError(`table ${tableName}: not a column: ${line}`);
  return { name, type: type as ColumnType, nullable: mark === '?', meaning };
}
