/** Reads a result to its end in the forms that are not JSON, within the bounds that every result has. */
import type { DuckDBDataChunk, DuckDBResult } from '@duckdb/node-api';
import { failure, type Outcome, success } from '../../contract/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import { ArrowStream } from './arrow-stream.ts';
import { csvLine, renderCsvRows } from './render-csv.ts';

export async function readCsv(
  result: DuckDBResult,
  names: readonly string[],
  limits: TelemetryLimits,
): Promise<Outcome<Uint8Array>> {
  const { sql_rows_max, sql_result_max_chars } = limits;
  const lines = [csvLine(names)];
  let chars = lines[0]?.length ?? 0;
  for await (const chunk of chunksOf(result)) {
    for (const line of renderCsvRows(chunk)) {
      if (lines.length > sql_rows_max) return tooManyRows(limits);
      chars += line.length;
      if (chars > sql_result_max_chars) return tooLarge('CSV', limits);
      lines.push(line);
    }
  }
  return success(Buffer.from(lines.join('')));
}

export async function readArrow(
  result: DuckDBResult,
  names: readonly string[],
  limits: TelemetryLimits,
): Promise<Outcome<Uint8Array>> {
  const { sql_rows_max, sql_result_max_chars } = limits;
  const stream = new ArrowStream(names, result.columnTypes());
  let rows = 0;
  for await (const chunk of chunksOf(result)) {
    rows += chunk.rowCount;
    if (rows > sql_rows_max) return tooManyRows(limits);
    try {
      stream.add(chunk);
    } catch (error) {
      if (error instanceof RangeError) return failure('bad_request', `sql: ${error.message}`);
      throw error;
    }
    if (stream.size_bytes > sql_result_max_chars) return tooLarge('Arrow', limits);
  }
  const parts = stream.finish();
  return stream.size_bytes > sql_result_max_chars ? tooLarge('Arrow', limits) : success(Buffer.concat(parts));
}

export function tooManyRows({ sql_rows_max }: TelemetryLimits): Outcome<never> {
  return failure('bad_request', `sql: the result has more than ${sql_rows_max} rows; add a LIMIT`);
}

export function tooLarge(form: 'JSON' | 'CSV' | 'Arrow', { sql_result_max_chars }: TelemetryLimits): Outcome<never> {
  const unit = form === 'Arrow' ? 'bytes' : 'characters';
  return failure('bad_request', `sql: the result is longer than ${sql_result_max_chars} ${unit} of ${form}`);
}

async function* chunksOf(result: DuckDBResult): AsyncGenerator<DuckDBDataChunk> {
  for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    yield chunk;
  }
}
