/**
 * Texts of a vector as JSON texts.
 *
 * 1. A text is 16 bytes in its vector: its length (u32), then either up to 12 bytes of it, or 4 of them and a pointer.
 * 2. Where the 16 bytes are those of another row, so is the text, and it is not read, decoded and quoted again.
 */
import { isAscii } from 'node:buffer';
import duckdb from '@duckdb/node-bindings';
import type { Room } from './room.ts';

export const TEXT_BYTES = 16;
const INLINE_BYTES_MAX = 12;
/** Texts of a column that are remembered, by a hash of their 16 bytes; a power of two. */
const REMEMBERED = 256;
/** Texts that are read at once are no more than this together, bytes, unless it is one. */
const RUN_MAX_BYTES = 2 ** 20;
const NOT_ASCII = 0x8080_8080 | 0;
const EMPTY = Buffer.alloc(0);
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * @param data the vector's memory, TEXT_BYTES for each row
 * @param room that the texts must fit into
 * @throws NoRoom when they do not
 */
export function renderTexts(data: Uint8Array, rows: number, isNull: (row: number) => boolean, room: Room): string[] {
  const { buffer, byteOffset } = data;
  const words = new Int32Array(buffer, byteOffset, rows * 4);
  const inline = Buffer.from(buffer, byteOffset, rows * TEXT_BYTES).toString('latin1');
  const outside = new OutsideTexts(data, rows, isNull);
  const texts = new Array<string>(rows);
  const rememberedRows = new Int32Array(REMEMBERED).fill(-1);
  for (let row = 0; row < rows; row += 1) {
    if (isNull(row)) {
      texts[row] = 'null';
      room.take(4);
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
      const same = texts[other] ?? '';
      room.take(same.length);
      texts[row] = same;
      continue;
    }
    const offset = row * TEXT_BYTES + 4;
    let text: string;
    if (a >>> 0 > INLINE_BYTES_MAX) {
      // No text has fewer characters than that, and then it is not worth reading.
      room.need(Math.floor((a >>> 0) / 3));
      text = outside.read(row);
    } else if (((b | c | d) & NOT_ASCII) === 0) text = inline.slice(offset, offset + a);
    else text = UTF8.decode(new Uint8Array(buffer, byteOffset + offset, a));
    const json = JSON.stringify(text);
    room.take(json.length);
    texts[row] = json;
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
      if (row > first && Number(end - this.#begin) + length > RUN_MAX_BYTES) break;
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
