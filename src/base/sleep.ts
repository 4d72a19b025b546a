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
