/**
 * The token file, as the commands change it: read, changed and replaced as a whole, under a lock, so that of two changes at
 * once none is lost and no reader ever sees half a file. The lock is `FILE.lock`, made with O_EXCL and holding the pid.
 */
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readTokenDocument, type TokenDocument } from '../contract/index.ts';
import { type Invocation, text } from './command.ts';
import { dataDir } from './data-dir.ts';
import { CommandError } from './exit.ts';
import { LIMITS } from './limits.ts';

const EMPTY: TokenDocument = { version: 1, tokens: [] };

export function tokensFile(dir: string): string {
  return path.join(dir, 'tokens.json');
}

export interface TokensPlace {
  readonly file: string;
  /** Nobody named it: it may be missing. */
  readonly isDefault: boolean;
}

/** The file of tokens in force: that of the option, of MESHSCOPE_TOKENS_FILE, or `tokens.json` in the data folder. */
export function tokensPlace(invocation: Invocation, option: string): TokensPlace {
  const named = text(invocation, option) ?? process.env.MESHSCOPE_TOKENS_FILE ?? '';
  if (named !== '') return { file: path.resolve(named), isDefault: false };
  return { file: tokensFile(dataDir(text(invocation, 'data'))), isDefault: true };
}

/** The document; an empty one when there is no file. */
export function readTokens(file: string): TokenDocument {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY;
    throw new CommandError(`cannot read ${file}: ${(error as Error).message}`);
  }
  const read = readTokenDocument(content);
  if (!read.ok) throw new CommandError(`${file}: ${read.failure.message}`);
  return read.value;
}

/** Replaces the document by what `change` makes of it. What that throws leaves the file as it was. */
export async function changeTokens(file: string, change: (document: TokenDocument) => TokenDocument): Promise<void> {
  const unlock = await lock(file);
  try {
    const content = `${JSON.stringify(change(readTokens(file)), null, 2)}\n`;
    const checked = readTokenDocument(content);
    if (!checked.ok) throw new CommandError(checked.failure.message);
    replace(file, content);
  } finally {
    unlock();
  }
}

async function lock(file: string): Promise<() => void> {
  const name = `${file}.lock`;
  const deadline_ms = performance.now() + LIMITS.token_lock_wait_ms;
  for (;;) {
    try {
      closeSync(openSync(name, 'wx', 0o600));
      return holdLock(name);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST') throw new CommandError(`cannot write ${file}: ${message}`);
    }
    if (performance.now() >= deadline_ms) {
      throw new CommandError(
        `${name} is held by ${holder(name)} for more than ${LIMITS.token_lock_wait_ms / 1_000} s; if that process is gone, delete it`,
      );
    }
    await sleep(LIMITS.token_lock_retry_ms);
  }
}

function holdLock(name: string): () => void {
  const unlock = () => rmSync(name, { force: true });
  try {
    writeFileSync(name, `${process.pid}\n`);
    return unlock;
  } catch (error) {
    // A disk that is full must not leave a lock behind.
    unlock();
    throw error;
  }
}

function holder(name: string): string {
  try {
    return `process ${readFileSync(name, 'utf8').trim()}`;
  } catch {
    return 'another process';
  }
}

/** Written beside it and renamed over it: a reader, or a crash, finds the old file or the new one. */
function replace(file: string, content: string): void {
  const fresh = `${file}.${process.pid}.new`;
  try {
    // Under the lock nobody else writes one: it is what a killed process of this number left.
    rmSync(fresh, { force: true });
    const descriptor = openSync(fresh, 'wx', 0o600);
    try {
      // To the last byte or an error: `writeSync` on a disk that fills up writes a part and says so by a number.
      writeFileSync(descriptor, content);
      keepAccess(descriptor, file);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw new CommandError(`cannot write ${file}: ${(error as Error).message}`);
  }
}

/**
 * Leaves the new file to whom the old one was, so that a gateway of another user goes on reading it; a first one that root
 * makes, to whom the folder is.
 */
function keepAccess(descriptor: number, file: string): void {
  const old = statSync(file, { throwIfNoEntry: false });
  const own = fstatSync(descriptor);
  const { uid, gid } = old ?? (own.uid === 0 ? statSync(path.dirname(file)) : own);
  if (uid !== own.uid || gid !== own.gid) fchownSync(descriptor, uid, gid);
  if (old !== undefined) fchmodSync(descriptor, old.mode & 0o777);
}
