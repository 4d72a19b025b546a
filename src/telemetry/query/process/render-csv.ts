/**
 * Query results as CSV (RFC 4180): a line of column names, then one per row, ended by CRLF. Null is an empty field, the
 * empty text is `""`. Values are those of JSON (render.ts): exact integers, ISO timestamps, lists and structs as JSON text.
 */
import type { DuckDBDataChunk, DuckDBType } from '@duckdb/node-api';
import { renderText } from './render.ts';
import { plainColumn } from './render-nested.ts';
import type { Room } from './room.ts';

/** Also fields with blanks at an end, which some readers would cut. */
const NEEDS_QUOTES = /[",\r\n]|^$|^\s|\s$/;

export function csvLine(fields: readonly (string | null)[]): string {
  return `${fields.map(csvField).join(',')}\r\n`;
}

/**
 * The rows of a chunk, a line each.
 *
 * @param room of their lists, structs and maps; taking lines throws NoRoom where it does not do
 */
export function* renderCsvRows(chunk: DuckDBDataChunk, types: readonly DuckDBType[], room: Room): Generator<string> {
  const columns = types.map((type, index) => plainColumn(chunk, index, type, room));
  for (let row = 0; row < chunk.rowCount; row++) yield csvLine(columns.map((column) => renderText(column(row))));
}

function csvField(text: string | null): string {
  if (text === null) return '';
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
