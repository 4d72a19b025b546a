/**
 * Opening a store: the data file and its segments, brought to agree. No row is there twice, none is lost that one of the
 * two has.
 *
 * 1. The data file is opened. In use, a full disk, no permission: that is the answer, and nothing is touched. A file that
 *    this engine cannot read is set aside, and a new one is filled from the segments, if there are any. One that has other tables than the
 *    contract's is sealed as it is first.
 * 2. The manifest is read. One that cannot be read is set aside with its segments, as are segments of another store; then
 *    the data file is what there is, and is sealed anew.
 * 3. A manifest that counts one sealing more than the data file: the crash came between the two, and the data file is told.
 *    More than one: the data file is an older one, put back, and is filled anew. Fewer: the segments are the older ones.
 * 4. Folders and files that the manifest does not name, and what tools left unfinished, are removed.
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

/** What a tool that was interrupted leaves beside the data file. */
export const COMPACT_FILE = `${DATA_FILE}.compact`;

export interface OpenedStore {
  readonly database: Database;
  readonly segments: Segments;
  /** Rows came back from segments: what is over its bound is among them until the next sweep. */
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
      // Set aside meanwhile, so that the next opening finds none and rebuilds.
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
    // Without anything to fill another from, what cannot be read is left where somebody may still mend it.
    if (read.kind !== 'manifest' || read.manifest.segments.length === 0) return opened;
    const target = await setAside(path, LOG_ENDINGS);
    const { message } = opened.failure;
    log.warn(`${message}. It is now ${basename(target)}; a new data file is filled from the segments`);
  } catch (error) {
    return failure('internal_error', `telemetry: cannot replace ${path}: ${messageOf(error)}`);
  }
  return await open();
}

/** Puts the rows of a data file of another version into a segment, in the columns that it has. */
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

/** An empty manifest that the data file agrees with: everything in it is still to be sealed. */
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
        // While it is still locked, so that no other service takes it up in between; nothing is left in its log then.
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
  // From the first on, so that segments without a manifest are known to have lost it.
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
    // Those of processes that were killed.
    if (name.startsWith(TEMPORARY_NAME) && name !== basename(temporary_path))
      await rm(join(data_dir, name), { recursive: true, force: true });
  }
}
