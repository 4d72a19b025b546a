/**
 * The values of one column of a chunk as JSON texts, read from the vector's memory as it is: a value object for each of a
 * thousand rows costs more than the query that found them.
 *
 * 1. Integers of up to 64 bits, doubles and texts are read here; every other type by the value (render.ts).
 * 2. A text is 16 bytes in its vector: its length (u32), then either up to 12 bytes of it, or 4 of them and a pointer.
 *    Where the 16 bytes are those of another row, so is the text, and it is not read, decoded and quoted again.
 */
import { isAscii } from 'node:buffer';
import { type DuckDBDataChunk, DuckDBTypeId, type DuckDBValue } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';

const TEXT_BYTES = 16;
const INLINE_BYTES_MAX = 12;
/** Texts of a column that are remembered, by a hash of their 16 bytes; a power of two. */
const REMEMBERED = 256;
const NOT_ASCII = 0x8080_8080 | 0;
const EMPTY = Buffer.alloc(0);
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** @param renderValue for types that are not read here */
export function renderColumn(
  chunk: DuckDBDataChunk,
  index: number,
  renderValue: (value: DuckDBValue) => string,
): string[] {
  const rows = chunk.rowCount;
  const vector = duckdb.data_chunk_get_vector(chunk.chunk, index);
  const type = duckdb.get_type_id(duckdb.vector_get_column_type(vector));
  const bits = duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8) as Uint8Array | null;
  const isNull = (row: number): boolean => bits !== null && ((bits[row >> 3] ?? 0) & (1 << (row & 7))) === 0;
  const data = (width: number): [ArrayBufferLike, number, number] => {
    const { buffer, byteOffset } = duckdb.vector_get_data(vector, rows * width);
    return [buffer, byteOffset, rows];
  };
  const texts = new Array<string>(rows);
  const numbers = (values: ArrayLike<number>): string[] => {
    for (let row = 0; row < rows; row += 1) texts[row] = isNull(row) ? 'null' : String(values[row]);
    return texts;
  };
  switch (type as number) {
    case DuckDBTypeId.TINYINT:
      return numbers(new Int8Array(...data(1)));
    case DuckDBTypeId.UTINYINT:
      return numbers(new Uint8Array(...data(1)));
    case DuckDBTypeId.SMALLINT:
      return numbers(new Int16Array(...data(2)));
    case DuckDBTypeId.USMALLINT:
      return numbers(new Uint16Array(...data(2)));
    case DuckDBTypeId.INTEGER:
      return numbers(new Int32Array(...data(4)));
    case DuckDBTypeId.UINTEGER:
      return numbers(new Uint32Array(...data(4)));
    case DuckDBTypeId.DOUBLE: {
      const values = new Float64Array(...data(8));
      for (let row = 0; row < rows; row += 1) {
        const value = values[row] ?? 0;
        texts[row] = isNull(row) || !Number.isFinite(value) ? 'null' : String(value);
      }
      return texts;
    }
    case DuckDBTypeId.BIGINT:
    case DuckDBTypeId.UBIGINT: {
      const values =
        (type as number) === DuckDBTypeId.BIGINT ? new BigInt64Array(...data(8)) : new BigUint64Array(...data(8));
      const [buffer, byteOffset] = data(8);
      const halves = new Uint32Array(buffer, byteOffset, rows * 2);
      for (let row = 0; row < rows; row += 1) {
        const high = halves[row * 2 + 1] ?? 0;
        // Exact as a number, which is written in a third of the time.
        if (isNull(row)) texts[row] = 'null';
        else if (high < 0x20_0000) texts[row] = String(high * 0x1_0000_0000 + (halves[row * 2] ?? 0));
        else texts[row] = String(values[row]);
      }
      return texts;
    }
    case DuckDBTypeId.VARCHAR:
      return renderTexts(duckdb.vector_get_data(vector, rows * TEXT_BYTES), rows, isNull);
    default: {
      const values = chunk.getColumnVector(index);
      for (let row = 0; row < rows; row += 1) texts[row] = renderValue(values.getItem(row) as DuckDBValue);
      return texts;
    }
  }
}

function renderTexts(data: Uint8Array, rows: number, isNull: (row: number) => boolean): string[] {
  const { buffer, byteOffset } = data;
  const words = new Int32Array(buffer, byteOffset, rows * 4);
  const inline = Buffer.from(buffer, byteOffset, rows * TEXT_BYTES).toString('latin1');
  const outside = new OutsideTexts(data, rows, isNull);
  const texts = new Array<string>(rows);
  const rememberedRows = new Int32Array(REMEMBERED).fill(-1);
  for (let row = 0; row < rows; row += 1) {
    if (isNull(row)) {
      texts[row] = 'null';
      continue;
    }
    const at = row * 4;
    const [a, b, c, d] = [words[at] ?? 0, words[at + 1] ?? 0, words[at + 2] ?? 0, words[at + 3] ?? 0];
    const hash = Math.imul(Math.imul(Math.imul(a ^ b, 0x9e37_79b1) ^ c, 0x85eb_ca6b) ^ d, 0xc2b2_ae35);
    const slot = (hash ^ (hash >>> 15)) & (REMEMBERED - 1);
    const other = rememberedRows[slot] ?? -1;
    if (
      other >= 0 &&
      words[other * 4] === a &&
      words[other * 4 + 1] === b &&
      words[other * 4 + 2] === c &&
      words[other * 4 + 3] === d
    ) {
      texts[row] = texts[other] ?? '';
      continue;
    }
    const offset = row * TEXT_BYTES + 4;
    let text: string;
    if (a >>> 0 > INLINE_BYTES_MAX) text = outside.read(row);
    else if (((b | c | d) & NOT_ASCII) === 0) text = inline.slice(offset, offset + a);
    else text = UTF8.decode(new Uint8Array(buffer, byteOffset + offset, a));
    texts[row] = JSON.stringify(text);
    rememberedRows[slot] = row;
  }
  return texts;
}

/**
 * Texts behind pointers. DuckDB lays those of neighbouring rows one after the other, mostly, and each reading of memory
 * costs as much as the rest of a row: a run is read at once. To be asked for rows in order.
 */
class OutsideTexts {
  readonly #data: Uint8Array;
  readonly #rows: number;
  readonly #lengths: Uint32Array;
  readonly #pointers: BigUint64Array;
  readonly #isNull: (row: number) => boolean;
  /** The run that was read last: its first byte's address, its bytes, and them as text when they are ASCII. */
  #begin = 0n;
  #bytes: Buffer = EMPTY;
  #ascii: string | null = null;

  constructor(data: Uint8Array, rows: number, isNull: (row: number) => boolean) {
    this.#data = data;
    this.#rows = rows;
    this.#lengths = new Uint32Array(data.buffer, data.byteOffset, rows * 4);
    this.#pointers = new BigUint64Array(data.buffer, data.byteOffset, rows * 2);
    this.#isNull = isNull;
  }

  read(row: number): string {
    const pointer = this.#pointers[row * 2 + 1] ?? 0n;
    const length = this.#lengths[row * 4] ?? 0;
    let start = Number(pointer - this.#begin);
    if (start < 0 || start + length > this.#bytes.length) {
      this.#readRun(row);
      start = 0;
    }
    if (this.#ascii !== null) return this.#ascii.slice(start, start + length);
    return UTF8.decode(this.#bytes.subarray(start, start + length));
  }

  #readRun(first: number): void {
    this.#begin = this.#pointers[first * 2 + 1] ?? 0n;
    let end = this.#begin;
    for (let row = first; row < this.#rows; row += 1) {
      const length = this.#lengths[row * 4] ?? 0;
      if (length <= INLINE_BYTES_MAX || this.#isNull(row)) continue;
      if (this.#pointers[row * 2 + 1] !== end) break;
      end += BigInt(length);
    }
    const { buffer, byteOffset } = this.#data;
    const length = Number(end - this.#begin);
    const at = byteOffset + first * TEXT_BYTES + 8;
    const bytes = duckdb.get_data_from_pointer(buffer as ArrayBuffer, at, length);
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#ascii = isAscii(this.#bytes) ? this.#bytes.toString('latin1') : null;
  }
}
