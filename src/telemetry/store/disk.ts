/**
 * Free space on the disk. Ingestion pauses before the disk is full, since checkpoints, sweeps and copies for queries need some
 * space to keep the store usable. It is measured on demand, at most once per `disk_look_interval_ms`.
 */
import { statfs } from 'node:fs/promises';
import type { TelemetryLimits } from '../limits.ts';

export class DiskGuard {
  readonly #folder: string;
  readonly #limits: TelemetryLimits;
  #lookedAt_ms = Number.NEGATIVE_INFINITY;
  #freeBytes: number | null = null;

  constructor(folder: string, limits: TelemetryLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  /** Free bytes, as they were when last looked at; null when the system does not say. */
  get freeBytes(): number | null {
    return this.#freeBytes;
  }

  /** Why nothing may be stored now; null when it may. */
  async problem(): Promise<string | null> {
    const { disk_look_interval_ms, disk_free_min_bytes } = this.#limits;
    if (performance.now() - this.#lookedAt_ms >= disk_look_interval_ms) {
      this.#lookedAt_ms = performance.now();
      this.#freeBytes = await freeBytes(this.#folder);
    }
    if (this.#freeBytes === null || this.#freeBytes >= disk_free_min_bytes) return null;
    const free = inMib(this.#freeBytes);
    return `the disk of the data folder has ${free} MiB free, less than the ${inMib(disk_free_min_bytes)} MiB that ingestion needs; it goes on when there is room`;
  }
}

async function freeBytes(folder: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

function inMib(bytes: number): number {
  return Math.floor(bytes / 2 ** 20);
}
