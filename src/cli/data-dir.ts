/** The data folder: the store, and the token by which gateway, agents and clients of one user know each other. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CommandError, EXIT, usageError } from './exit.ts';

export const DATA_DIR_DEFAULT = '.meshscope';
const TOKEN_BYTES = 32;
/** What a gateway takes for a token. */
const TOKEN_MIN_CHARS = 16;
const TOKEN_MAX_CHARS = 1_024;
/** What an HTTP header can carry. */
const TOKEN_FORM = /^[\x21-\x7e]+$/;
/** By these a folder is known as a data folder. */
const OWN_FILES = ['token', 'tokens.json', 'telemetry.duckdb'];

/** The data folder in force: the flag, MESHSCOPE_DATA, or `.meshscope` here. */
export function dataDir(flagged: string | undefined): string {
  return path.resolve(flagged ?? process.env.MESHSCOPE_DATA ?? DATA_DIR_DEFAULT);
}

/**
 * Makes the folder when it is missing, for its owner alone. One that is there is closed to others only when it is empty
 * or has been a data folder before: `--data /tmp` must not shut everybody out of it.
 */
export function ensureDataDir(dir: string): void {
  try {
    const isMade = mkdirSync(dir, { recursive: true, mode: 0o700 }) !== undefined;
    if (isMade || (statSync(dir).mode & 0o077) === 0) return;
    const names = readdirSync(dir);
    if (names.length > 0 && !names.some((name) => OWN_FILES.includes(name))) {
      throw new Error('others may read it, and it holds other things than a data folder does');
    }
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

/** The token that the environment gives; null when it gives none. */
function givenToken(): string | null {
  const given = process.env.MESHSCOPE_TOKEN?.trim() ?? '';
  return given === '' ? null : checked(given, 'MESHSCOPE_TOKEN');
}

/** Where a person finds the token in force. */
export function tokenSource(dir: string): string {
  return givenToken() === null ? tokenFile(dir) : 'MESHSCOPE_TOKEN';
}

/** The token in force: MESHSCOPE_TOKEN, or that of the data folder; null when there is none. */
export function readToken(dir: string): string | null {
  const given = givenToken();
  if (given !== null) return given;
  let token: string;
  try {
    token = readFileSync(tokenFile(dir), 'utf8').trim();
  } catch {
    return null;
  }
  return token === '' ? null : checked(token, tokenFile(dir));
}

function checked(token: string, source: string): string {
  if (TOKEN_FORM.test(token)) return token;
  throw usageError(`the token in ${source} holds a space or a character that is not ASCII, which no request can carry`);
}

/** The token in force, made and kept in the data folder when there is none. */
export function ensureToken(dir: string): string {
  const existing = readToken(dir);
  if (existing !== null) {
    if (existing.length >= TOKEN_MIN_CHARS && existing.length <= TOKEN_MAX_CHARS) return existing;
    throw usageError(
      `the token in ${tokenSource(dir)} has ${existing.length} characters: must be ${TOKEN_MIN_CHARS} to ${TOKEN_MAX_CHARS}`,
    );
  }
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
