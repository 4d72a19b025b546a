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
import { failure, type Outcome, success } from './errors.ts';
import { type Cell, ROWS_PER_BATCH_MAX, type RowValue, type TableRows } from './events.ts';
import { type Column, findTable, type Table } from './tables.ts';

const VERSION = 1;
const NULLS = 1;
const CODES = 2;
/** A dictionary pays when texts repeat: at most this share of the rows may differ. */
const DICTIONARY_SHARE_MAX = 0.5;
const TEXT_COUNT_MAX = ROWS_PER_BATCH_MAX;

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

/**
 * Writes rows by columns.
 * @returns `bad_request` naming table, row and column of the first value that does not fit, or the bound that is passed
 */
export function pack(tables: TableRows): Outcome<Uint8Array<ArrayBuffer>> {
  const out = new Writer();
  const names = Object.keys(tables).filter((name) => tables[name]?.length !== 0);
  out.u32(VERSION);
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

/**
 * Reads what `pack` wrote, laying the columns over `bytes`, which must not change while they are used.
 * @param bytes beginning at a multiple of 8 bytes of their buffer
 * @returns `bad_request` saying what is wrong, and where
 */
export function unpack(bytes: Uint8Array): Outcome<PackedTable[]> {
  try {
    return success(new Reader(bytes).tables());
  } catch (error) {
    if (error instanceof Malformed) return failure('bad_request', `packed: ${error.message}`);
    throw error;
  }
}

export function countPackedRows(tables: readonly PackedTable[]): number {
  return tables.reduce((sum, table) => sum + table.rows, 0);
}

class Malformed extends Error {}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  tables(): PackedTable[] {
    const version = this.#u32();
    if (version !== VERSION) throw new Malformed(`version ${version}, expected ${VERSION}`);
    const tables: PackedTable[] = [];
    let rowCount = 0;
    for (let left = this.#u32(); left > 0; left -= 1) {
      const table = this.#table();
      if (tables.some((other) => other.table === table.table)) throw new Malformed(`${table.table.name} comes twice`);
      rowCount += table.rows;
      if (rowCount > ROWS_PER_BATCH_MAX) throw new Malformed(`more than ${ROWS_PER_BATCH_MAX} rows in one batch`);
      tables.push(table);
    }
    if (this.#at !== this.#bytes.length) throw new Malformed(`${this.#bytes.length - this.#at} bytes too many`);
    return tables;
  }

  #table(): PackedTable {
    const nameLength = this.#u32();
    const rows = this.#u32();
    const name = new TextDecoder().decode(this.#section(nameLength, 1));
    const table = findTable(name);
    if (table === undefined) throw new Malformed(`no such table: ${JSON.stringify(name.slice(0, 100))}`);
    if (rows === 0 || rows > ROWS_PER_BATCH_MAX) throw new Malformed(`${name}: ${rows} rows`);
    return { table, rows, columns: table.columns.map((column) => this.#column(table, column, rows)) };
  }

  #column(table: Table, column: Column, rows: number): PackedColumn {
    const where = `${table.name}.${column.name}`;
    const flags = this.#u32();
    const count = this.#u32();
    if ((flags & ~(NULLS | CODES)) !== 0) throw new Malformed(`${where}: unknown flags ${flags}`);
    if ((flags & NULLS) !== 0 && !column.nullable) throw new Malformed(`${where}: cannot be null`);
    const validity = (flags & NULLS) === 0 ? null : this.#section(Math.ceil(rows / 8), 1);
    if (column.type === 'text') {
      return { column, validity, values: null, text: this.#text(where, rows, count, (flags & CODES) !== 0) };
    }
    return { column, validity, values: this.#values(where, column, rows), text: null };
  }

  #values(where: string, { type }: Column, rows: number): PackedValues {
    const { buffer } = this.#bytes;
    const at = (width: number): [ArrayBufferLike, number, number] => {
      const part = this.#section(rows, width);
      return [buffer, part.byteOffset, rows];
    };
    switch (type) {
      case 'u64':
        return new BigUint64Array(...at(8));
      case 'i64':
        return new BigInt64Array(...at(8));
      case 'f64':
        return new Float64Array(...at(8));
      case 'i32':
        return new Int32Array(...at(4));
      case 'u32':
        return new Uint32Array(...at(4));
      default: {
        const flags = new Uint8Array(...at(1));
        if (flags.some((flag) => flag > 1)) throw new Malformed(`${where}: a flag is neither 0 nor 1`);
        return flags;
      }
    }
  }

  #text(where: string, rows: number, count: number, hasCodes: boolean): PackedText {
    if (count > TEXT_COUNT_MAX || (!hasCodes && count !== rows)) throw new Malformed(`${where}: ${count} texts`);
    const part = this.#section(count + 1, 4);
    const offsets = new Uint32Array(part.buffer, part.byteOffset, count + 1);
    if (offsets[0] !== 0) throw new Malformed(`${where}: texts begin at ${offsets[0]}`);
    for (let index = 0; index < count; index += 1) {
      if ((offsets[index] ?? 0) > (offsets[index + 1] ?? 0)) throw new Malformed(`${where}: text ${index} ends early`);
    }
    const bytes = this.#section(offsets[count] ?? 0, 1);
    checkTexts(where, bytes, offsets);
    if (!hasCodes) return { bytes, offsets, codes: null };
    const codePart = this.#section(rows, 4);
    const codes = new Uint32Array(codePart.buffer, codePart.byteOffset, rows);
    if (codes.some((code) => code >= count)) throw new Malformed(`${where}: a code is not below ${count}`);
    return { bytes, offsets, codes };
  }

  #u32(): number {
    if (this.#at + 4 > this.#bytes.length) throw new Malformed('ends early');
    const value = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  #section(count: number, width: number): Uint8Array {
    const end = this.#at + count * width;
    const padded = end + (-end & 7);
    if (padded > this.#bytes.length) throw new Malformed('ends early');
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = padded;
    return part;
  }
}

/** Every text must be UTF-8 by itself: valid as a whole, and none beginning inside of a character. */
function checkTexts(where: string, bytes: Uint8Array, offsets: Uint32Array): void {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Malformed(`${where}: not UTF-8`);
  }
  for (const offset of offsets) {
    if (((bytes[offset] ?? 0) & 0xc0) === 0x80) throw new Malformed(`${where}: not UTF-8`);
  }
}

/** The rows of a table, as `pack` took them: 64-bit integers beyond the safe ones as decimal text. */
export function unpackRows({ rows, columns }: PackedTable): RowValue[][] {
  const texts = columns.map(({ text }) => (text === null ? [] : textsOf(text)));
  return Array.from({ length: rows }, (_, row) =>
    columns.map(({ column, validity, values, text }, place) => {
      if (!isValid(validity, row)) return null;
      if (text !== null) return texts[place]?.[text.codes === null ? row : (text.codes[row] ?? 0)] ?? '';
      const value = values?.[row] ?? 0;
      if (column.type === 'flag') return value === 1;
      return typeof value === 'bigint' ? exactNumber(value) : value;
    }),
  );
}

/** Whether a row of a column has a value. */
export function isValid(validity: Uint8Array | null, row: number): boolean {
  return validity === null || ((validity[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
}

function textsOf({ bytes, offsets }: PackedText): string[] {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return Array.from({ length: offsets.length - 1 }, (_, index) =>
    decoder.decode(bytes.subarray(offsets[index], offsets[index + 1])),
  );
}

function exactNumber(value: bigint): RowValue {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}
