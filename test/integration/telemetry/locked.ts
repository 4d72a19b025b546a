/**
 * A process that is locked in as a query process is, and runs many statements at a time: one by one by IPC, a hundred
 * thousand of them would take most of their time on the way.
 *
 * 1. `open` copies a data file into a folder and locks the process in; the answer is `opened`.
 * 2. `run` is a list of statements, run in order, with the check or without. Before each it says `at` and its place; at the end
 *    it says `ran` and what became of each.
 */

import type { TelemetryLimits } from '../../../src/telemetry/index.ts';
import { StoreCopy } from '../../../src/telemetry/query/process/store-copy.ts';

export type ToLocked =
  | { kind: 'open'; source_path: string; folder: string; limits: TelemetryLimits }
  | { kind: 'run'; statements: string[]; checked: boolean };

export interface Ran {
  /** `refused` by the check or the engine, or `failed` by an exception. */
  readonly how: 'answered' | 'refused' | 'failed';
  /** The beginning of the answer, or the message. */
  readonly text: string;
}

export type FromLocked = { kind: 'opened' } | { kind: 'at'; place: number } | { kind: 'ran'; results: Ran[] };

const SHOWN_CHARS = 4_000;

let copy: StoreCopy | null = null;
let line: Promise<void> = Promise.resolve();

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('message', (message: ToLocked) => {
  line = line.then(() => handle(message));
});

async function handle(message: ToLocked): Promise<void> {
  if (message.kind === 'open') {
    copy = await StoreCopy.open(message.source_path, message.folder, message.limits);
    process.chdir(message.folder);
    say({ kind: 'opened' });
    return;
  }
  const results: Ran[] = [];
  for (const [place, sql] of message.statements.entries()) {
    say({ kind: 'at', place });
    results.push(await run(sql, message.checked));
  }
  say({ kind: 'ran', results });
}

async function run(sql: string, checked: boolean): Promise<Ran> {
  if (copy === null) throw new Error('run before open');
  try {
    const outcome = checked ? await copy.query(sql) : await copy.runUnchecked(sql);
    if (!outcome.ok) return { how: 'refused', text: outcome.failure.message };
    return { how: 'answered', text: Buffer.from(outcome.value).toString('utf8').slice(0, SHOWN_CHARS) };
  } catch (error) {
    return { how: 'failed', text: (error instanceof Error ? error.message : String(error)).slice(0, SHOWN_CHARS) };
  }
}

function say(message: FromLocked): void {
  process.send?.(message);
}
