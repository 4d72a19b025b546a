/**
 * The data file: `telemetry.duckdb` in a directory that only its owner may enter.
 *
 * 1. One process owns the file. DuckDB holds a POSIX lock on it, so a second owner is refused; within one process, where
 *    such locks do not count, a set of paths refuses it.
 * 2. POSIX locks go as soon as the process closes *any* descriptor of the file. So the owner never opens the file itself,
 *    not even to copy it: whoever needs a copy makes it from another process.
 * 3. A log left by a crash is replayed when the file is opened.
 */
import { chmod, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { failure, type Outcome, success } from '../contract/index.ts';
import { contractShape, SHAPE_SQL, STORE_DDL } from './ddl.ts';
import type { TelemetryLimits } from './limits.ts';

const FILE_NAME = 'telemetry.duckdb';
/** Bytes of one block of the data file: 29 mostly small tables would waste most of DuckDB's usual 256 KiB. */
const BLOCK_BYTES = 16_384;

const ownedHere = new Set<string>();

export interface Database {
  readonly path: string;
  readonly connection: DuckDBConnection;
  close(): void;
}

/**
 * Opens the data file, creating what is missing.
 * @returns failure `service_unavailable` when another process owns it, `internal_error` when it cannot be used
 */
export async function openDatabase(data_dir: string, limits: TelemetryLimits): Promise<Outcome<Database>> {
  let path: string;
  try {
    await mkdir(data_dir, { recursive: true, mode: 0o700 });
    path = join(await realpath(data_dir), FILE_NAME);
  } catch (error) {
    return failure('internal_error', `telemetry: cannot use data directory ${data_dir}: ${messageOf(error)}`);
  }
  if (ownedHere.has(path)) return failure('service_unavailable', `${path} is already open in this process`);
  ownedHere.add(path);
  try {
    const opened = await openFile(path, limits);
    if (!opened.ok) ownedHere.delete(path);
    return opened;
  } catch (error) {
    ownedHere.delete(path);
    return failure('internal_error', `telemetry: cannot open ${path}: ${messageOf(error)}`);
  }
}

async function openFile(path: string, limits: TelemetryLimits): Promise<Outcome<Database>> {
  let instance: DuckDBInstance;
  try {
    instance = await DuckDBInstance.create(path, {
      // One writer appends; more threads would only hold memory.
      threads: '1',
      memory_limit: `${limits.owner_memory_mib}MiB`,
      checkpoint_threshold: `${limits.owner_wal_mib}MiB`,
      default_block_size: String(BLOCK_BYTES),
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
  } catch (error) {
    return failure('service_unavailable', openError(path, messageOf(error)));
  }
  const connection = await instance.connect();
  const close = (): void => {
    connection.closeSync();
    instance.closeSync();
    ownedHere.delete(path);
  };
  try {
    await chmod(path, 0o600);
    for (const statement of STORE_DDL) await connection.run(statement);
    const shape = (await connection.runAndReadAll(SHAPE_SQL)).getRows().map((row) => String(row[0]));
    const difference = firstDifference(shape, contractShape());
    if (difference !== null) {
      close();
      return failure(
        'internal_error',
        `${path} was written by another version of meshscope (${difference}); move it away to start a new one`,
      );
    }
    return success({ path, connection, close });
  } catch (error) {
    close();
    throw error;
  }
}

function openError(path: string, message: string): string {
  const holder = /Conflicting lock is held in (.*?) \(PID (\d+)\)/.exec(message);
  if (holder !== null) {
    return `${path} is in use by process ${holder[2]} (${holder[1]}); stop that process or use another data directory`;
  }
  if (/Could not set lock/.test(message)) {
    return `${path} is in use by another process; stop that process or use another data directory`;
  }
  return `cannot open ${path}: ${message}; move the file away to start a new one`;
}

function firstDifference(actual: readonly string[], expected: readonly string[]): string | null {
  const missing = expected.find((line, index) => actual[index] !== line);
  if (missing !== undefined) return `expected ${missing}`;
  return actual.length > expected.length ? `unexpected ${actual[expected.length]}` : null;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What an error says, without the folder of the data file: whoever may write or ask need not learn where it is. */
export function messageWithoutFolder(error: unknown, path: string): string {
  return messageOf(error).replaceAll(`${dirname(path)}/`, '');
}

/** Bytes of the data file and its log. */
export async function databaseBytes(path: string): Promise<number> {
  const size = async (file: string): Promise<number> => (await stat(file).catch(() => ({ size: 0 }))).size;
  return (await size(path)) + (await size(`${path}.wal`));
}
