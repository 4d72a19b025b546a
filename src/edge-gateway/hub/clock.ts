/**
 * The clock of a hub, which also says when the hub next has to check its links.
 *
 * With an internal timer the hub checks five times per heartbeat, on a monotonic clock. With an external timer the runtime
 * calls `tick` at `dueAt_ms`, which is cheap to ask after every event; the clock is then the wall clock, so that times can be
 * kept and mean the same to the next object.
 *
 * A check that comes late closes nothing: frames that came during the stall have not been read yet. The check after it always
 * counts, or a loop that is always late would never close anything.
 */
import type { GatewayLimits } from '../limits.ts';

/** Whether the hub or its runtime calls `tick`. */
export type HubTimer = 'internal' | 'external';

export class HubClock {
  readonly timer: HubTimer;
  readonly #heartbeat_ms: number;
  readonly #pause_min_ms: number;
  readonly #earliest: (looked_at_ms: number, pause_ms: number) => number;
  #interval: ReturnType<typeof setInterval> | undefined;
  #looked_at_ms: number;
  #isPutOff = false;
  /** The last result of `dueAt_ms`, which may be too early but never too late; undefined when it has to be found again. */
  #due_ms: number | undefined;

  /**
   * @param earliest returns when something is next due, milliseconds of this clock, infinite when never. It is called with
   *   the time of the last check and the pause between two checks, milliseconds
   */
  constructor(
    timer: HubTimer,
    heartbeat_ms: number,
    { look_pause_min_ms }: GatewayLimits,
    earliest: (looked_at_ms: number, pause_ms: number) => number,
  ) {
    this.timer = timer;
    this.#heartbeat_ms = heartbeat_ms;
    this.#pause_min_ms = look_pause_min_ms;
    this.#earliest = earliest;
    this.#looked_at_ms = this.now();
  }

  now(): number {
    return this.timer === 'internal' ? performance.now() : Date.now();
  }

  /** Starts the internal timer, if there is one. */
  start(tick: () => void): void {
    if (this.timer === 'internal') this.#interval = setInterval(tick, Math.max(this.#pause_min_ms, this.#pause_ms));
  }

  stop(): void {
    clearInterval(this.#interval);
  }

  /** The hub checks now. @returns whether it may close links that seem silent */
  look(now_ms: number): boolean {
    const late_ms = now_ms - (this.timer === 'internal' ? this.#looked_at_ms : this.#find());
    this.#looked_at_ms = now_ms;
    this.#isPutOff = late_ms > this.#heartbeat_ms / 2 && !this.#isPutOff;
    this.#due_ms = undefined;
    return !this.#isPutOff;
  }

  /** One more thing is due; there is no need to go through all the others, of which there are thousands. */
  dueBy(at_ms: number): void {
    if (this.#due_ms !== undefined) this.#due_ms = Math.min(this.#due_ms, at_ms);
  }

  /** The next due time has to be found again. */
  dueChanged(): void {
    this.#due_ms = undefined;
  }

  /** Wall clock of the earliest thing that a check may have to do, milliseconds; null when there is none. */
  dueAt_ms(): number | null {
    this.#due_ms ??= this.#find();
    return Number.isFinite(this.#due_ms) ? Math.ceil(this.#due_ms) : null;
  }

  get #pause_ms(): number {
    return this.#heartbeat_ms / 5;
  }

  #find(): number {
    if (this.#isPutOff) return this.#looked_at_ms + this.#pause_ms;
    return this.#earliest(this.#looked_at_ms, this.#pause_ms);
  }
}
