/** One value as plain text, for the forms that have no types of their own for it. */
import type { DuckDBValue } from '@duckdb/node-api';
import { renderValue } from './render.ts';

/**
 * The JSON rendering of a value (render.ts), texts without their quotes, and doubles that are not finite by their names.
 * Null stays null.
 */
export function renderText(value: DuckDBValue): string | null {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  const json = renderValue(value);
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}
