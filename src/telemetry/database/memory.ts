/**
 * Memory of DuckDB in the owner process: little, as long as that is enough.
 *
 * What a checkpoint takes grows with the widest rows of a table, up to thousands of which DuckDB holds at a time, and nobody
 * knows before. One that does not get it fails, and with it the data file until it is opened again. So what failed for want
 * of memory is tried again with four times as much, up to a bound, and after some time without that it is little again.
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
  /** For work that is known to take more, MiB on top. */
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

  /** To be called when something failed because there was too little. */
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
