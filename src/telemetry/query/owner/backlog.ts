/** Changes that were committed while a query process was busy: they wait here, in order, until it can apply them. */
import type { TelemetryLimits } from '../../limits.ts';
import type { Change } from '../../store/changes.ts';

export class Backlog {
  readonly #limits: TelemetryLimits;
  #changes: Change[] = [];
  #rows = 0;
  #bytes = 0;

  constructor(limits: TelemetryLimits) {
    this.#limits = limits;
  }

  get isEmpty(): boolean {
    return this.#changes.length === 0;
  }

  /** @returns false when more waits now than may: a fresh copy is then cheaper than applying it */
  add(change: Change): boolean {
    this.#changes.push(change);
    this.#rows += change.rows;
    this.#bytes += change.bytes;
    const { copy_backlog_max_rows, copy_backlog_max_bytes } = this.#limits;
    return this.#rows <= copy_backlog_max_rows && this.#bytes <= copy_backlog_max_bytes;
  }

  /** @returns all changes; none wait any more */
  take(): readonly Change[] {
    const changes = this.#changes;
    this.#changes = [];
    this.#rows = 0;
    this.#bytes = 0;
    return changes;
  }
}
