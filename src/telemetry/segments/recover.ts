/**
 * Opens a store and makes its data file and its segments agree. No row is there twice, and no row is lost that one of the two
 * has.
 *
 * 1. The data file is opened. If it is in use, the disk is full or permission is missing, opening fails and nothing is
 *    changed. A file that this engine cannot read is renamed, and a new one is filled from the segments, if there are any. A
 *    file that has other tables than the contract's is first sealed as it is.
 * 2. The manifest is read. If it cannot be read, or belongs to another store, it is renamed together with its segments, and
 *    the data file is sealed anew.
 * 3. If the manifest counts one sealing more than the data file, a crash came between the two, and the data file notes it. If
 *    it counts more, the data file is an older copy and is filled anew. If it counts fewer, the segments are the older ones.
 * 4. Folders and files that the manifest does not name, and unfinished work of tools, are removed.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { failure, messageOf, type Outcome, reasonOf, success, type WarningLog } from '../../base/index.ts';
import { TABLES } from '../../contract/index.ts';
import {
  DATA_FILE,
  type Database,
  LOG_ENDINGS,
  type OpenFailureReason,
  type OpenOptions,
  openDatabase,
  TEMPORARY_NAME,
} from '../database/database.ts';
import type { TelemetryLimits } from '../limits.ts';
import { namesIn, setAside } from './files.ts';
import {
  emptyManifest,
  type Manifest,
  PRODUCERS_FILE,
  readManifest,
  segmentFolder,
  writeManifest,
} from './manifest.ts';
import { rebuild } from './rebuild.ts';
import { catchUp, inTransaction, noteSql, REBUILDING, readCounts, readSealing } from './sealing.ts';
import { SEGMENTS_FOLDER, Segments } from './segments.ts';

/** The unfinished file that an interrupted `compact` leaves beside the data file. */
export const COMPACT_FILE = `${DATA_FILE}.compact`;

export interface OpenedStore {
  readonly database: Database;
  readonly segments: Segments;
  /** Rows were restored from segments, among them rows that exceed their bounds until the next sweep. */
  readonly isRebuilt: boolean;
}

/** @returns the failures of `openDatabase`, and `internal_error` when the folder of the segments cannot be used */
export async function openStoreFiles(
  data_dir: string,
  limits: TelemetryLimits,
  log: WarningLog,
): Promise<Outcome<OpenedStore>> {
  const opened = await openOrReplace(data_dir, limits, log);
  if (!opened.ok) return opened;
  const database = opened.value;
  try {
    const folder = join(dirname(database.path), SEGMENTS_FOLDER);
    const { manifest, isRebuilt } = await agree(database, folder, limits, log);
    if (manifest === null) {
      // The data file was renamed, so the next opening finds none and rebuilds.
      return await openStoreFiles(data_dir, limits, log);
    }
    await removeOrphans(database, folder, manifest);
    return success({ database, segments: new Segments(folder, manifest, limits), isRebuilt });
  } catch (error) {
    database.close();
    return failure('internal_error', `telemetry: cannot use the segments in ${data_dir}: ${messageOf(error)}`);
  }
}

async function openOrReplace(data_dir: string, limits: TelemetryLimits, log: WarningLog): Promise<Outcome<Database>> {
  const open = (options?: OpenOptions): Promise<Outcome<Database>> => openDatabase(data_dir, limits, options);
  const opened = await open();
  if (opened.ok) return opened;
  const reason = reasonOf(opened.failure) as OpenFailureReason;
  if (reason !== 'broken' && reason !== 'shape') return opened;
  const path = join(data_dir, DATA_FILE);
  try {
    if (reason === 'shape') {
      const old = await open({ any_shape: true });
      if (!old.ok) return old;
      try {
        await sealAsItIs(old.value, limits);
      } finally {
        old.value.close();
      }
    }
    const read = await readManifest(join(data_dir, SEGMENTS_FOLDER));
    // With nothing to fill another from, a broken file stays where somebody may still mend it.
    if (read.kind !== 'manifest' || read.manifest.segments.length === 0) return opened;
    const target = await setAside(path, LOG_ENDINGS);
    const { message } = opened.failure;
    log.warn(`${message}. It is now ${basename(target)}; a new data file is filled from the segments`);
  } catch (error) {
    return failure('internal_error', `telemetry: cannot replace ${path}: ${messageOf(error)}`);
  }
  return await open();
}

/** Seals the rows of a data file of another version in a segment, with the columns that it has. */
async function sealAsItIs(database: Database, limits: TelemetryLimits): Promise<void> {
  const { connection } = database;
  const folder = join(dirname(database.path), SEGMENTS_FOLDER);
  const read = await readManifest(folder);
  const sealing = await readSealing(connection);
  if (sealing?.store_id === REBUILDING) return;
  const isOurs = read.kind === 'manifest' && read.manifest.store_id === sealing?.store_id;
  const isInStep = isOurs && read.manifest.seals - sealing.seals <= 1 && read.manifest.seals >= sealing.seals;
  if (isInStep) await catchUp(connection, read.manifest);
  else if (read.kind !== 'none') await setAside(folder);
  const manifest = isInStep ? read.manifest : await startOver(database);
  await new Segments(folder, manifest, limits).seal((work) => work(connection, database.connect), { contract: false });
}

/** @returns an empty manifest that the data file agrees with, so that all its rows are still to be sealed */
async function startOver({ connection }: Database): Promise<Manifest> {
  const manifest = emptyManifest(randomUUID(), await engineVersion(connection));
  await inTransaction(connection, noteSql(manifest.store_id, 0, {}));
  return manifest;
}

async function agree(
  database: Database,
  folder: string,
  limits: TelemetryLimits,
  log: WarningLog,
): Promise<{ manifest: Manifest | null; isRebuilt: boolean }> {
  const { connection } = database;
  const read = await readManifest(folder);
  const sealing = await readSealing(connection);
  const names = TABLES.map((table) => table.name);
  const counts = await readCounts(connection, names);
  const isEmpty = [...counts.values()].every(({ rows }) => rows === 0);

  if (read.kind === 'manifest') {
    const { manifest } = read;
    if ((sealing === null && isEmpty) || sealing?.store_id === REBUILDING) {
      log.warn(
        `filling the data file from ${manifest.segments.length === 1 ? '1 segment' : `${manifest.segments.length} segments`}`,
      );
      return { manifest: await rebuild(database, folder, manifest, limits, log), isRebuilt: true };
    }
    if (sealing?.store_id === manifest.store_id) {
      const behind = manifest.seals - sealing.seals;
      if (behind === 0) return { manifest, isRebuilt: false };
      const hasRows = names.every((name) => (counts.get(name)?.rows ?? 0) >= (manifest.sealed_rows[name] ?? 0));
      if (behind === 1 && hasRows) {
        await catchUp(connection, manifest);
        return { manifest, isRebuilt: false };
      }
      if (behind > 0) {
        // While the file is still locked, so that no other service can open it in between. The checkpoint empties its log.
        await connection.run('CHECKPOINT');
        const target = await setAside(database.path, LOG_ENDINGS);
        database.close();
        log.warn(`the data file is older than its segments; it is now ${basename(target)}`);
        return { manifest: null, isRebuilt: false };
      }
    }
    const target = await setAside(folder);
    const why = sealing?.store_id === manifest.store_id ? 'are older than' : 'do not belong to';
    log.warn(`the segments ${why} the data file; they are now ${basename(target)}`);
  } else if (read.kind === 'unreadable' || (await namesIn(folder)).some((name) => /^\d+$/.test(name))) {
    const target = await setAside(folder);
    const why = read.kind === 'unreadable' ? read.reason : 'there is no manifest.json';
    log.warn(`the segments cannot be used: ${why}; they are now ${basename(target)}`);
  }
  const isNew = sealing !== null && sealing.seals === 0 && sealing.store_id !== REBUILDING;
  const manifest = isNew ? emptyManifest(sealing.store_id, await engineVersion(connection)) : await startOver(database);
  // Written at once, so that segments without a manifest are known to have lost it.
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return { manifest: await writeManifest(folder, manifest), isRebuilt: false };
}

async function engineVersion(connection: DuckDBConnection): Promise<string> {
  const [row] = (await connection.runAndReadAll('SELECT version()')).getRows();
  return String(row?.[0]);
}

async function removeOrphans({ path, temporary_path }: Database, folder: string, manifest: Manifest): Promise<void> {
  const data_dir = dirname(path);
  const known = new Set(manifest.segments.map(({ number }) => basename(segmentFolder(folder, number))));
  for (const name of await namesIn(folder)) {
    if (/^\d+(\.partial)?$/.test(name) && !known.has(name)) {
      await rm(join(folder, name), { recursive: true, force: true });
    }
  }
  for (const { number, files } of manifest.segments) {
    const target = segmentFolder(folder, number);
    const names = new Set([PRODUCERS_FILE, ...files.map(({ table }) => `${table}.parquet`)]);
    for (const name of await namesIn(target)) if (!names.has(name)) await rm(join(target, name), { force: true });
  }
  for (const name of await namesIn(data_dir)) {
    if (name.startsWith(COMPACT_FILE)) await rm(join(data_dir, name), { force: true });
    // Folders of processes that were killed.
    if (name.startsWith(TEMPORARY_NAME) && name !== basename(temporary_path))
      await rm(join(data_dir, name), { recursive: true, force: true });
  }
}
