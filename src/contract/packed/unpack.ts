/** Reading of rows by columns (layout.ts). */
import { failure, type Outcome, type RowValue, success } from '../../base/index.ts';
import { ROWS_PER_BATCH_MAX } from '../events.ts';
import { type Column, findTable, type Table } from '../tables.ts';
import {
  CODES,
  isValid,
  NULLS,
  PACKED_VERSION,
  type PackedColumn,
  type PackedTable,
  type PackedText,
  type PackedValues,
} from './layout.ts';

const TEXT_COUNT_MAX = ROWS_PER_BATCH_MAX;

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
    if (version !== PACKED_VERSION) throw new Malformed(`version ${version}, expected ${PACKED_VERSION}`);
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
