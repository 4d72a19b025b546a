/** The answer to a query, read exactly, and as a table for people. */
import * as v from 'valibot';
import { readAnswer } from '../client.ts';
import { parseExact } from '../exact-json.ts';
import { LIMITS } from '../limits.ts';
import { formatCount, formatTable, oneLine } from '../render/format.ts';

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
export function resultTable(answer: QueryAnswer, rows_max = Number.POSITIVE_INFINITY): string {
  const { rows } = answer;
  const names = namesOf(answer);
  const cells = rows.slice(0, rows_max).map((row) => names.map((name) => showCell(row[name])));
  return formatTable([names.map((name) => oneLine(name, LIMITS.cell_max_chars)), ...cells]) + beyond(rows, rows_max);
}

/** The same with a line for each value, whole, for rows that are wider than the terminal. */
export function resultLines(answer: QueryAnswer, rows_max: number): string {
  const { rows } = answer;
  const names = namesOf(answer);
  const blocks = rows.slice(0, rows_max).map((row, index) => {
    const values = names.map((name) => [
      oneLine(name, LIMITS.cell_max_chars),
      showCell(row[name], Number.POSITIVE_INFINITY),
    ]);
    return `row ${index + 1}\n${formatTable(values.map((line) => ['', ...line]))}`;
  });
  return blocks.join('') + beyond(rows, rows_max);
}

function namesOf({ rows, columns }: QueryAnswer): string[] {
  return columns?.map((column) => column.name) ?? Object.keys(rows[0] ?? {});
}

function beyond(rows: readonly unknown[], rows_max: number): string {
  return rows.length > rows_max ? `… and ${formatCount(rows.length - rows_max, 'row')} more\n` : '';
}

export function countOf(rows: number): string {
  return formatCount(rows, 'row');
}

function showCell(value: unknown, max_chars: number = LIMITS.cell_max_chars): string {
  if (value === null || value === undefined) return '-';
  const shown = typeof value === 'object' ? JSON.stringify(value, exactly) : String(value);
  return oneLine(shown, max_chars);
}

function exactly(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
