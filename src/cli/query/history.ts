/**
 * Lines typed at the prompt, kept for the next time: one file, for its owner alone, the newest line last. What goes wrong with
 * it is no reason not to answer queries, so it is told once and left at that.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { LIMITS } from '../limits.ts';

/** `meshscope/query_history` in the XDG folder for state. */
export function historyFile(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const given = env.XDG_STATE_HOME;
  // The specification says that a relative path is to be ignored.
  const base = given !== undefined && path.isAbsolute(given) ? given : path.join(homedir(), '.local', 'state');
  return path.join(base, 'meshscope', 'query_history');
}

/** The lines, newest first, as readline wants them; none where there is no file, or none that can be read. */
export function readHistory(file: string): string[] {
  try {
    const lines = readFileSync(file, 'utf8')
      .slice(-LIMITS.history_max_chars)
      .split('\n')
      .filter((line) => line !== '');
    return bounded(lines.reverse());
  } catch {
    return [];
  }
}

/** Puts lines, newest first, before those of the file, which other prompts write too. @returns why not, or null */
export function addHistory(file: string, lines: readonly string[]): string | null {
  return writeHistory(file, [...new Set([...lines.map(flat), ...readHistory(file)])]);
}

/** Writes the lines, newest first, whole or not at all. @returns why not, or null */
export function writeHistory(file: string, lines: readonly string[]): string | null {
  const written = `${file}.${process.pid}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    const text = bounded(lines)
      .reverse()
      .map((line) => `${line}\n`)
      .join('');
    writeFileSync(written, text, { mode: 0o600 });
    chmodSync(written, 0o600);
    renameSync(written, file);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function bounded(lines: readonly string[]): string[] {
  const kept: string[] = [];
  let chars = 0;
  for (const line of lines.slice(0, LIMITS.history_lines_max)) {
    chars += line.length + 1;
    if (chars > LIMITS.history_max_chars) break;
    kept.push(flat(line));
  }
  return kept;
}

function flat(line: string): string {
  return line.replaceAll('\n', ' ');
}
