/** Writes the rows of one sealing into the folder of a segment, from a transaction that sees them as they were. */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { INTERNAL_SCHEMA, quoteIdentifier, quoteText } from '../database/ddl.ts';
import type { TelemetryLimits } from '../limits.ts';
import { sha256, sync } from './files.ts';
import { PRODUCERS_FILE, type Segment, type SegmentFile, segmentFolder } from './manifest.ts';
import { CAPTURE_TIMES, DUMP_TIMES, type ShapeTable, timeOf } from './shape.ts';
import { slicesOf, slicesSql } from './slices.ts';

export interface RowsToSeal {
  readonly table: ShapeTable;
  /** The rows behind this row id. */
  readonly after: number;
  readonly rows: number;
}

export interface SegmentOptions {
  /** Key of the tables' shape in the manifest. */
  readonly schema: string;
  /** The tables that rows of others may be dated by. */
  readonly present: ReadonlySet<string>;
  readonly limits: TelemetryLimits;
}

/**
 * Takes as long as the rows need; commits continue meanwhile.
 * @param reader in a transaction that `parts` were taken from
 * @returns the segment, on the disk, though nothing refers to it yet
 */
export async function writeSegment(
  reader: DuckDBConnection,
  folder: string,
  number: number,
  parts: readonly RowsToSeal[],
  { schema, present, limits }: SegmentOptions,
): Promise<Segment> {
  const target = segmentFolder(folder, number);
  const partial = `${target}.partial`;
  await rm(partial, { recursive: true, force: true });
  await rm(target, { recursive: true, force: true });
  await mkdir(partial, { recursive: true, mode: 0o700 });
  try {
    const files: SegmentFile[] = [];
    for (const part of parts) files.push(await writeTable(reader, partial, part, present, limits));
    const producers = await writeProducers(reader, partial);
    await sync(partial);
    await rename(partial, target);
    await sync(folder);
    return { number, sealed_at_us: Date.now() * 1000, schema, files, producers };
  } catch (error) {
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
}

function parquet(row_group_rows: number): string {
  return `(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${row_group_rows})`;
}

async function writeTable(
  reader: DuckDBConnection,
  folder: string,
  { table, after, rows }: RowsToSeal,
  present: ReadonlySet<string>,
  limits: TelemetryLimits,
): Promise<SegmentFile> {
  const path = join(folder, `${table.name}.parquet`);
  const from = `FROM main.${quoteIdentifier(table.name)} WHERE rowid > ${after}`;
  const slices = await slicesOf(reader, table, after, limits);
  // As many rows must be copied as are noted as sealed, or a row would be there twice or never.
  if (slices.rows !== rows) {
    throw new Error(`${table.name}: ${slices.rows} rows behind row ${after}, expected ${rows}`);
  }
  await reader.run(`COPY (${slicesSql(table.name, slices)}) TO ${quoteText(path)} ${parquet(slices.row_group_rows)}`);
  const [time_min_us, time_max_us] = await timesOf(reader, table, from, present);
  return {
    table: table.name,
    rows,
    ...(await fileFacts(path)),
    data_bytes: slices.data_bytes,
    time_min_us,
    time_max_us,
  };
}

/** @returns null for both when the time of a row is not known: the file must then be kept */
async function timesOf(
  reader: DuckDBConnection,
  table: ShapeTable,
  from: string,
  present: ReadonlySet<string>,
): Promise<[number | null, number | null]> {
  const kind = timeOf(table, present);
  if (kind === null) return [null, null];
  const sql =
    kind === 'row'
      ? `SELECT min(timestamp_us), max(timestamp_us), 0 ${from}`
      : kind === 'capture'
        ? `SELECT min(first_us), max(last_us), count(*) - count(last_us)
             FROM (SELECT snapshot_id ${from}) LEFT JOIN (${CAPTURE_TIMES}) USING (snapshot_id)`
        : `SELECT min(first_us), max(last_us), count(*) - count(last_us)
             FROM (SELECT dump_id ${from}) LEFT JOIN (${DUMP_TIMES}) USING (dump_id)`;
  const [row = []] = (await reader.runAndReadAll(sql)).getRows();
  const times: [number, number] = [Number(row[0]), Number(row[1])];
  const isKnown = row[0] !== null && Number(row[2]) === 0 && times.every(Number.isSafeInteger);
  return isKnown ? times : [null, null];
}

async function writeProducers(reader: DuckDBConnection, folder: string): Promise<Segment['producers']> {
  const path = join(folder, PRODUCERS_FILE);
  await reader.run(`COPY (SELECT * FROM ${INTERNAL_SCHEMA}.producers) TO ${quoteText(path)} ${parquet(2_048)}`);
  return { ...(await producerFacts(reader)), ...(await fileFacts(path)) };
}

/** `state` changes with every batch of a producer. */
export async function producerFacts(
  reader: DuckDBConnection,
): Promise<{ rows: number; forgotten_lost_rows: number; state: string }> {
  const [row = []] = (
    await reader.runAndReadAll(
      `SELECT count(*), coalesce(sum(last_seq), 0), coalesce(sum(lost_rows), 0),
         (SELECT coalesce(sum(lost_rows), 0)::DOUBLE FROM ${INTERNAL_SCHEMA}.forgotten)
       FROM ${INTERNAL_SCHEMA}.producers`,
    )
  ).getRows();
  return { rows: Number(row[0]), forgotten_lost_rows: Number(row[3]), state: row.map(String).join('/') };
}

async function fileFacts(path: string): Promise<{ bytes: number; sha256: string }> {
  await sync(path);
  return { bytes: (await stat(path)).size, sha256: await sha256(path) };
}
