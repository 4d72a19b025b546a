/** Waiting until objects on workerd have been dropped from memory, which shows only when something wakes them. */

import { sleep } from '../../src/base/index.ts';

/** How long workerd keeps an object after its last event, milliseconds, and a little. */
const QUIET_MS = 11_000;
const TRIES_MAX = 4;

/**
 * Leaves the objects alone for a while, wakes them, and looks in the log whether they had slept; else does so again.
 *
 * @param output what the runtime has said so far
 * @param wake an event of every object that is to have slept; where there is none, an alarm has to wake them
 * @throws when they never sleep
 */
export async function untilAsleep(output: { readonly text: string }, wake: () => Promise<unknown>): Promise<void> {
  const before = wakings(output);
  for (let attempt = 1; attempt <= TRIES_MAX; attempt += 1) {
    await sleep(QUIET_MS);
    await wake();
    if (await hasWoken(output, before)) return;
  }
  throw new Error(`no object slept in ${TRIES_MAX} times ${QUIET_MS} ms: ${output.text.slice(-2_000)}`);
}

function wakings({ text }: { readonly text: string }): number {
  return text.split(/shard woke with \d+ links/).length - 1;
}

/** The log comes through a pipe, a little later than the answer. */
async function hasWoken(output: { readonly text: string }, before: number): Promise<boolean> {
  for (let look = 0; look < 100; look += 1) {
    if (wakings(output) > before) return true;
    await sleep(10);
  }
  return false;
}
