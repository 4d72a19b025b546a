/**
 * Single values as JSON text: integers of any width as bare exact numbers, decimals as text, doubles that are not finite
 * as null, timestamps and dates in ISO 8601 (timestamps in UTC, with `Z`), blobs as hexadecimal text, everything else as
 * DuckDB's own text. Columns of lists, structs, maps and unions are read by render-nested.ts; the values of such kinds that
 * come here are those inside a VARIANT.
 */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
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
    return `{${value.entries.map(({ key, value: item }) => renderEntry(renderText(key) ?? 'null', item)).join(',')}}`;
  }
  if (value instanceof DuckDBUnionValue || value instanceof DuckDBVariantValue) return renderValue(value.value);
  if (value instanceof DuckDBBlobValue) return `"${Buffer.from(value.bytes).toString('hex')}"`;
  // The binding writes most infinities as the moments that stand for them.
  if ('isFinite' in value && !value.isFinite) return isNegative(value) ? '"-infinity"' : '"infinity"';
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

function isNegative(value: object): boolean {
  const [count] = Object.values(value) as (number | bigint)[];
  return count !== undefined && count < 0;
}

/** Years that ISO 8601 has no plain form for stay as DuckDB writes them. */
function isoTimestamp(value: { toString(): string }): string {
  const [, date, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)$/.exec(String(value)) ?? [];
  return date === undefined ? JSON.stringify(String(value)) : `"${date}T${time}Z"`;
}

/**
 * One value as plain text, for the forms that have no types of their own for it: its JSON, texts without their quotes, and
 * doubles that are not finite by their names. Null stays null.
 */
export function renderText(value: DuckDBValue): string | null {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  const json = renderValue(value);
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}
