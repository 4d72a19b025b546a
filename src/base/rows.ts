/** Rows of telemetry tables, as they travel: arrays of values in the column order of their table. */

/** A value as JSON carries it. */
export type RowValue = string | number | boolean | null;
/** A value on its way into columns: 64-bit integers may be bigints there. */
export type Cell = RowValue | bigint;
export type Row = readonly RowValue[];
/** Rows by table name. */
export type TableRows = Readonly<Record<string, readonly (readonly Cell[])[]>>;

export function countRows(tables: Readonly<Record<string, readonly unknown[]>>): number {
  return Object.values(tables).reduce((sum, rows) => sum + rows.length, 0);
}
