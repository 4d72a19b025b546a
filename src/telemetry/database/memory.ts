/**
 * Memory of DuckDB in the owner process: little, as long as that is enough.
 *
 * A checkpoint needs memory for thousands of the widest rows of a table at a time, which nobody can know in advance. One that
 * runs out of memory fails, and DuckDB gives the data file up until it is opened again. So work that ran out of memory is tried
 * again with four times as much, up to a bound; when nothing has run out for some time, DuckDB has little again.
 */
import type { TelemetryLimits } from '../limits.ts';

const STEP = 4;

/** The sizes to try one after the other, MiB, beginning with the least. */
export function memorySteps({ owner_memory_mib, owner_memory_max_mib }: TelemetryLimits): number[] {
  const steps = [owner_memory_mib];
  for (let mib = owner_memory_mib; mib < owner_memory_max_mib; ) {
    mib = Math.min(mib * STEP, owner_memory_max_mib);
    steps.push(mib);
  }
  return steps;
}

export class Memory {
  readonly #limits: TelemetryLimits;
  readonly #steps: readonly number[];
  #step = 0;
  #raisedAt_ms = 0;
  /** Added for work that is known to need more, MiB. */
  extra_mib = 0;

  constructor(limits: TelemetryLimits) {
    this.#limits = limits;
    this.#steps = memorySteps(limits);
  }

  /** MiB that DuckDB should have now. */
  get mib(): number {
    if (performance.now() - this.#raisedAt_ms >= this.#limits.owner_memory_calm_ms) this.#step = 0;
    return (this.#steps[this.#step] ?? this.#limits.owner_memory_mib) + this.extra_mib;
  }

  /** To be called when work ran out of memory. */
  failed(): void {
    this.#step = Math.min(this.#step + 1, this.#steps.length - 1);
    this.#raisedAt_ms = performance.now();
  }

  /** To be called with what it took to open the data file, MiB. */
  opened(mib: number): void {
    const step = this.#steps.indexOf(mib);
    if (step <= this.#step) return;
    this.#step = step;
    this.#raisedAt_ms = performance.now();
  }
}
