/** The answer to a query, read exactly, and as a table for people. */
import * as v from 'valibot';
import { readAnswer } from '../client.ts';
import { parseExact } from '../exact-json.ts';
import { LIMITS } from '../limits.ts';
import { formatTable, oneLine } from '../render/format.ts';

const QueryAnswer = v.object({
  rows: v.array(v.record(v.string(), v.unknown())),
  columns: v.optional(v.array(v.object({ name: v.string() }))),
});
export type QueryAnswer = v.InferOutput<typeof QueryAnswer>;

/** @throws CommandError when it is no answer of a gateway at `url` */
export function readResult(text: string, url: string): QueryAnswer {
  return readAnswer(QueryAnswer, text, url, parseExact);
}

/** @param rows_max rows that are shown; what is beyond is only counted. Default all */
export function resultTable({ rows, columns }: QueryAnswer, rows_max = Number.POSITIVE_INFINITY): string {
  const names = columns?.map((column) => column.name) ?? Object.keys(rows[0] ?? {});
  const cells = rows.slice(0, rows_max).map((row) => names.map((name) => showCell(row[name])));
  const beyond = rows.length > rows_max ? `… and ${rows.length - rows_max} rows more\n` : '';
  return formatTable([names.map((name) => oneLine(name, LIMITS.cell_max_chars)), ...cells]) + beyond;
}

export function countOf(rows: number): string {
  return `${rows} ${rows === 1 ? 'row' : 'rows'}`;
}

function showCell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  const shown = typeof value === 'object' ? JSON.stringify(value, exactly) : String(value);
  return oneLine(shown, LIMITS.cell_max_chars);
}

function exactly(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
