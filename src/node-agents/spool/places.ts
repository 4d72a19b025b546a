/**
 * Where the batches of a spool are: in its files, in memory, or in both. It enforces the bounds of both.
 *
 * 1. A batch is in memory until it is on disk, and longer while there is room beside the disk (`spool_cache_max_bytes`);
 *    otherwise it is read again when it is its turn.
 * 2. What the disk did not take stays in memory, and goes to disk when that takes batches again.
 * 3. At the bound on disk the oldest file goes, at the bound in memory the oldest batches that are nowhere else. What is
 *    under way stays: on disk it moves to another file.
 */
import type { AgentLimits } from '../limits.ts';
import { readBatch, writeBatch } from './lines.ts';
import { type SpoolFile, type SpoolLog, weightOf } from './log.ts';
import type { SpoolEntry } from './queue.ts';

export interface SpoolPlacesOptions {
  /** Null where there is no disk to be had. */
  readonly log: SpoolLog | null;
  readonly max_bytes: number;
  readonly memory_max_bytes: number;
  readonly limits: AgentLimits;
  /** Is called with the batches that are dropped at a bound. The callee forgets them. */
  readonly onDrop: (entries: readonly SpoolEntry[]) => void;
}

export class SpoolPlaces {
  readonly #options: SpoolPlacesOptions;
  readonly #byFile = new Map<SpoolFile, Set<SpoolEntry>>();
  /** Batches that are only in memory, oldest first. */
  readonly #inMemory = new Set<SpoolEntry>();
  /** Those of them that the disk did not take. */
  readonly #stranded = new Set<SpoolEntry>();
  #isRescuing = false;
  #memory_bytes = 0;
  #cached_bytes = 0;
  /** Bytes on their way to disk. */
  #unwritten_bytes = 0;

  constructor(options: SpoolPlacesOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return (this.#options.log?.weight_bytes ?? 0) + this.#memory_bytes;
  }

  /** Rows that would be lost with the process. */
  get rowsInMemory(): number {
    let rows = 0;
    for (const entry of this.#inMemory) rows += entry.rows;
    return rows;
  }

  /** A new batch. Settles when it is on disk, or in memory where the disk does not take it. */
  async put(entry: SpoolEntry, line: string): Promise<void> {
    this.#inMemory.add(entry);
    this.#memory_bytes += entry.bytes;
    await this.#toDisk(entry, line);
    if (!entry.isGone && entry.place === null) this.#boundMemory();
  }

  /** A batch that a dead agent left in a file. */
  adopt(entry: SpoolEntry, file: SpoolFile): void {
    file.held += 1;
    this.#filed(entry, file);
  }

  /** Forgets an entry, wherever it is. */
  forget(entry: SpoolEntry): void {
    const { place } = entry;
    entry.isGone = true;
    this.#stranded.delete(entry);
    if (this.#inMemory.delete(entry)) this.#memory_bytes -= entry.bytes;
    else if (entry.batch !== null) this.#cached_bytes -= entry.bytes;
    entry.batch = null;
    if (place === null) return;
    const entries = this.#byFile.get(place.file);
    // A file that is dropped as a whole is gone already.
    if (entries === undefined) return;
    entries.delete(entry);
    if (entries.size === 0) this.#byFile.delete(place.file);
    this.#options.log?.release(place.file);
  }

  /** Reads a batch into memory. False when the disk does not give it back. */
  async load(entry: SpoolEntry): Promise<boolean> {
    const text = entry.place === null ? null : await this.#options.log?.read(entry.place);
    if (entry.isGone) return true;
    const batch = typeof text === 'string' ? readBatch(text) : null;
    if (batch === null || batch.producer !== entry.queue.producer || batch.seq !== entry.seq) return false;
    entry.batch = batch;
    this.#cached_bytes += entry.bytes;
    return true;
  }

  /** Makes room on disk: the oldest file goes until `more_bytes` fit. */
  boundDisk(more_bytes = 0): void {
    const { log, max_bytes } = this.#options;
    if (log === null) return;
    for (let over = log.weight_bytes + this.#unwritten_bytes + more_bytes - max_bytes; over > 0; ) {
      const [oldest] = log.files;
      if (oldest === undefined) return;
      over -= oldest.weight_bytes;
      this.#dropFile(oldest, log);
    }
  }

  async #toDisk(entry: SpoolEntry, line: string): Promise<void> {
    const { log, max_bytes } = this.#options;
    const weight_bytes = weightOf(entry.bytes, this.#options.limits);
    if (log === null || weight_bytes > max_bytes) return;
    this.boundDisk(weight_bytes);
    await this.#append(entry, line, log);
  }

  async #append(entry: SpoolEntry, line: string, log: SpoolLog): Promise<void> {
    this.#unwritten_bytes += weightOf(entry.bytes, this.#options.limits);
    const place = await log.append(line);
    this.#unwritten_bytes -= weightOf(entry.bytes, this.#options.limits);
    if (place === null) {
      if (!entry.isGone) this.#stranded.add(entry);
      return;
    }
    // Removed between then and now: to the next one.
    if (place.file.isGone && !entry.isGone) return this.#append(entry, line, log);
    void this.#rescue();
    if (entry.isGone) return log.release(place.file);
    entry.place = place;
    this.#filed(entry, place.file);
    this.#inMemory.delete(entry);
    this.#memory_bytes -= entry.bytes;
    this.#cached_bytes += entry.bytes;
    if (this.#cached_bytes > this.#options.limits.spool_cache_max_bytes) this.#uncache(entry);
  }

  /** Brings to disk what it did not take earlier. */
  async #rescue(): Promise<void> {
    if (this.#isRescuing) return;
    this.#isRescuing = true;
    for (const entry of this.#stranded) {
      this.#stranded.delete(entry);
      if (entry.batch !== null) await this.#toDisk(entry, writeBatch(entry.batch, entry.rows));
      // It takes nothing again.
      if (this.#stranded.has(entry)) break;
    }
    this.#isRescuing = false;
  }

  #filed(entry: SpoolEntry, file: SpoolFile): void {
    const entries = this.#byFile.get(file) ?? new Set();
    entries.add(entry);
    this.#byFile.set(file, entries);
  }

  #uncache(entry: SpoolEntry): void {
    if (entry.batch === null || entry.place === null || entry.queue.under_way?.entry === entry) return;
    entry.batch = null;
    this.#cached_bytes -= entry.bytes;
  }

  #dropFile(file: SpoolFile, log: SpoolLog): void {
    const entries = this.#byFile.get(file) ?? [];
    this.#byFile.delete(file);
    log.remove(file);
    const dropped: SpoolEntry[] = [];
    for (const entry of entries) {
      const { under_way } = entry.queue;
      if (under_way?.entry === entry && under_way.batch !== null) this.#move(entry, log);
      else dropped.push(entry);
    }
    this.#options.onDrop(dropped);
  }

  /** Moves an entry to another file, because its own is removed. */
  #move(entry: SpoolEntry, log: SpoolLog): void {
    if (entry.batch === null) return;
    entry.place = null;
    this.#cached_bytes -= entry.bytes;
    this.#memory_bytes += entry.bytes;
    this.#inMemory.add(entry);
    void this.#append(entry, writeBatch(entry.batch, entry.rows), log);
  }

  /** The oldest batches that are only in memory go, save what is under way. */
  #boundMemory(): void {
    let over = this.#memory_bytes - this.#options.memory_max_bytes;
    if (over <= 0) return;
    const dropped: SpoolEntry[] = [];
    for (const entry of this.#inMemory) {
      if (over <= 0) break;
      if (entry.queue.under_way?.entry === entry) continue;
      dropped.push(entry);
      over -= entry.bytes;
    }
    this.#options.onDrop(dropped);
  }
}
