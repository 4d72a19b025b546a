/**
 * Appends packed columns to tables, by data chunks.
 *
 * 1. An appender takes part in the transaction of its connection: flushed rows are committed or rolled back with it.
 * 2. Numbers are copied from the batch into DuckDB's vectors as they are, and so are the bits that say where a value is null.
 * 3. The texts of a column are copied in one piece. The 16 bytes of each row (the length, then the text if it has up to 12
 *    bytes, else its first 4 and a pointer into that piece) are written here, since a call for each text would cost three
 *    times as much. No interface of DuckDB promises this layout; text-layout.ts tries it before a store opens.
 * 4. Appenders and chunks are kept for the next commit: DuckDB's memory behind them is freed only when JavaScript collects
 *    garbage, and the collector does not know how much that is.
 * 5. After each chunk the event loop has its turn, so nothing here blocks it for long.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBType,
  INTEGER,
  UBIGINT,
  UINTEGER,
  VARCHAR,
} from '@duckdb/node-api';
import duckdb, { type Vector } from '@duckdb/node-bindings';
import type { ColumnType, PackedColumn, PackedTable, PackedText, Table } from '../../contract/index.ts';

/** Rows of one chunk: DuckDB's vector size, and the most a chunk can hold. A multiple of 8, for the bits of nulls. */
const CHUNK_ROWS = 2048;
/** Rows that an appender collects before it flushes them, which it does in one go. */
const FLUSH_ROWS = 4 * CHUNK_ROWS;
const TEXT_BYTES = 16;

/** How DuckDB keeps texts, as far as it could be otherwise in another version; text-layout.ts tries it. */
export interface TextLayout {
  /** Bytes of the longest text that stands in its entry. */
  readonly inline_bytes_max: number;
}

export const TEXT_LAYOUT: TextLayout = { inline_bytes_max: 12 };

const CHUNK_TYPES: Record<ColumnType, DuckDBType> = {
  u64: UBIGINT,
  i64: BIGINT,
  i32: INTEGER,
  u32: UINTEGER,
  f64: DOUBLE,
  text: VARCHAR,
  flag: BOOLEAN,
};

interface Open {
  readonly appender: DuckDBAppender;
  readonly chunk: DuckDBDataChunk;
  unflushedRows: number;
}

/** The appenders of one connection, opened as they are needed. */
export class Appenders {
  readonly #connection: DuckDBConnection;
  readonly #catalog: string | undefined;
  readonly #open = new Map<Table, Open>();
  readonly #layout: TextLayout;
  readonly #texts = new Uint8Array(CHUNK_ROWS * TEXT_BYTES);

  /**
   * @param catalog of the tables; default: that of the connection
   * @param layout of texts in DuckDB's memory; another one than the default is for tests
   */
  constructor(connection: DuckDBConnection, catalog?: string, layout = TEXT_LAYOUT) {
    this.#connection = connection;
    this.#catalog = catalog;
    this.#layout = layout;
  }

  /** Appends columns from `unpack`. Throws what DuckDB throws; only `close` may follow then. */
  async append(packed: PackedTable): Promise<void> {
    const open = await this.#of(packed.table);
    for (let start = 0; start < packed.rows; start += CHUNK_ROWS) {
      const rows = Math.min(CHUNK_ROWS, packed.rows - start);
      open.chunk.reset();
      open.chunk.rowCount = rows;
      for (const [index, column] of packed.columns.entries()) {
        this.#fill(duckdb.data_chunk_get_vector(open.chunk.chunk, index), column, start, rows);
      }
      open.appender.appendDataChunk(open.chunk);
      open.unflushedRows += rows;
      if (open.unflushedRows >= FLUSH_ROWS) flush(open);
      await nextTurn();
    }
  }

  /** Flushes all rows into the transaction; to be called before its COMMIT. */
  flush(): void {
    for (const open of this.#open.values()) if (open.unflushedRows > 0) flush(open);
  }

  /** Discards rows that were not flushed. The appenders are opened again when they are needed. */
  close(): void {
    for (const { appender } of this.#open.values()) {
      try {
        appender.clear();
        appender.closeSync();
      } catch {
        // The transaction is rolled back, and the rows with it.
      }
    }
    this.#open.clear();
  }

  async #of(table: Table): Promise<Open> {
    const known = this.#open.get(table);
    if (known !== undefined) return known;
    const appender = await this.#connection.createAppender(table.name, 'main', this.#catalog);
    const chunk = DuckDBDataChunk.create(table.columns.map((column) => CHUNK_TYPES[column.type]));
    const open = { appender, chunk, unflushedRows: 0 };
    this.#open.set(table, open);
    return open;
  }

  #fill(vector: Vector, { validity, values, text }: PackedColumn, start: number, rows: number): void {
    if (validity !== null) {
      const bits = validity.subarray(start / 8, Math.ceil((start + rows) / 8));
      duckdb.vector_ensure_validity_writable(vector);
      duckdb.copy_data_to_vector_validity(vector, 0, bits.buffer as ArrayBuffer, bits.byteOffset, bits.byteLength);
    }
    if (values !== null) {
      const part = values.subarray(start, start + rows);
      duckdb.copy_data_to_vector(vector, 0, part.buffer as ArrayBuffer, part.byteOffset, part.byteLength);
    } else if (text !== null) this.#fillTexts(vector, text, start, rows);
  }

  #fillTexts(vector: Vector, text: PackedText, start: number, rows: number): void {
    const { bytes, offsets, codes } = text;
    const entries = codes === null ? this.#texts : new Uint8Array((offsets.length - 1) * TEXT_BYTES);
    // Of a dictionary all texts: they are at most half as many as the rows.
    const [first, count] = codes === null ? [start, rows] : [0, offsets.length - 1];
    writeTexts(vector, bytes, offsets.subarray(first, first + count + 1), entries, this.#layout);
    if (codes !== null) {
      const from = new BigUint64Array(entries.buffer);
      const to = new BigUint64Array(this.#texts.buffer);
      for (let row = 0; row < rows; row += 1) {
        const code = codes[start + row] ?? 0;
        to[row * 2] = from[code * 2] ?? 0n;
        to[row * 2 + 1] = from[code * 2 + 1] ?? 0n;
      }
    }
    duckdb.copy_data_to_vector(vector, 0, this.#texts.buffer, 0, rows * TEXT_BYTES);
  }
}

function flush(open: Open): void {
  open.appender.flushSync();
  open.unflushedRows = 0;
}

/** Copies the texts between `offsets` into the vector's memory, and writes an entry for each of them into `entries`. */
function writeTexts(
  vector: Vector,
  bytes: Uint8Array,
  offsets: Uint32Array,
  entries: Uint8Array,
  { inline_bytes_max }: TextLayout,
): void {
  const count = offsets.length - 1;
  const words = new Uint32Array(entries.buffer, entries.byteOffset, count * 4);
  const begin = offsets[0] ?? 0;
  const all = bytes.subarray(begin, offsets[count]);
  let address = 0n;
  if (all.length > inline_bytes_max) {
    duckdb.vector_assign_string_element_len(vector, 0, all);
    const entry = duckdb.vector_get_data(vector, TEXT_BYTES);
    address = new DataView(entry.buffer, entry.byteOffset).getBigUint64(8, true) - BigInt(begin);
  }
  const low = Number(address & 0xffff_ffffn);
  const high = Number(address >> 32n);
  for (let index = 0; index < count; index += 1) {
    const offset = offsets[index] ?? 0;
    const length = (offsets[index + 1] ?? 0) - offset;
    const at = index * 4;
    words[at] = length;
    words[at + 1] = four(bytes, offset, length);
    if (length <= inline_bytes_max) {
      words[at + 2] = length > 4 ? four(bytes, offset + 4, length - 4) : 0;
      words[at + 3] = length > 8 ? four(bytes, offset + 8, length - 8) : 0;
    } else {
      const sum = low + offset;
      words[at + 2] = sum;
      words[at + 3] = high + (sum >= 0x1_0000_0000 ? 1 : 0);
    }
  }
}

/** Four bytes as a little-endian word, with zeros from `length` on. */
function four(bytes: Uint8Array, at: number, length: number): number {
  if (length >= 4) {
    return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
  }
  let word = 0;
  for (let index = 0; index < length; index += 1) word |= (bytes[at + index] ?? 0) << (8 * index);
  return word;
}
