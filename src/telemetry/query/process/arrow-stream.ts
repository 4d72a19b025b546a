/**
 * Query results as an Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html, metadata version 5).
 *
 * 1. A stream is a schema message, then record batches of a bounded number of rows, then the end mark: eight bytes, a
 *    continuation (0xFFFFFFFF) and a length of zero. A result without rows is a schema and the end mark.
 * 2. A message is a continuation, the length of its metadata, the metadata (a FlatBuffer, flatbuffer.ts), and its body. All
 *    four begin at multiples of 8.
 * 3. The body of a batch is the buffers of its columns, one after the other, each padded to a multiple of 8: which rows have
 *    a value (nothing where all do), the offsets of texts, the values. The metadata says where each begins and how long
 *    it is without padding.
 *
 * Nothing is compressed and there are no dictionaries, so that a small reader reads it too.
 *
 * Why not `@uwdata/flechette`, which the tests read with: it holds every value until the last row (125 MiB instead of 39 for
 * a result of 14 MB, 25 % slower), so a result that is too long would be noticed only then, and it takes timestamps as
 * doubles of milliseconds, which have no room for nanoseconds.
 */
import type { DuckDBDataChunk, DuckDBType } from '@duckdb/node-api';
import type { TelemetryLimits } from '../../limits.ts';
import { type ArrowColumn, arrowColumn, NoArrowValue } from './arrow-columns.ts';
import { type Field, flatbuffer, i16, i64, table, text, u8 } from './flatbuffer.ts';
import { plainColumn } from './render-nested.ts';
import { Room } from './room.ts';

const VERSION_5 = 4;
const SCHEMA = 1;
const RECORD_BATCH = 3;
const CONTINUATION = 0xffff_ffff;
const END = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/** Makes the stream of one result, chunk by chunk. */
export class ArrowStream {
  readonly #names: readonly string[];
  readonly #types: readonly DuckDBType[];
  readonly #maxBytes: number;
  /** Of all that is complete. */
  readonly #room: Room;
  /** Of texts, complete or not: so that long ones are noticed before a batch is full. */
  readonly #textRoom: Room;
  readonly #columns: readonly ArrowColumn[];
  readonly #batchRows: number;
  readonly #parts: Uint8Array[] = [];
  #rows = 0;

  /**
   * @param limits of the stream and its batches
   * @throws NoRoom, as the other methods do, when it is longer
   */
  constructor(names: readonly string[], types: readonly DuckDBType[], limits: TelemetryLimits) {
    const { sql_arrow_batch_rows_min, sql_arrow_batch_rows_max, sql_arrow_batch_cells_max } = limits;
    const max_bytes = limits.sql_result_max_chars;
    this.#names = names;
    this.#types = types;
    this.#maxBytes = max_bytes;
    this.#room = new Room(max_bytes);
    this.#textRoom = new Room(max_bytes);
    const rows = Math.floor(sql_arrow_batch_cells_max / Math.max(1, types.length));
    this.#batchRows = Math.min(sql_arrow_batch_rows_max, Math.max(sql_arrow_batch_rows_min, rows));
    this.#columns = types.map((type) => arrowColumn(type, this.#batchRows, this.#textRoom));
    this.#push(message(SCHEMA, schema(names, this.#columns), []));
  }

  /** @throws NoArrowValue, naming the column, for a value that its type has no room for */
  add(chunk: DuckDBDataChunk): void {
    const nestedRoom = new Room(this.#maxBytes);
    const values = this.#types.map((type, index) => plainColumn(chunk, index, type, nestedRoom));
    for (let row = 0; row < chunk.rowCount; row++) {
      for (const [index, column] of this.#columns.entries()) {
        try {
          column.add(values[index]?.(row) ?? null);
        } catch (error) {
          throw error instanceof NoArrowValue
            ? new NoArrowValue(`column ${JSON.stringify(this.#names[index])}: ${error.message}`)
            : error;
        }
      }
      this.#rows += 1;
      if (this.#rows === this.#batchRows) this.#flush();
    }
  }

  /** The whole stream. */
  finish(): readonly Uint8Array[] {
    if (this.#rows > 0) this.#flush();
    this.#push([END]);
    return this.#parts;
  }

  #flush(): void {
    const nodes: [number, number][] = [];
    const places: [number, number][] = [];
    const body: Uint8Array[] = [];
    let size = 0;
    for (const column of this.#columns) {
      const { nulls, buffers } = column.take();
      nodes.push([this.#rows, nulls]);
      for (const buffer of buffers) {
        places.push([size, buffer.length]);
        const padding = -buffer.length & 7;
        body.push(buffer, new Uint8Array(padding));
        size += buffer.length + padding;
      }
    }
    const batch = table(i64(this.#rows), { kind: 'pairs', pairs: nodes }, { kind: 'pairs', pairs: places });
    this.#push(message(RECORD_BATCH, batch, body));
    this.#rows = 0;
  }

  #push(parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      this.#room.take(part.length);
      this.#parts.push(part);
    }
  }
}

function message(type: number, header: Field, body: readonly Uint8Array[]): Uint8Array[] {
  const size = body.reduce((sum, part) => sum + part.length, 0);
  const metadata = flatbuffer([i16(VERSION_5), u8(type), header, i64(size)]);
  const head = new Uint8Array(8);
  const view = new DataView(head.buffer);
  view.setUint32(0, CONTINUATION, true);
  view.setUint32(4, metadata.length, true);
  return [head, metadata, ...body];
}

function schema(names: readonly string[], columns: readonly ArrowColumn[]): Field {
  const fields = columns.map(({ type }, index) => [
    text(names[index] ?? ''),
    u8(1),
    u8(type.number),
    type.parameters,
    null,
    // No children, said as an empty list: some readers insist on it.
    { kind: 'tables', tables: [] } satisfies Field,
  ]);
  return table(i16(0), { kind: 'tables', tables: fields });
}
