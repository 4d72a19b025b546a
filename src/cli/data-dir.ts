/** The data folder: the store, and the token by which gateway, agents and clients of one user know each other. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CommandError, EXIT } from './exit.ts';

export const DATA_DIR_DEFAULT = '.meshscope';
const TOKEN_BYTES = 32;

/** The data folder in force: the flag, MESHSCOPE_DATA, or `.meshscope` here. */
export function dataDir(flagged: string | undefined): string {
  return path.resolve(flagged ?? process.env.MESHSCOPE_DATA ?? DATA_DIR_DEFAULT);
}

/** Makes the folder when it is missing, for its owner alone. */
export function ensureDataDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
  } catch (error) {
    throw new CommandError(
      `cannot use the data folder ${dir}: ${(error as Error).message}; choose another with --data DIR`,
    );
  }
}

export function tokenFile(dir: string): string {
  return path.join(dir, 'token');
}

/** The token in force: MESHSCOPE_TOKEN, or that of the data folder; null when there is none. */
export function readToken(dir: string): string | null {
  const given = process.env.MESHSCOPE_TOKEN?.trim();
  if (given !== undefined && given !== '') return given;
  try {
    const token = readFileSync(tokenFile(dir), 'utf8').trim();
    return token === '' ? null : token;
  } catch {
    return null;
  }
}

/** The token in force, made and kept in the data folder when there is none. */
export function ensureToken(dir: string): string {
  const existing = readToken(dir);
  if (existing !== null) return existing;
  ensureDataDir(dir);
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  try {
    // `wx`: of two that start at once, one makes the token and the other reads it.
    writeFileSync(tokenFile(dir), `${token}\n`, { mode: 0o600, flag: 'wx' });
    return token;
  } catch {
    const made = readToken(dir);
    if (made !== null) return made;
    throw new CommandError(`cannot write ${tokenFile(dir)}; choose another folder with --data DIR`);
  }
}

/** The token, or the end of the command with what to do. */
export function requireToken(dir: string): string {
  const token = readToken(dir);
  if (token !== null) return token;
  throw new CommandError(
    `no token: set MESHSCOPE_TOKEN to that of the gateway, or --data to the gateway's data folder (looked for ${tokenFile(dir)})`,
    EXIT.unauthorized,
  );
}
