/**
 * Query results as JSON text: integers of any width as bare exact numbers, decimals as text, doubles that are not finite
 * as null, timestamps and dates in ISO 8601 (timestamps in UTC, with `Z`), blobs as hexadecimal text, lists as arrays,
 * structs and maps as objects, everything else as DuckDB's own text.
 */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  type DuckDBDataChunk,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBUnionValue,
  type DuckDBValue,
  DuckDBVariantValue,
} from '@duckdb/node-api';
import { renderColumn } from './render-columns.ts';

/** One value as JSON text. */
export function renderValue(value: DuckDBValue): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null';
  }
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    return `[${value.items.map(renderValue).join(',')}]`;
  }
  if (value instanceof DuckDBStructValue) {
    return `{${Object.entries(value.entries)
      .map(([key, item]) => renderEntry(key, item))
      .join(',')}}`;
  }
  if (value instanceof DuckDBMapValue) {
    return `{${value.entries.map(({ key, value: item }) => renderEntry(String(key), item)).join(',')}}`;
  }
  if (value instanceof DuckDBUnionValue || value instanceof DuckDBVariantValue) return renderValue(value.value);
  if (value instanceof DuckDBBlobValue) return `"${Buffer.from(value.bytes).toString('hex')}"`;
  // By its microseconds, since the value's own text is in the time zone of the process.
  if (value instanceof DuckDBTimestampTZValue) return isoTimestamp(new DuckDBTimestampValue(value.micros));
  if (
    value instanceof DuckDBTimestampValue ||
    value instanceof DuckDBTimestampSecondsValue ||
    value instanceof DuckDBTimestampMillisecondsValue ||
    value instanceof DuckDBTimestampNanosecondsValue
  ) {
    return isoTimestamp(value);
  }
  return JSON.stringify(String(value));
}

function renderEntry(key: string, value: DuckDBValue): string {
  return `${JSON.stringify(key)}:${renderValue(value)}`;
}

/** Infinities and years that ISO 8601 has no plain form for stay as DuckDB writes them. */
function isoTimestamp(value: { toString(): string }): string {
  const [, date, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)$/.exec(String(value)) ?? [];
  return date === undefined ? JSON.stringify(String(value)) : `"${date}T${time}Z"`;
}

/** The rows of a chunk, each a JSON object with its keys in the order of the columns. */
export function renderRows(chunk: DuckDBDataChunk, names: readonly string[]): string[] {
  const heads = names.map((name, index) => `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  const columns = names.map((_, index) => renderColumn(chunk, index, renderValue));
  const rows: string[] = [];
  for (let row = 0; row < chunk.rowCount; row++) {
    let text = '';
    for (let index = 0; index < heads.length; index++) text += `${heads[index]}${columns[index]?.[row]}`;
    rows.push(`${text}}`);
  }
  return rows;
}
