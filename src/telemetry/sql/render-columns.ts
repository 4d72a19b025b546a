/**
 * The values of one column of a chunk as JSON texts, read from the vector's memory as it is: a value object for each of a
 * thousand rows costs more than the query that found them. Integers of up to 64 bits and doubles are read here, texts by
 * render-texts.ts, what is made of other values by render-nested.ts, and every other type by the value (render.ts).
 */
import { type DuckDBDataChunk, type DuckDBType, DuckDBTypeId, type DuckDBValue } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import { renderValue } from './render.ts';
import { nestedColumn } from './render-nested.ts';
import { renderTexts, TEXT_BYTES } from './render-texts.ts';
import type { Room } from './room.ts';

/**
 * @param room that the texts must fit into
 * @throws NoRoom when they do not
 */
export function renderColumn(chunk: DuckDBDataChunk, index: number, columnType: DuckDBType, room: Room): string[] {
  const nested = nestedColumn(chunk, index, columnType, room);
  if (nested !== null) return Array.from({ length: chunk.rowCount }, (_, row) => nested(row));
  return renderFlat(chunk, index, room);
}

function renderFlat(chunk: DuckDBDataChunk, index: number, room: Room): string[] {
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
    return counted(texts, room);
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
      return counted(texts, room);
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
      return counted(texts, room);
    }
    case DuckDBTypeId.VARCHAR:
      return renderTexts(duckdb.vector_get_data(vector, rows * TEXT_BYTES), rows, isNull, room);
    default: {
      const values = chunk.getColumnVector(index);
      for (let row = 0; row < rows; row += 1) {
        const text = renderValue(values.getItem(row) as DuckDBValue);
        room.take(text.length);
        texts[row] = text;
      }
      return texts;
    }
  }
}

function counted(texts: string[], room: Room): string[] {
  room.take(texts.reduce((sum, text) => sum + text.length, 0));
  return texts;
}
