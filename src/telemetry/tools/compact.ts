/**
 * Makes a store at rest as small as its rows need.
 *
 * 1. The store is opened as its service would, so that a crash is mended first; what is past its bound is deleted.
 * 2. All rows are sealed into one segment that replaces the others.
 * 3. The rows are written into a new data file beside the old one, which it then replaces by a rename. DuckDB itself gives
 *    back only what happens to be free at the end of a file.
 *
 * Stopped or killed at any moment, the store is whole: what was done stays, what was begun is removed by the next opening.
 */
import { access, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { failure, messageOf, type Outcome, SILENT, success, type WarningLog } from '../../base/index.ts';
import { BLOCK_BYTES, type Database, ROW_GROUP_ROWS } from '../database/database.ts';
import { CATALOG, INTERNAL_DDL, INTERNAL_SCHEMA, quoteIdentifier, quoteText, TABLES_DDL } from '../database/ddl.ts';
import { resolveLimits, type TelemetryLimits } from '../limits.ts';
import { sync } from '../segments/files.ts';
import { COMPACT_FILE } from '../segments/recover.ts';
import { readShape } from '../segments/shape.ts';
import { type RowRange, slicesOf } from '../segments/slices.ts';
import { Store } from '../store/store.ts';
import { hasStore, noStore, stopped, TOOL_LIMITS, type ToolOptions, withDatabase } from './tool.ts';

const INTERNAL_TABLES = ['producers', 'forgotten', 'sealing', 'sealed'];
const ALL: RowRange = [0, Number.MAX_SAFE_INTEGER];

export interface Compacted {
  readonly bytes_before: number;
  readonly bytes_after: number;
  readonly rows: number;
}

/**
 * @param options `limits` replaces single limits, for example those of retention; `log` gets a line for each repair
 * @returns `not_found` when there is no store, `service_unavailable` when it is in use or the tool was stopped, `internal_error`
 *          when the disk or the data file fails
 */
export async function compactStore(
  options: ToolOptions & { readonly limits?: Partial<TelemetryLimits>; readonly log?: WarningLog },
): Promise<Outcome<Compacted>> {
  const { data_dir, signal, onProgress = () => undefined, log = SILENT } = options;
  try {
    if (!(await hasStore(data_dir))) return noStore(data_dir);
    const bytes_before = await storeBytes(data_dir);
    const opened = await Store.open(
      data_dir,
      { ...resolveLimits(options.limits), owner_memory_mib: TOOL_LIMITS.owner_memory_mib },
      log,
    );
    if (!opened.ok) return opened;
    const store = opened.value;
    try {
      onProgress('retention');
      await store.sweep(Date.now());
      if (signal?.aborted) return stopped();
      onProgress('segments');
      await store.seal(true);
    } finally {
      await store.close();
    }
    if (signal?.aborted) return stopped();
    onProgress('data file');
    const rewritten = await withDatabase(options, {}, async (database) => success(await rewrite(database, signal)));
    if (!rewritten.ok) return rewritten;
    return success({ bytes_before, bytes_after: await storeBytes(data_dir), rows: rewritten.value });
  } catch (error) {
    return failure('internal_error', `cannot compact: ${messageOf(error)}`);
  }
}

/** @returns the number of rows */
async function rewrite({ connection, path, close }: Database, signal: AbortSignal | undefined): Promise<number> {
  const fresh = join(dirname(path), COMPACT_FILE);
  for (const ending of ['', '.wal']) await rm(fresh + ending, { force: true });
  try {
    await connection.run('CHECKPOINT');
    await connection.run(
      `ATTACH ${quoteText(fresh)} AS fresh (BLOCK_SIZE ${BLOCK_BYTES}, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
    );
    await connection.run('USE fresh');
    for (const statement of [...TABLES_DDL, ...INTERNAL_DDL]) await connection.run(statement);
    await connection.run(`USE ${CATALOG}`);
    for (const table of INTERNAL_TABLES) await copy(connection, `${INTERNAL_SCHEMA}.${table}`);
    let rows = 0;
    for (const table of await readShape(connection)) {
      signal?.throwIfAborted();
      // Wide rows in parts, since DuckDB holds thousands of them at a time.
      const { ranges } = await slicesOf(connection, table, -1, TOOL_LIMITS);
      rows += await copy(connection, `main.${quoteIdentifier(table.name)}`, ranges);
    }
    await connection.run('CHECKPOINT fresh');
    await connection.run('DETACH fresh');
    if (await isThere(`${fresh}.wal`)) throw new Error('the new data file is not whole');
    await sync(fresh);
    // While the old one is still locked, so that nobody takes it up in between; nothing is left in its log.
    await rename(fresh, path);
    await sync(dirname(path));
    close();
    return rows;
  } finally {
    for (const ending of ['', '.wal']) await rm(fresh + ending, { force: true });
  }
}

/** @returns the number of rows */
async function copy(connection: DuckDBConnection, name: string, ranges: readonly RowRange[] = [ALL]): Promise<number> {
  for (const [from, to] of ranges) {
    const rows = `SELECT * FROM ${CATALOG}.${name} WHERE rowid >= ${from} AND rowid < ${to}`;
    await connection.run(`INSERT INTO fresh.${name} BY NAME ${rows}`);
  }
  const written = await count(connection, `fresh.${name}`);
  const there = await count(connection, `${CATALOG}.${name}`);
  if (written !== there) throw new Error(`${name}: ${written} rows were copied of ${there}`);
  return written;
}

async function count(connection: DuckDBConnection, name: string): Promise<number> {
  return Number((await connection.runAndReadAll(`SELECT count(*) FROM ${name}`)).getRows()[0]?.[0]);
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Bytes of the data file, its log, and the segments. */
async function storeBytes(data_dir: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(data_dir, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const isOurs = /^(telemetry\.duckdb(\.wal)?|segments[/\\].*)$/.test(path.slice(data_dir.length + 1));
    if (entry.isFile() && isOurs) bytes += (await stat(path)).size;
  }
  return bytes;
}
