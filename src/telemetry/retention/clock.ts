/**
 * The time by which the age of rows is measured. The system's clock may be set wrong, and a sweep deletes for good, so a step
 * ahead is believed only when it has lasted.
 *
 * 1. Time continues by as much as has passed on the monotonic clock, which nobody can set.
 * 2. The system's clock is followed when it differs by little, and at once when it is behind, since less is deleted then.
 * 3. A larger step ahead is followed after `clock_doubt_ms`. A computer that slept looks the same, and its sweeps are that much
 *    later.
 */
import type { TelemetryLimits } from '../limits.ts';

export class Clock {
  readonly #limits: TelemetryLimits;
  readonly #wall_ms: () => number;
  readonly #passed_ms: () => number;
  #believed_ms: number;
  #at_ms: number;
  /** When the system's clock was first found to be ahead; null while it is not. */
  #doubtedAt_ms: number | null = null;

  /**
   * @param begin_ms the last time that is known to have been, milliseconds since the epoch; null when none is
   * @param wall_ms the system's clock
   * @param passed_ms one that nobody sets
   */
  constructor(
    limits: TelemetryLimits,
    begin_ms: number | null,
    wall_ms: () => number = Date.now,
    passed_ms: () => number = () => performance.now(),
  ) {
    this.#limits = limits;
    this.#wall_ms = wall_ms;
    this.#passed_ms = passed_ms;
    this.#believed_ms = begin_ms ?? wall_ms();
    this.#at_ms = passed_ms();
  }

  /** Milliseconds since the epoch. */
  now_ms(): number {
    const wall_ms = this.#wall_ms();
    const at_ms = this.#passed_ms();
    const { clock_step_max_ms, clock_doubt_ms } = this.#limits;
    const expected_ms = this.#believed_ms + (at_ms - this.#at_ms);
    this.#at_ms = at_ms;
    const isAhead = wall_ms > expected_ms + clock_step_max_ms;
    if (!isAhead) this.#doubtedAt_ms = null;
    else this.#doubtedAt_ms ??= at_ms;
    const isDoubted = this.#doubtedAt_ms !== null && at_ms - this.#doubtedAt_ms < clock_doubt_ms;
    if (!isDoubted) this.#doubtedAt_ms = null;
    this.#believed_ms = isDoubted ? expected_ms : wall_ms;
    return this.#believed_ms;
  }

  /** Whether the system's clock is ahead of what is believed. */
  get isDoubted(): boolean {
    return this.#doubtedAt_ms !== null;
  }
}
