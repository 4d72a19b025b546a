/**
 * Query results as JSON: a row is an object with its keys in the order of the columns.
 *
 * Values become JSON texts column by column, read from the vector's memory as it is: a value object for each of a thousand
 * rows costs more than the query that found them. render-numbers.ts reads numbers, render-texts.ts texts, and render-nested.ts
 * lists, structs, maps and unions. Values of other types become objects first (render.ts).
 */
import { type DuckDBDataChunk, type DuckDBType, DuckDBTypeId, type DuckDBValue } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import { renderValue } from './render.ts';
import { nestedColumn } from './render-nested.ts';
import { numberReader } from './render-numbers.ts';
import { renderTexts, TEXT_BYTES } from './render-texts.ts';
import type { Room } from './room.ts';

/**
 * The rows of a chunk.
 *
 * @param room that they must fit into, each with a separator
 * @throws NoRoom when they do not
 */
export function renderRows(
  chunk: DuckDBDataChunk,
  names: readonly string[],
  types: readonly DuckDBType[],
  room: Room,
): string[] {
  const heads = names.map((name, index) => `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  // The heads, the brace that ends the row, and the separator.
  room.take(chunk.rowCount * heads.reduce((sum, head) => sum + head.length, 2));
  const columns = types.map((type, index) => renderColumn(chunk, index, type, room));
  const rows: string[] = [];
  const cells = new Array<string>(heads.length);
  for (let row = 0; row < chunk.rowCount; row++) {
    for (let index = 0; index < heads.length; index++) cells[index] = `${heads[index]}${columns[index]?.[row]}`;
    rows.push(`${cells.join('')}}`);
  }
  return rows;
}

/**
 * @param room that the texts must fit into
 * @throws NoRoom when they do not
 */
function renderColumn(chunk: DuckDBDataChunk, index: number, columnType: DuckDBType, room: Room): string[] {
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
  const texts = new Array<string>(rows);
  const number = numberReader(vector, rows, type as number);
  if (number !== null) {
    let chars = 0;
    for (let row = 0; row < rows; row += 1) {
      const text = isNull(row) ? 'null' : number(row);
      chars += text.length;
      texts[row] = text;
    }
    room.take(chars);
    return texts;
  }
  if ((type as number) === DuckDBTypeId.VARCHAR) {
    return renderTexts(duckdb.vector_get_data(vector, rows * TEXT_BYTES), rows, isNull, room);
  }
  const values = chunk.getColumnVector(index);
  for (let row = 0; row < rows; row += 1) {
    const text = renderValue(values.getItem(row) as DuckDBValue);
    room.take(text.length);
    texts[row] = text;
  }
  return texts;
}
