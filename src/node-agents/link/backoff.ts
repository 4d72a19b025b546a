/** Waits between dials: exponential, with half of each wait left to chance so that a fleet does not dial in step. */
import { LIMITS } from '../limits.ts';

export interface Backoff {
  /** The next wait, milliseconds. */
  next(): number;
  /** The longest wait, milliseconds; the next is as it would have been. */
  longest(): number;
  /** Starts again at the first wait. */
  reset(): void;
}

/**
 * @param random a number in [0, 1), default `Math.random`
 */
export function createBackoff(random: () => number = Math.random): Backoff {
  let failures = 0;
  const below = (ceiling_ms: number): number => ceiling_ms / 2 + (random() * ceiling_ms) / 2;
  return {
    next() {
      const ceiling_ms = Math.min(LIMITS.backoff_max_ms, LIMITS.backoff_first_ms * 2 ** failures);
      failures = Math.min(failures + 1, 30);
      return below(ceiling_ms);
    },
    longest: () => below(LIMITS.backoff_max_ms),
    reset() {
      failures = 0;
    },
  };
}
