/**
 * Trying again: waits that grow, with part of each left to chance, so that many who failed together do not come back
 * together.
 */
import { sleep } from './sleep.ts';

export interface BackoffOptions {
  /** The first wait, milliseconds. */
  readonly first_ms: number;
  /** The longest wait, milliseconds. Default: `first_ms`, so that all waits are alike. */
  readonly max_ms?: number;
  /** How much longer each wait is than the one before. Default 2. */
  readonly factor?: number;
  /** The share of each wait that is left to chance, from 0 (none) to 1 (all of it). Default 0.5. */
  readonly jitter?: number;
  /** A number in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

/** The waits of one series of failures. */
export class Backoff {
  readonly #options: Required<BackoffOptions>;
  #ceiling_ms: number;

  /** @throws RangeError naming the option and its value, when it is out of bounds */
  constructor({ first_ms, max_ms = first_ms, factor = 2, jitter = 0.5, random = Math.random }: BackoffOptions) {
    check('first_ms', first_ms, first_ms >= 0, 'at least 0');
    check('max_ms', max_ms, max_ms >= first_ms, `at least first_ms, ${first_ms}`);
    check('factor', factor, factor >= 1, 'at least 1');
    check('jitter', jitter, jitter >= 0 && jitter <= 1, 'from 0 to 1');
    this.#options = { first_ms, max_ms, factor, jitter, random };
    this.#ceiling_ms = first_ms;
  }

  /** @returns the next wait, milliseconds */
  next(): number {
    const { max_ms, factor } = this.#options;
    const ceiling_ms = this.#ceiling_ms;
    this.#ceiling_ms = Math.min(max_ms, ceiling_ms * factor);
    return this.#below(ceiling_ms);
  }

  /** @returns a wait of the longest kind, milliseconds; leaves the series as it is */
  longest(): number {
    return this.#below(this.#options.max_ms);
  }

  /** The next wait is a first one again. */
  reset(): void {
    this.#ceiling_ms = this.#options.first_ms;
  }

  #below(ceiling_ms: number): number {
    const { jitter, random } = this.#options;
    return ceiling_ms * (1 - jitter * random());
  }
}

export interface RetryOptions extends BackoffOptions {
  /** How often it is tried at most, the first time included. Infinity: until it works, or the signal is aborted. */
  readonly tries_max: number;
  /** Ends the waiting: what was tried last is the result. */
  readonly signal?: AbortSignal;
}

/**
 * Tries until the result is good enough, waiting between the tries.
 *
 * @param attempt is called with the number of the try, from 1; whatever it throws ends the series and is thrown
 * @param isEnough whether a result ends the series
 * @returns the last result, good enough or not. It is tried at least once, even with a signal that is aborted
 * @throws RangeError naming the option and its value, when it is out of bounds
 */
export async function retry<T>(
  attempt: (tries: number) => Promise<T>,
  isEnough: (result: T) => boolean,
  { tries_max, signal, ...waits }: RetryOptions,
): Promise<T> {
  check('tries_max', tries_max, tries_max >= 1, 'at least 1');
  const backoff = new Backoff(waits);
  for (let tries = 1; ; tries++) {
    const result = await attempt(tries);
    if (isEnough(result) || tries >= tries_max || signal?.aborted) return result;
    await sleep(backoff.next(), signal);
    if (signal?.aborted) return result;
  }
}

function check(name: string, value: number, isValid: boolean, allowed: string): void {
  if (!isValid) throw new RangeError(`${name} must be ${allowed}, got ${value}`);
}
