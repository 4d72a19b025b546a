/**
 * The data file: `telemetry.duckdb` in a directory that only its owner may enter.
 *
 * 1. One process owns the file. DuckDB holds a POSIX lock on it, which keeps other processes out. Within one process such
 *    locks have no effect; there a set of paths keeps a second owner out.
 * 2. POSIX releases its locks as soon as the process closes *any* descriptor of the file. So the owner never opens the file
 *    itself, not even to copy it: copies are made by other processes.
 * 3. A log left by a crash is replayed when the file is opened.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { failure, messageOf, type Outcome, reasonOf, success } from '../../base/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import { CATALOG, contractShape, INTERNAL_DDL, quoteText, SHAPE_SQL, TABLES_DDL } from './ddl.ts';
import { type EngineError, type OpenReason, readEngineError } from './engine-error.ts';
import { memorySteps } from './memory.ts';

export const DATA_FILE = 'telemetry.duckdb';
/** Endings of the files beside the data file in which DuckDB keeps commits that are not in it yet. */
export const LOG_ENDINGS = ['.wal', '.wal.checkpoint', '.wal.recovery'];
/** Folders into which DuckDB spills when it needs more memory than it may have begin with this name. Each opening has its own. */
export const TEMPORARY_NAME = `${DATA_FILE}.tmp`;
/** Bytes of one block of the data file: mostly small tables would waste most of DuckDB's usual 256 KiB. */
export const BLOCK_BYTES = 16_384;
/**
 * Rows of one row group of the data file. A checkpoint writes the last one of each table anew, in which wide rows count: of
 * DuckDB's usual 122,880 rows, at 1 kB each, that would take more memory than there is, and 12 seconds.
 */
export const ROW_GROUP_ROWS = 8_192;

const ownedHere = new Set<string>();

export interface Database {
  readonly path: string;
  readonly connection: DuckDBConnection;
  /** Memory that DuckDB has, because opening the file took that much, MiB. */
  readonly memory_mib: number;
  /** Folder into which DuckDB spills; it exists only while it is needed. */
  readonly temporary_path: string;
  /** One more connection, for work that may take long beside the writer's. Its user closes it. */
  connect(): Promise<OtherConnection>;
  /** One more connection for the owner of the database, who closes it before the database. */
  connectOwn(): Promise<DuckDBConnection>;
  /** Open connections from `connect`. While there are any, the data file must not be closed: DuckDB would keep it open. */
  readonly others: number;
  /** Makes the statements that they are running fail. */
  interruptOthers(): void;
  /** Whether the open file is still the one at `path`. If not, opening it again would open another file. */
  isInPlace(): Promise<boolean>;
  /**
   * Closes the data file and opens it again, which frees the memory that DuckDB keeps for as long as a file is open. All
   * commits must be in the file and nobody may be using it. When this throws, the database is unusable.
   */
  renew(): Promise<void>;
  close(): void;
}

export interface OtherConnection {
  readonly connection: DuckDBConnection;
  /** May be called again. */
  close(): void;
}

/**
 * `details.reason` of a failure to open a data file. Only `broken` and `shape` (other tables than the contract's) say
 * something about the file itself.
 */
export type OpenFailureReason = OpenReason | 'shape';

export interface OpenOptions {
  /** Opens it whatever tables it has. Default false: it must have those of the contract; missing ones are created. */
  readonly any_shape?: boolean;
  /** Changes nothing, not even its log. Default false. */
  readonly read_only?: boolean;
}

/**
 * Opens the data file, creating what is missing.
 * @returns failure `service_unavailable` when another process owns it, `internal_error` when it cannot be used, with an
 *          `OpenFailureReason` in its details
 */
export async function openDatabase(
  data_dir: string,
  limits: TelemetryLimits,
  options: OpenOptions = {},
): Promise<Outcome<Database>> {
  let path: string;
  try {
    await mkdir(data_dir, { recursive: true, mode: 0o700 });
    path = join(await realpath(data_dir), DATA_FILE);
  } catch (error) {
    return openFailure(
      'internal_error',
      'other',
      `telemetry: cannot use data directory ${data_dir}: ${messageOf(error)}`,
    );
  }
  if (ownedHere.has(path)) {
    return openFailure(
      'service_unavailable',
      'in_use',
      `${path} is already open in this process; close it there first`,
    );
  }
  let opened: Outcome<Database> = openFailure('internal_error', 'other', `telemetry: cannot open ${path}`);
  try {
    // Moving a log of wide rows into the file may take more memory than usual.
    for (const memory_mib of memorySteps(limits)) {
      ownedHere.add(path);
      opened = await openFile(path, { ...limits, owner_memory_mib: memory_mib }, options).catch((error: unknown) => {
        const { openReason, message } = readEngineError(error);
        return openFailure('internal_error', openReason, `telemetry: cannot open ${path}: ${message}`);
      });
      if (opened.ok || reasonOf(opened.failure) !== ('out_of_memory' satisfies OpenFailureReason)) return opened;
    }
    return opened;
  } finally {
    if (!opened.ok) ownedHere.delete(path);
  }
}

async function openFile(path: string, limits: TelemetryLimits, options: OpenOptions): Promise<Outcome<Database>> {
  const temporary_path = join(dirname(path), `${TEMPORARY_NAME}-${randomUUID()}`);
  const instance = await DuckDBInstance.create(':memory:', {
    // Only one writer appends; more threads would only hold memory.
    threads: '1',
    memory_limit: `${limits.owner_memory_mib}MiB`,
    checkpoint_threshold: `${limits.owner_wal_mib}MiB`,
    temp_directory: temporary_path,
    // Returns freed memory to the system: that saves a seventh of the process's memory under load and costs a few percent of
    // its rows per second.
    allocator_flush_threshold: '8MiB',
    allocator_bulk_deallocation_flush_threshold: '16MiB',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connect = async (): Promise<DuckDBConnection> => {
    const connection = await instance.connect();
    await connection.run(`USE ${CATALOG}`);
    return connection;
  };
  const properties = [`BLOCK_SIZE ${BLOCK_BYTES}`, `ROW_GROUP_SIZE ${ROW_GROUP_ROWS}`];
  if (options.read_only === true) properties.push('READ_ONLY');
  const connection = await instance.connect();
  const attach = async (): Promise<void> => {
    // ATTACH is the only way to set the size of row groups.
    await connection.run(`ATTACH ${quoteText(path)} AS ${CATALOG} (${properties.join(', ')})`);
    await connection.run(`USE ${CATALOG}`);
  };
  try {
    await attach();
  } catch (error) {
    connection.closeSync();
    instance.closeSync();
    const engineError = readEngineError(error);
    return openFailure('service_unavailable', engineError.openReason, openMessage(path, engineError));
  }
  let isClosed = false;
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    connection.closeSync();
    instance.closeSync();
    ownedHere.delete(path);
  };
  try {
    if (options.read_only !== true) {
      await chmod(path, 0o600);
      const ddl = options.any_shape === true ? INTERNAL_DDL : [...TABLES_DDL, ...INTERNAL_DDL];
      for (const statement of ddl) await connection.run(statement);
    }
    const shape = (await connection.runAndReadAll(SHAPE_SQL)).getRows().map((row) => String(row[0]));
    const difference = firstDifference(shape, contractShape());
    if (difference !== null && options.any_shape !== true) {
      close();
      const message = `${path} was written by another version of meshscope (${difference})`;
      return openFailure('internal_error', 'shape', `${message}; move it away to start a new one`);
    }
    const others = new Set<DuckDBConnection>();
    const inode = await inodeOf(path);
    return success({
      path,
      connection,
      memory_mib: limits.owner_memory_mib,
      temporary_path,
      connect: async () => {
        const other = await connect();
        others.add(other);
        const closeOther = (): void => {
          if (others.delete(other)) other.closeSync();
        };
        return { connection: other, close: closeOther };
      },
      connectOwn: connect,
      get others() {
        return others.size;
      },
      interruptOthers: () => {
        for (const other of others) other.interrupt();
      },
      isInPlace: async () => (await inodeOf(path)) === inode,
      renew: async () => {
        await connection.run('USE memory');
        await connection.run(`DETACH ${CATALOG}`);
        await attach();
      },
      close,
    });
  } catch (error) {
    close();
    throw error;
  }
}

/** Null when there is none. */
async function inodeOf(path: string): Promise<number | null> {
  return await stat(path).then(
    ({ ino }) => ino,
    () => null,
  );
}

function openFailure(
  code: 'internal_error' | 'service_unavailable',
  reason: OpenFailureReason,
  message: string,
): Outcome<never> {
  return failure(code, message, { reason });
}

/** What to do about an error of opening, in words. */
function openMessage(path: string, { message, openReason, holder }: EngineError): string {
  switch (openReason) {
    case 'in_use': {
      const by = holder === null ? 'another process' : `process ${holder.pid} (${holder.program})`;
      return `${path} is in use by ${by}; stop that process or use another data directory`;
    }
    case 'not_permitted':
      return `cannot open ${path}: ${message}; it and its folder must be writable for the user that runs this`;
    case 'out_of_memory':
    case 'broken':
    case 'other':
      return `cannot open ${path}: ${message}; move the file away to start a new one`;
  }
}

function firstDifference(actual: readonly string[], expected: readonly string[]): string | null {
  const missing = expected.find((line, index) => actual[index] !== line);
  if (missing !== undefined) return `expected ${missing}`;
  return actual.length > expected.length ? `unexpected ${actual[expected.length]}` : null;
}

/** An error's message without the folder of the data file, which clients need not know. */
export function messageWithoutFolder(error: unknown, path: string): string {
  return messageOf(error).replaceAll(`${dirname(path)}/`, '');
}

/** Bytes of the data file and its log. */
export async function databaseBytes(path: string): Promise<number> {
  const size = async (file: string): Promise<number> => (await stat(file).catch(() => ({ size: 0 }))).size;
  return (await size(path)) + (await size(`${path}.wal`));
}
