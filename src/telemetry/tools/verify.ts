/** Checks everything that a store has on the disk, and changes nothing. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { messageOf, type Outcome, reasonOf, success } from '../../base/index.ts';
import { DATA_FILE, type OpenFailureReason } from '../database/database.ts';
import { contractShape, INTERNAL_SCHEMA, quoteIdentifier, quoteText, SHAPE_SQL } from '../database/ddl.ts';
import { type Manifest, PRODUCERS_FILE, readManifest, segmentFolder, tableFile } from '../segments/manifest.ts';
import { fileProblem } from '../segments/rebuild.ts';
import { readSealing } from '../segments/sealing.ts';
import { SEGMENTS_FOLDER } from '../segments/segments.ts';
import { readShape } from '../segments/shape.ts';
import { hasStore, noStore, stopped, type ToolOptions, withDatabase } from './tool.ts';

export interface Verified {
  /** What is wrong, a line each; none when nothing is. */
  readonly findings: readonly string[];
  readonly rows: number;
  readonly segments: number;
  readonly bytes: number;
}

/** @returns `not_found` when there is no store, `service_unavailable` when it is in use (the message says by what) */
export async function verifyStore(options: ToolOptions): Promise<Outcome<Verified>> {
  const { data_dir, signal, onProgress = () => undefined } = options;
  if (!(await hasStore(data_dir))) return noStore(data_dir);
  const findings: string[] = [];
  const folder = join(data_dir, SEGMENTS_FOLDER);
  const read = await readManifest(folder);
  const manifest = read.kind === 'manifest' ? read.manifest : null;
  if (read.kind === 'unreadable') findings.push(`segments: ${read.reason}`);
  let rows = 0;
  const looked = await withDatabase(options, { any_shape: true, read_only: true }, async ({ connection }) => {
    rows = await verifyData(connection, manifest, findings, onProgress);
    if (manifest !== null) await verifySegments(connection, folder, manifest, findings, options);
    return success(null);
  });
  if (!looked.ok) {
    if (signal?.aborted) return stopped();
    if (reasonOf(looked.failure) === ('in_use' satisfies OpenFailureReason)) return looked;
    findings.unshift(looked.failure.code === 'not_found' ? `${DATA_FILE}: missing` : looked.failure.message);
  }
  const size = (path: string): Promise<number> =>
    stat(path).then(
      (found) => found.size,
      () => 0,
    );
  const bytes = await size(join(data_dir, DATA_FILE));
  return success({ findings, rows, segments: manifest?.segments.length ?? 0, bytes });
}

async function verifyData(
  connection: DuckDBConnection,
  manifest: Manifest | null,
  findings: string[],
  onProgress: (what: string) => void,
): Promise<number> {
  const shape = (await connection.runAndReadAll(SHAPE_SQL)).getRows().map((row) => String(row[0]));
  for (const line of contractShape()) if (!shape.includes(line)) findings.push(`${DATA_FILE}: there is no ${line}`);
  for (const line of shape) if (!contractShape().includes(line)) findings.push(`${DATA_FILE}: unexpected ${line}`);
  let total = 0;
  const rowsOf = new Map<string, number>();
  for (const { name, columns } of await readShape(connection)) {
    onProgress(name);
    const list = columns.map((column) => quoteIdentifier(column.name)).join(', ');
    try {
      // Reads every column, so that the checksum of every block is looked at.
      const sql = `SELECT count(*), max(hash(${list})) FROM main.${quoteIdentifier(name)}`;
      const rows = Number((await connection.runAndReadAll(sql)).getRows()[0]?.[0]);
      rowsOf.set(name, rows);
      total += rows;
    } catch (error) {
      findings.push(`${DATA_FILE}: table ${name} cannot be read: ${oneLine(error)}`);
    }
  }
  await verifyCounts(connection, manifest, rowsOf, findings).catch((error: unknown) => {
    findings.push(`${DATA_FILE}: its own records cannot be read: ${oneLine(error)}`);
  });
  return total;
}

/** What the data file notes of its segments against what they and its tables hold. */
async function verifyCounts(
  connection: DuckDBConnection,
  manifest: Manifest | null,
  rows: ReadonlyMap<string, number>,
  findings: string[],
): Promise<void> {
  // A release that sealed nothing yet kept no records of it; the next start adds them.
  const records = `SELECT 1 FROM duckdb_tables() WHERE schema_name = '${INTERNAL_SCHEMA}' AND table_name = 'sealing'`;
  if (manifest === null && (await connection.runAndReadAll(records)).getRows().length === 0) return;
  const sealing = await readSealing(connection);
  if (manifest === null) {
    if ((sealing?.seals ?? 0) > 0) findings.push('segments: there is no manifest.json, though rows have been sealed');
    return;
  }
  if (sealing?.store_id !== manifest.store_id) {
    findings.push('segments: they belong to another store than the data file');
    return;
  }
  const behind = manifest.seals - sealing.seals;
  // One is what a crash between the two leaves; the next start notes it.
  if (behind !== 0 && behind !== 1) {
    findings.push(`segments: ${manifest.seals} sealings, but the data file knows of ${sealing.seals}`);
  }
  const held = new Map<string, number>();
  for (const file of manifest.segments.flatMap((segment) => segment.files)) {
    held.set(file.table, (held.get(file.table) ?? 0) + file.rows);
  }
  const reader = await connection.runAndReadAll(`SELECT table_name, rows FROM ${INTERNAL_SCHEMA}.sealed`);
  for (const [table, sealed] of reader.getRows().map(([name, count]) => [String(name), Number(count)] as const)) {
    if (sealed > (rows.get(table) ?? 0)) {
      findings.push(`${table}: ${sealed} rows are noted as sealed, but the table has ${rows.get(table) ?? 0}`);
    }
    if (behind === 0 && sealed > (held.get(table) ?? 0)) {
      findings.push(`${table}: ${sealed} rows are noted as sealed, but segments hold ${held.get(table) ?? 0}`);
    }
  }
}

async function verifySegments(
  connection: DuckDBConnection,
  folder: string,
  manifest: Manifest,
  findings: string[],
  { signal, onProgress = () => undefined }: ToolOptions,
): Promise<void> {
  for (const { number, files, producers } of manifest.segments) {
    onProgress(`segment ${number}`);
    const parts = [
      ...files.map((file) => ({ name: file.table, path: tableFile(folder, number, file.table), ...file })),
      { name: 'producers', path: join(segmentFolder(folder, number), PRODUCERS_FILE), ...producers },
    ];
    for (const part of parts) {
      signal?.throwIfAborted();
      const problem = (await fileProblem(part.path, part)) ?? (await countProblem(connection, part));
      if (problem !== null) findings.push(`segment ${number}, ${part.name}: ${problem}`);
    }
  }
  for (const { segment, table, rows, reason } of manifest.damaged) {
    findings.push(`segment ${segment}, ${table}: ${rows} rows were left out of a rebuild: ${reason}`);
  }
}

async function countProblem(
  connection: DuckDBConnection,
  { path, rows }: { readonly path: string; readonly rows: number },
): Promise<string | null> {
  try {
    const reader = await connection.runAndReadAll(`SELECT count(*) FROM read_parquet(${quoteText(path)})`);
    const found = Number(reader.getRows()[0]?.[0]);
    return found === rows ? null : `the file has ${found} rows, not ${rows}`;
  } catch (error) {
    return `it cannot be read: ${oneLine(error)}`;
  }
}

function oneLine(error: unknown): string {
  return messageOf(error).split('\n')[0] ?? '';
}
