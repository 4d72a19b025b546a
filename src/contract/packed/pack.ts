/** Writing of rows by columns (layout.ts). */
import { type Cell, failure, type Outcome, success, type TableRows } from '../../base/index.ts';
import { ROWS_PER_BATCH_MAX } from '../events.ts';
import { type Column, findTable, type Table } from '../tables.ts';
import { CODES, NULLS, PACKED_VERSION } from './layout.ts';

/** A dictionary pays when texts repeat: at most this share of the rows may differ. */
const DICTIONARY_SHARE_MAX = 0.5;

/**
 * Writes rows by columns.
 * @returns `bad_request` naming table, row and column of the first value that does not fit, or the bound that is passed
 */
export function pack(tables: TableRows): Outcome<Uint8Array<ArrayBuffer>> {
  const out = new Writer();
  const names = Object.keys(tables).filter((name) => tables[name]?.length !== 0);
  out.u32(PACKED_VERSION);
  out.u32(names.length);
  let rowCount = 0;
  for (const name of names) {
    const table = findTable(name);
    if (table === undefined) return failure('bad_request', `tables.${name}: no such table`);
    const rows = tables[name] ?? [];
    rowCount += rows.length;
    if (rowCount > ROWS_PER_BATCH_MAX) {
      return failure('bad_request', `tables: more than ${ROWS_PER_BATCH_MAX} rows in one batch`);
    }
    const error = packTable(out, table, rows);
    if (error !== null) return failure('bad_request', `tables.${name}${error}`);
  }
  return success(out.bytes());
}

function packTable(out: Writer, table: Table, rows: readonly (readonly Cell[])[]): string | null {
  for (const [index, row] of rows.entries()) {
    if (!Array.isArray(row)) return `[${index}]: not an array of values`;
    if (row.length !== table.columns.length) {
      return `[${index}]: ${row.length} values for ${table.columns.length} columns`;
    }
  }
  const name = new TextEncoder().encode(table.name);
  out.u32(name.length);
  out.u32(rows.length);
  out.section(name);
  for (const [place, column] of table.columns.entries()) {
    const cells = rows.map((row) => row[place] ?? null);
    const wrong = column.type === 'text' ? packTexts(out, column, cells) : packNumbers(out, column, cells);
    if (wrong < 0) continue;
    return `[${wrong}]: ${column.name}: ${shown(cells[wrong] ?? null)} is not ${column.type}`;
  }
  return null;
}

function shown(cell: Cell): string {
  return typeof cell === 'bigint' ? String(cell) : JSON.stringify(cell).slice(0, 200);
}

/** @returns the row of the first value that does not fit, or -1 */
function packNumbers(out: Writer, column: Column, cells: readonly Cell[]): number {
  const values = valuesOf(column, cells.length);
  const validity = new Validity(cells.length);
  for (const [row, cell] of cells.entries()) {
    if (cell === null) {
      if (!column.nullable) return row;
      validity.setNull(row);
      continue;
    }
    const value = fitted(column, cell);
    if (value === null) return row;
    values[row] = value;
  }
  out.u32(validity.flags);
  out.u32(0);
  validity.write(out);
  out.section(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return -1;
}

/** @returns the row of the first value that does not fit, or -1 */
function packTexts(out: Writer, column: Column, cells: readonly Cell[]): number {
  const validity = new Validity(cells.length);
  const places = new Map<string, number>();
  const codes = new Uint32Array(cells.length);
  for (const [row, cell] of cells.entries()) {
    if (cell === null) {
      if (!column.nullable) return row;
      validity.setNull(row);
    } else if (typeof cell !== 'string' || !cell.isWellFormed()) return row;
    const text = cell === null ? '' : cell;
    const place = places.get(text) ?? places.size;
    if (place === places.size) places.set(text, place);
    codes[row] = place;
  }
  const isDictionary = places.size <= cells.length * DICTIONARY_SHARE_MAX;
  const texts = isDictionary ? [...places.keys()] : cells.map((cell) => (typeof cell === 'string' ? cell : ''));
  const offsets = new Uint32Array(texts.length + 1);
  const encoded = texts.map((text, index) => {
    const bytes = ENCODER.encode(text);
    offsets[index + 1] = (offsets[index] ?? 0) + bytes.length;
    return bytes;
  });
  out.u32(validity.flags | (isDictionary ? CODES : 0));
  out.u32(texts.length);
  validity.write(out);
  out.section(new Uint8Array(offsets.buffer));
  out.sections(encoded);
  if (isDictionary) out.section(new Uint8Array(codes.buffer));
  return -1;
}

const ENCODER = new TextEncoder();

type Settable = { [index: number]: number | bigint; readonly buffer: ArrayBufferLike } & {
  readonly byteOffset: number;
  readonly byteLength: number;
};

function valuesOf({ type }: Column, rows: number): Settable {
  switch (type) {
    case 'u64':
      return new BigUint64Array(rows) as unknown as Settable;
    case 'i64':
      return new BigInt64Array(rows) as unknown as Settable;
    case 'f64':
      return new Float64Array(rows) as unknown as Settable;
    case 'i32':
      return new Int32Array(rows) as unknown as Settable;
    case 'u32':
      return new Uint32Array(rows) as unknown as Settable;
    default:
      return new Uint8Array(rows) as unknown as Settable;
  }
}

/** The value as its column stores it, or null when it does not fit. */
function fitted({ type }: Column, cell: Exclude<Cell, null>): number | bigint | null {
  switch (type) {
    case 'flag':
      return typeof cell === 'boolean' ? Number(cell) : null;
    case 'f64':
      return typeof cell === 'number' ? cell : null;
    case 'i32':
      return smallInteger(cell, -0x8000_0000, 0x7fff_ffff);
    case 'u32':
      return smallInteger(cell, 0, 0xffff_ffff);
    case 'i64':
      return integer(cell, -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn);
    default:
      return integer(cell, 0n, 0xffff_ffff_ffff_ffffn);
  }
}

function integer(cell: Cell, min: bigint, max: bigint): bigint | null {
  let value: bigint;
  if (typeof cell === 'bigint') value = cell;
  else if (typeof cell === 'number' ? Number.isSafeInteger(cell) : isDecimal(cell)) value = BigInt(cell as string);
  else return null;
  return value >= min && value <= max ? value : null;
}

function smallInteger(cell: Cell, min: number, max: number): number | null {
  const value = integer(cell, BigInt(min), BigInt(max));
  return value === null ? null : Number(value);
}

function isDecimal(cell: Cell): boolean {
  return typeof cell === 'string' && /^-?[0-9]{1,20}$/.test(cell);
}

class Validity {
  #bits: Uint8Array | null = null;
  readonly #rows: number;

  constructor(rows: number) {
    this.#rows = rows;
  }

  get flags(): number {
    return this.#bits === null ? 0 : NULLS;
  }

  setNull(row: number): void {
    this.#bits ??= new Uint8Array(Math.ceil(this.#rows / 8)).fill(0xff);
    this.#bits[row >> 3] = (this.#bits[row >> 3] ?? 0) & ~(1 << (row & 7));
  }

  write(out: Writer): void {
    if (this.#bits !== null) out.section(this.#bits);
  }
}

/** Collects sections, each padded to a multiple of 8 bytes. */
class Writer {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  u32(value: number): void {
    const part = new Uint8Array(4);
    new DataView(part.buffer).setUint32(0, value, true);
    this.#add(part);
  }

  section(part: Uint8Array): void {
    this.#add(part);
    this.#pad();
  }

  sections(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.#add(part);
    this.#pad();
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#length += part.length;
  }

  #pad(): void {
    const missing = -this.#length & 7;
    if (missing > 0) this.#add(new Uint8Array(missing));
  }
}
