/** Waiting for a condition: the only way in which tests wait for something that happens in its own time. */

import { sleep } from '../../src/base/index.ts';

/**
 * How long a condition may take to become true, milliseconds. It is far above what any of them takes, since a busy machine
 * may stop a process for seconds; a test that has to show that something happens soon measures that itself.
 */
const TIMEOUT_MS = 30_000;
const LOOK_AGAIN_MS = 5;

type Looked<T> = T | undefined | null | false;

/**
 * Looks again every few milliseconds until `condition` gives something other than `undefined`, `null` or `false`.
 *
 * @param what completes the sentence "timed out waiting for ...", so it is a noun: "the link to close", "two calls"
 * @param timeout_ms default 30 s
 * @returns what the condition gave
 * @throws when the time is over, with the last value; and at once what the condition throws
 */
export async function until<T>(
  condition: () => Looked<T> | Promise<Looked<T>>,
  what: string,
  timeout_ms = TIMEOUT_MS,
): Promise<T> {
  const deadline_ms = performance.now() + timeout_ms;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > deadline_ms) throw new Error(`timed out after ${timeout_ms} ms waiting for ${what}`);
    await sleep(LOOK_AGAIN_MS);
  }
}
