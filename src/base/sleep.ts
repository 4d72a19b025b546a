/**
 * Waits.
 *
 * @param wait_ms milliseconds; 0 and less give way to other work once
 * @param signal ends the wait early
 * @returns when the wait is over, or as soon as the signal is aborted; never rejects
 */
export function sleep(wait_ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, wait_ms);
    signal?.addEventListener('abort', done);
  });
}

/**
 * Waits for work, but not for ever.
 *
 * @param work goes on, whatever comes of the waiting
 * @param wait_ms milliseconds
 * @returns true as soon as the work is done, false when the wait is over before
 * @throws what the work throws, when it fails in that time
 */
export async function settlesWithin(work: Promise<unknown>, wait_ms: number): Promise<boolean> {
  const done = new AbortController();
  const over = sleep(wait_ms, done.signal).then(() => false);
  return Promise.race([work.then(() => true), over]).finally(() => done.abort());
}
