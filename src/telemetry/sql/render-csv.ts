/**
 * Query results as CSV (RFC 4180): a line of column names, then one per row, ended by CRLF. Null is an empty field, the
 * empty text is `""`. Values are those of JSON (render.ts): exact integers, ISO timestamps, lists and structs as JSON text.
 */
import type { DuckDBDataChunk } from '@duckdb/node-api';
import { renderText } from './render-text.ts';

/** Also fields with blanks at an end, which some readers would cut. */
const NEEDS_QUOTES = /[",\r\n]|^$|^\s|\s$/;

export function csvLine(fields: readonly (string | null)[]): string {
  return `${fields.map(csvField).join(',')}\r\n`;
}

/** The rows of a chunk, a line each. */
export function* renderCsvRows(chunk: DuckDBDataChunk): Generator<string> {
  const vectors = Array.from({ length: chunk.columnCount }, (_, index) => chunk.getColumnVector(index));
  for (let row = 0; row < chunk.rowCount; row++)
    yield csvLine(vectors.map((vector) => renderText(vector.getItem(row))));
}

function csvField(text: string | null): string {
  if (text === null) return '';
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
