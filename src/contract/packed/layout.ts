/**
 * Rows by columns, as bytes: what `packed` of an event batch holds under its compression.
 *
 * 1. Integers are little-endian. Every section begins at a multiple of 8 bytes, so that a reader can lay typed arrays over
 *    the bytes as they are.
 * 2. The bytes begin with the version (u32) and the number of tables (u32). Each table: its name's length and its number of
 *    rows (u32 each), its name, and its columns in the order of the contract.
 * 3. Each column: flags (u32) and a count (u32), then the sections that the flags name. NULLS: one bit per row, set where
 *    there is a value, least significant first. Then the values: 8 bytes each for u64, i64 and f64, 4 for u32 and i32, 1
 *    for a flag; where there is no value, anything.
 * 4. A text column: `count` texts as offsets (u32, count + 1 of them) into UTF-8 bytes, and the bytes. Without CODES there
 *    is a text per row; with it, the texts are a dictionary, and a code (u32) per row follows.
 *
 * A reader trusts nothing: `unpack` checks every length, every code, the UTF-8 and the nulls before anybody uses a column.
 */
import type { Column, Table } from '../tables.ts';

export const PACKED_VERSION = 1;
/** Flags of a column. */
export const NULLS = 1;
export const CODES = 2;

/** The texts of a column: text `i` is `bytes[offsets[i], offsets[i + 1])`; row `r` has text `codes[r]`, or `r`. */
export interface PackedText {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  readonly codes: Uint32Array | null;
}

export type PackedValues = BigUint64Array | BigInt64Array | Int32Array | Uint32Array | Float64Array | Uint8Array;

export interface PackedColumn {
  readonly column: Column;
  /** One bit per row, set where there is a value; null when every row has one. */
  readonly validity: Uint8Array | null;
  /** Null for text. */
  readonly values: PackedValues | null;
  readonly text: PackedText | null;
}

export interface PackedTable {
  readonly table: Table;
  readonly rows: number;
  readonly columns: readonly PackedColumn[];
}

/** Whether a row of a column has a value. */
export function isValid(validity: Uint8Array | null, row: number): boolean {
  return validity === null || ((validity[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
}

export function countPackedRows(tables: readonly PackedTable[]): number {
  return tables.reduce((sum, table) => sum + table.rows, 0);
}
