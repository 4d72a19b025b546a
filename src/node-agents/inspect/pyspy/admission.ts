/**
 * A queue for jobs that must take turns. At most `running_max` jobs run at once; up to `waiting_max` wait, first come first served; the next
 * is refused. Jobs of the same key never run together, and one that waits for its key does not stand in the way of
 * others. Waiting ends at the caller's deadline or abort, and leaves the queue at once.
 *
 * `p-limit` has no keys, no bound on its queue, and no way to take a single job out of it, so all of this code would still
 * be needed around it.
 */

export type Admission =
  /** Call `release` when the job is over, exactly once. */
  | { readonly kind: 'admitted'; readonly release: () => void }
  | { readonly kind: 'full'; readonly running: number; readonly waiting: number }
  | { readonly kind: 'timed_out' }
  | { readonly kind: 'aborted' };

interface Waiting {
  readonly key: unknown;
  readonly admit: () => void;
}

export class TurnQueue {
  readonly #running_max: number;
  readonly #waiting_max: number;
  readonly #busy = new Set<unknown>();
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(running_max: number, waiting_max: number) {
    this.#running_max = running_max;
    this.#waiting_max = waiting_max;
  }

  /** Waits for a turn until `deadline_ms` by the clock of `performance.now()`. Never rejects. */
  enter(key: unknown, deadline_ms: number, signal?: AbortSignal): Promise<Admission> {
    if (signal?.aborted) return Promise.resolve({ kind: 'aborted' });
    if (this.#canRun(key)) return Promise.resolve(this.#start(key));
    if (this.#waiting.length >= this.#waiting_max) {
      return Promise.resolve({ kind: 'full', running: this.#running, waiting: this.#waiting.length });
    }
    return new Promise((resolve) => {
      const leave = (admission: Admission) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        const index = this.#waiting.indexOf(waiting);
        if (index >= 0) this.#waiting.splice(index, 1);
        resolve(admission);
      };
      const onAbort = () => leave({ kind: 'aborted' });
      const waiting = { key, admit: () => leave(this.#start(key)) };
      const timer = setTimeout(() => leave({ kind: 'timed_out' }), Math.max(0, deadline_ms - performance.now()));
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
    });
  }

  #canRun(key: unknown): boolean {
    return this.#running < this.#running_max && !this.#busy.has(key);
  }

  #start(key: unknown): Admission {
    this.#running += 1;
    this.#busy.add(key);
    const release = () => {
      this.#running -= 1;
      this.#busy.delete(key);
      this.#admitNext();
    };
    return { kind: 'admitted', release };
  }

  #admitNext(): void {
    for (const waiting of [...this.#waiting]) if (this.#canRun(waiting.key)) waiting.admit();
  }
}
