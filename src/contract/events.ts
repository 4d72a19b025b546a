/**
 * Event batches: how telemetry rows travel from whoever produced them to the store.
 *
 * 1. A producer (an agent's incarnation, a gateway's) numbers its batches 1, 2, 3, … and keeps each until it is
 *    acknowledged.
 * 2. The store appends a batch and remembers its number in one transaction, and acknowledges after the commit. A batch
 *    whose number is not above the producer's last is acknowledged again without being appended: it counts once.
 * 3. What a producer had to drop at its bound is told in `lost_rows` of its next batch.
 *
 * Rows are arrays of values in the column order of the table; a `u64` or `i64` beyond the safe integers is decimal text.
 */
import * as v from 'valibot';
import { UInt } from './integers.ts';
import { type Column, findTable, type Table } from './tables.ts';

export const ROWS_PER_BATCH_MAX = 10_000;

export const RowValue = v.union([v.string(), v.number(), v.boolean(), v.null()]);
export type RowValue = v.InferOutput<typeof RowValue>;
export type Row = readonly RowValue[];

export const EventBatch = v.object({
  producer: v.pipe(v.string(), v.uuid()),
  seq: v.pipe(UInt, v.minValue(1)),
  lost_rows: UInt,
  tables: v.record(v.string(), v.array(v.array(RowValue))),
});
export type EventBatch = v.InferOutput<typeof EventBatch>;

/** Why a batch does not fit the tables, naming table, row and column; null when it does. */
export function batchError(batch: EventBatch): string | null {
  let rowCount = 0;
  for (const [name, rows] of Object.entries(batch.tables)) {
    const table = findTable(name);
    if (table === undefined) return `tables.${name}: no such table`;
    rowCount += rows.length;
    if (rowCount > ROWS_PER_BATCH_MAX) return `tables: more than ${ROWS_PER_BATCH_MAX} rows in one batch`;
    for (const [index, row] of rows.entries()) {
      const error = rowError(table, row);
      if (error !== null) return `tables.${name}[${index}]: ${error}`;
    }
  }
  return null;
}

function rowError(table: Table, row: Row): string | null {
  if (row.length !== table.columns.length) return `${row.length} values for ${table.columns.length} columns`;
  for (const [index, column] of table.columns.entries()) {
    if (!fits(column, row[index] ?? null)) return `${column.name}: ${JSON.stringify(row[index])} is not ${column.type}`;
  }
  return null;
}

function fits(column: Column, value: RowValue): boolean {
  if (value === null) return column.nullable;
  switch (column.type) {
    case 'text':
      return typeof value === 'string';
    case 'flag':
      return typeof value === 'boolean';
    case 'f64':
      return typeof value === 'number';
    case 'i32':
      return isInteger(value, -0x8000_0000n, 0x7fff_ffffn);
    case 'u32':
      return isInteger(value, 0n, 0xffff_ffffn);
    case 'i64':
      return isInteger(value, -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn);
    case 'u64':
      return isInteger(value, 0n, 0xffff_ffff_ffff_ffffn);
  }
}

function isInteger(value: string | number | boolean, min: bigint, max: bigint): boolean {
  if (typeof value === 'number' ? !Number.isSafeInteger(value) : !/^-?[0-9]{1,20}$/.test(String(value))) return false;
  const number = BigInt(value);
  return number >= min && number <= max;
}

export function countRows(batch: EventBatch): number {
  return Object.values(batch.tables).reduce((sum, rows) => sum + rows.length, 0);
}
