/**
 * Fills an empty data file from sealed segments, matching columns by name. A column that a segment lacks becomes null, or the
 * zero value of its type where null is not allowed. Columns that the contract no longer has are dropped.
 *
 * The data file is marked `rebuilding` from before the first row until after the last one, so that a rebuild that was cut
 * short begins anew. Damaged files (by their checksum) are left out, moved to `damaged/`, and reported.
 */
import { mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { messageOf, type WarningLog } from '../../base/index.ts';
import { COLUMN_TYPES, type Column, TABLES, type Table } from '../../contract/index.ts';
import type { Database } from '../database/database.ts';
import { INTERNAL_SCHEMA, quoteIdentifier, quoteText } from '../database/ddl.ts';
import type { TelemetryLimits } from '../limits.ts';
import { sha256, sync } from './files.ts';
import {
  type Damaged,
  type Manifest,
  PRODUCERS_FILE,
  type Segment,
  type SegmentFile,
  type ShapeColumn,
  segmentFolder,
  tableFile,
  writeManifest,
} from './manifest.ts';
import { inTransaction, noteSql, REBUILDING } from './sealing.ts';
import { damagedFolder } from './segments.ts';

/**
 * @param limits of memory, all of which it may have, since nobody else needs it yet
 * @returns the manifest as it is now: without the files that turned out to be damaged
 */
export async function rebuild(
  { connection, memory_mib }: Database,
  folder: string,
  manifest: Manifest,
  limits: TelemetryLimits,
  log: WarningLog,
): Promise<Manifest> {
  await connection.run(`SET memory_limit = '${Math.max(memory_mib, limits.owner_memory_max_mib)}MiB'`);
  const internal = ['sealing', 'sealed', 'producers', 'forgotten'].map((name) => `${INTERNAL_SCHEMA}.${name}`);
  await inTransaction(connection, [
    ...TABLES.map(({ name }) => `DELETE FROM main.${quoteIdentifier(name)}`),
    ...internal.map((name) => `DELETE FROM ${name}`),
    ...noteSql(REBUILDING, -1, {}),
  ]);
  const sealed_rows: Record<string, number> = {};
  const damaged: Damaged[] = [];
  const good: Segment[] = [];
  for (const segment of manifest.segments) {
    const files: SegmentFile[] = [];
    for (const file of segment.files) {
      const rows = await loadFile(connection, folder, manifest, segment, file, limits.rebuild_part_max_bytes);
      if (typeof rows === 'number') {
        files.push(file);
        if (findContractTable(file.table) !== undefined) {
          sealed_rows[file.table] = (sealed_rows[file.table] ?? 0) + rows;
        }
        continue;
      }
      log.warn(`segment ${segment.number}, ${file.table}: ${rows.reason}; its ${file.rows} rows are left out`);
      damaged.push({
        segment: segment.number,
        table: file.table,
        rows: file.rows,
        reason: rows.reason,
        found_at_us: Date.now() * 1000,
      });
      await keepDamaged(folder, segment.number, file.table);
    }
    good.push({ ...segment, files });
  }
  await loadProducers(connection, folder, good, log);
  // Durable before the data file says that it is whole.
  const next = { ...manifest, segments: good, damaged: [...manifest.damaged, ...damaged], sealed_rows };
  const written = await writeManifest(folder, next);
  await inTransaction(connection, noteSql(manifest.store_id, manifest.seals, sealed_rows));
  await connection.run('CHECKPOINT');
  // If DuckDB cannot give the memory up now, it does with the first commits.
  await connection.run(`SET memory_limit = '${memory_mib}MiB'`).catch(() => undefined);
  return written;
}

/** @returns what is wrong with a sealed file; null when nothing is. Throws when the disk cannot be read */
export async function fileProblem(
  path: string,
  expected: { readonly bytes: number; readonly sha256: string },
): Promise<string | null> {
  const size = await stat(path).then(
    (found) => found.size,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    },
  );
  if (size === null) return 'the file is missing';
  if (size !== expected.bytes) return `the file has ${size} bytes, not ${expected.bytes}`;
  return (await sha256(path)) === expected.sha256 ? null : 'its checksum is wrong';
}

async function loadFile(
  connection: DuckDBConnection,
  folder: string,
  manifest: Manifest,
  segment: Segment,
  file: SegmentFile,
  part_max_bytes: number,
): Promise<number | { readonly reason: string }> {
  const path = tableFile(folder, segment.number, file.table);
  const problem = await fileProblem(path, file);
  if (problem !== null) return { reason: problem };
  const table = findContractTable(file.table);
  if (table === undefined) return 0;
  const columns = manifest.schemas[segment.schema]?.[file.table];
  if (columns === undefined) return { reason: 'the manifest does not say which columns it has' };
  const parts = await partsOf(connection, path, part_max_bytes);
  const rows = parts.at(-1)?.[1] ?? 0;
  // Before any row is in the table: rows in it count as sealed.
  if (rows !== file.rows) return { reason: `the file has ${rows} rows, not ${file.rows}` };
  for (const part of parts) await connection.run(loadSql(table, columns, path, part));
  return rows;
}

/** The row groups of a file, those that follow one another and are small together as one: the numbers of their rows. */
async function partsOf(
  connection: DuckDBConnection,
  path: string,
  max_bytes: number,
): Promise<(readonly [from: number, to: number])[]> {
  const reader = await connection.runAndReadAll(
    `SELECT any_value(row_group_num_rows), sum(total_uncompressed_size) FROM parquet_metadata(${quoteText(path)})
     GROUP BY row_group_id ORDER BY row_group_id`,
  );
  const parts: [number, number][] = [];
  let bytes = max_bytes;
  let end = 0;
  for (const [count, size] of reader.getRows().map((row) => row.map(Number)) as [number, number][]) {
    const last = parts.at(-1);
    if (last === undefined || bytes + size > max_bytes) {
      parts.push([end, end + count]);
      bytes = 0;
    } else last[1] += count;
    bytes += size;
    end += count;
  }
  return parts;
}

function loadSql(table: Table, columns: readonly ShapeColumn[], path: string, [from, to]: readonly number[]): string {
  const names = table.columns.map((column) => quoteIdentifier(column.name)).join(', ');
  const values = table.columns.map((column) => valueSql(column, columns));
  return `INSERT INTO main.${quoteIdentifier(table.name)} (${names})
    SELECT ${values.join(', ')} FROM read_parquet(${quoteText(path)}, file_row_number = true)
    WHERE file_row_number >= ${from} AND file_row_number < ${to}`;
}

function valueSql(column: Column, columns: readonly ShapeColumn[]): string {
  const type = COLUMN_TYPES[column.type];
  const sealed = columns.find((candidate) => candidate.name === column.name);
  const name = quoteIdentifier(column.name);
  if (sealed === undefined) return column.nullable ? `NULL::${type}` : zeroSql(column);
  const value = sealed.type === type ? name : `TRY_CAST(${name} AS ${type})`;
  const isSafe = sealed.type === type && !sealed.nullable;
  return column.nullable || isSafe ? value : `coalesce(${value}, ${zeroSql(column)})`;
}

function zeroSql({ type }: Column): string {
  if (type === 'text') return `''`;
  return type === 'flag' ? 'false' : `0::${COLUMN_TYPES[type]}`;
}

/** Loads the newest producers that can be read: without their numbers, a batch that is sent again would count twice. */
async function loadProducers(
  connection: DuckDBConnection,
  folder: string,
  segments: readonly Segment[],
  log: WarningLog,
): Promise<void> {
  for (const { number, producers } of [...segments].reverse()) {
    const path = join(segmentFolder(folder, number), PRODUCERS_FILE);
    const problem = await fileProblem(path, producers);
    if (problem !== null) {
      log.warn(`segment ${number}, producers: ${problem}; older ones are taken`);
      continue;
    }
    await inTransaction(connection, [
      `INSERT INTO ${INTERNAL_SCHEMA}.producers BY NAME SELECT * FROM read_parquet(${quoteText(path)})`,
      `INSERT INTO ${INTERNAL_SCHEMA}.forgotten VALUES (${producers.forgotten_lost_rows})`,
    ]);
    return;
  }
}

async function keepDamaged(folder: string, number: number, table: string): Promise<void> {
  const target = damagedFolder(folder, number);
  await mkdir(target, { recursive: true, mode: 0o700 });
  try {
    await rename(tableFile(folder, number, table), join(target, `${table}.parquet`));
    await sync(target);
  } catch (error) {
    // A file that is missing cannot be kept.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new Error(messageOf(error), { cause: error });
  }
}

function findContractTable(name: string): Table | undefined {
  return TABLES.find((table) => table.name === name);
}
