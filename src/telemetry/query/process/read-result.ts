/** Reads a result to its end in the form that was asked for, within the bounds that every result has. */
import type { DuckDBDataChunk, DuckDBResult } from '@duckdb/node-api';
import { failure, type Outcome, success } from '../../../base/index.ts';
import type { TelemetryLimits } from '../../limits.ts';
import type { Format } from '../formats.ts';
import { NoArrowValue } from './arrow-columns.ts';
import { ArrowStream } from './arrow-stream.ts';
import { csvLine, renderCsvRows } from './render-csv.ts';
import { renderRows } from './render-json.ts';
import { NoRoom, Room } from './room.ts';

const SIZES: Readonly<Record<Format, string>> = {
  json: 'characters of JSON',
  csv: 'characters of CSV',
  arrow: 'bytes of Arrow',
};

/**
 * @param names of the columns, no two alike
 * @returns the bytes of the whole answer; `bad_request` when it has too many rows or is too long, or when Arrow has no room
 *          for a value
 */
export async function readResult(
  result: DuckDBResult,
  names: readonly string[],
  format: Format,
  limits: TelemetryLimits,
): Promise<Outcome<Uint8Array>> {
  try {
    switch (format) {
      case 'json':
        return await readJson(result, names, limits);
      case 'csv':
        return await readCsv(result, names, limits);
      case 'arrow':
        return await readArrow(result, names, limits);
    }
  } catch (error) {
    if (error instanceof NoArrowValue) return failure('bad_request', `sql: ${error.message}`);
    if (!(error instanceof NoRoom)) throw error;
    const size = `${limits.sql_result_max_chars} ${SIZES[format]}`;
    return failure('bad_request', `sql: the result is longer than ${size}; ask for fewer rows or columns`);
  }
}

async function readJson(
  result: DuckDBResult,
  names: readonly string[],
  limits: TelemetryLimits,
): Promise<Outcome<Uint8Array>> {
  const { sql_rows_max, sql_result_max_chars } = limits;
  const types = result.columnTypes();
  const columns = JSON.stringify(names.map((name, index) => ({ name, type: String(types[index]) })));
  new Room(sql_result_max_chars).take(columns.length);
  const room = new Room(sql_result_max_chars);
  const rows: string[] = [];
  for await (const chunk of chunksOf(result)) {
    if (rows.length + chunk.rowCount > sql_rows_max) return tooManyRows(limits);
    rows.push(...renderRows(chunk, names, types, room));
  }
  return success(Buffer.from(`{"rows":[${rows.join(',')}],"columns":${columns}}`));
}

async function readCsv(
  result: DuckDBResult,
  names: readonly string[],
  limits: TelemetryLimits,
): Promise<Outcome<Uint8Array>> {
  const { sql_rows_max, sql_result_max_chars } = limits;
  const types = result.columnTypes();
  const room = new Room(sql_result_max_chars);
  const lines = [csvLine(names)];
  room.take(lines[0]?.length ?? 0);
  for await (const chunk of chunksOf(result)) {
    if (lines.length - 1 + chunk.rowCount > sql_rows_max) return tooManyRows(limits);
    for (const line of renderCsvRows(chunk, types, new Room(sql_result_max_chars))) {
      room.take(line.length);
      lines.push(line);
    }
  }
  return success(Buffer.from(lines.join('')));
}

async function readArrow(
  result: DuckDBResult,
  names: readonly string[],
  limits: TelemetryLimits,
): Promise<Outcome<Uint8Array>> {
  const { sql_rows_max } = limits;
  const stream = new ArrowStream(names, result.columnTypes(), limits);
  let rows = 0;
  for await (const chunk of chunksOf(result)) {
    rows += chunk.rowCount;
    if (rows > sql_rows_max) return tooManyRows(limits);
    stream.add(chunk);
  }
  return success(Buffer.concat(stream.finish()));
}

function tooManyRows({ sql_rows_max }: TelemetryLimits): Outcome<never> {
  return failure('bad_request', `sql: the result has more than ${sql_rows_max} rows; add a LIMIT`);
}

async function* chunksOf(result: DuckDBResult): AsyncGenerator<DuckDBDataChunk> {
  for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    yield chunk;
  }
}
