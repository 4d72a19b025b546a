/** Shared by the tools for a store at rest. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, messageOf, type Outcome } from '../../base/index.ts';
import { DATA_FILE, type Database, type OpenOptions, openDatabase } from '../database/database.ts';
import { LIMITS, type TelemetryLimits } from '../limits.ts';
import { SEGMENTS_FOLDER } from '../segments/segments.ts';

/** A tool may use all the memory that the owner process may have. */
export const TOOL_LIMITS: TelemetryLimits = { ...LIMITS, owner_memory_mib: LIMITS.owner_memory_max_mib };

export interface ToolOptions {
  readonly data_dir: string;
  /** Stops the tool, which removes what it had begun. Default: none. */
  readonly signal?: AbortSignal;
  /** Called with the table or segment that the tool is at, for people who wait. Default: not called. */
  readonly onProgress?: (what: string) => void;
}

/** @returns `not_found` when there is no store, the failures of `openDatabase`, or what `work` returns */
export async function withDatabase<T>(
  { data_dir, signal }: ToolOptions,
  options: OpenOptions,
  work: (database: Database) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  if (!(await exists(join(data_dir, DATA_FILE)))) return noStore(data_dir);
  const opened = await openDatabase(data_dir, TOOL_LIMITS, options);
  if (!opened.ok) return opened;
  const { connection } = opened.value;
  const interrupt = (): void => connection.interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    return await work(opened.value);
  } catch (error) {
    return signal?.aborted ? stopped() : failure('internal_error', messageOf(error));
  } finally {
    signal?.removeEventListener('abort', interrupt);
    opened.value.close();
  }
}

/** Whether a data directory has a store, or what a new data file can be filled from. */
export async function hasStore(data_dir: string): Promise<boolean> {
  return (await exists(join(data_dir, DATA_FILE))) || (await exists(join(data_dir, SEGMENTS_FOLDER)));
}

export function noStore(data_dir: string): Outcome<never> {
  return failure('not_found', `there is no store in ${data_dir}: name its data folder`);
}

export function stopped(): Outcome<never> {
  return failure('service_unavailable', 'stopped; nothing is left half done');
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
