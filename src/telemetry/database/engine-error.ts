/**
 * What an error of DuckDB means. Its binding hands on nothing but a text, so this file reads that text, and nobody else does.
 * The test beside it makes DuckDB fail in each of these ways and breaks when the wording changes.
 */
import { messageOf } from '../../base/index.ts';

/** Why a data file cannot be opened. */
export type OpenReason =
  /** Another process has it. */
  | 'in_use'
  /** DuckDB needed more memory than it may have. */
  | 'out_of_memory'
  /** The user that runs this may not write it. */
  | 'not_permitted'
  /** The file holds something that this version of DuckDB cannot read. */
  | 'broken'
  /** The disk or the machine failed, which says nothing about the file. */
  | 'other';

export interface EngineError {
  readonly message: string;
  /** DuckDB needed more memory than it may have; with more, the same may succeed. */
  readonly isOutOfMemory: boolean;
  /** Every statement fails from now on, until the database is opened again. */
  readonly isDatabaseLost: boolean;
  /** DuckDB itself is at fault, not the statement; the process that runs it cannot be trusted any more. */
  readonly isEngineFault: boolean;
  /** What it means when it comes from opening a data file. */
  readonly openReason: OpenReason;
  /** The process that has the file, where DuckDB names it. */
  readonly holder: { readonly pid: number; readonly program: string } | null;
}

/** The texts of these types quote the statement or its values, which may say anything. */
const QUOTES_STATEMENT = /^(Invalid Input|Conversion|Binder|Parser|Catalog|Out of Range|Not implemented) Error:/;
const OUT_OF_MEMORY = /Out of Memory|failed to (pin|allocate|offload)|could not allocate/i;
const DATABASE_LOST = /^FATAL|database ("[^"]*" )?has been invalidated/i;
const ENGINE_FAULT = /^(FATAL|INTERNAL)/;
const IN_USE = /Could not set lock|Conflicting lock/;
const HOLDER = /Conflicting lock is held in (.*?) \(PID (\d+)\)/;
const NOT_PERMITTED = /Permission denied|Operation not permitted|Read-only file system/i;
const MACHINE = /No space left|File too large|quota|Input\/output error|Too many open files|Cannot allocate/i;
const BROKEN =
  /not a valid DuckDB database file|Could not read enough bytes|Corrupt|checksum|Failure while replaying|Failed to read WAL|file with version number|newer version of DuckDB|Serialization Error|Failed to load metadata|^INTERNAL Error/i;

/** @param error what DuckDB threw; anything else is read like an error that it has no name for */
export function readEngineError(error: unknown): EngineError {
  const message = messageOf(error);
  const quotes = QUOTES_STATEMENT.test(message);
  const [, program = '', pid] = HOLDER.exec(message) ?? [];
  return {
    message,
    isOutOfMemory: !quotes && OUT_OF_MEMORY.test(message),
    isDatabaseLost: !quotes && DATABASE_LOST.test(message),
    isEngineFault: ENGINE_FAULT.test(message),
    openReason: openReasonOf(message),
    holder: pid === undefined ? null : { pid: Number(pid), program },
  };
}

/** The machine comes before the file: a log that cannot be replayed because the disk is full is not broken. */
function openReasonOf(message: string): OpenReason {
  if (IN_USE.test(message)) return 'in_use';
  if (OUT_OF_MEMORY.test(message)) return 'out_of_memory';
  if (NOT_PERMITTED.test(message)) return 'not_permitted';
  if (MACHINE.test(message)) return 'other';
  return BROKEN.test(message) ? 'broken' : 'other';
}
