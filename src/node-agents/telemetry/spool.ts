/**
 * The spool: batches of all producers of an agent are kept until the store has acknowledged them.
 *
 * 1. `keep` takes a batch and settles when it is on disk (spool-log.ts), or in memory where there is no disk to be had. A
 *    batch whose number is not above the producer's last is one that it has: it counts as kept.
 * 2. Of each producer one batch is under way at a time, lowest number first, since the store takes a number that is not
 *    above the last for a repetition; of different producers up to LIMITS.under_way_max, in turns.
 * 3. What is under way is sent again after LIMITS.ack_timeout_ms and on a new link, and is never dropped. Its
 *    acknowledgement makes room for the producer's next.
 * 4. At the bound the oldest file of batches goes, save what is under way, and what was in it is counted in `lost_rows`
 *    of the next batch that is sent of each of its producers. Batches in memory have a bound of their own, and go singly.
 * 5. Batches that a dead agent left behind are taken over at the start (spool-adoption.ts), with their producers and
 *    numbers, and are sent before others.
 */
import type { EventBatch } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import type { CountedBatch } from './batch-code.ts';
import type { Adopted } from './spool-adoption.ts';
import { readBatch, type UntoldLine, writeBatch } from './spool-lines.ts';
import { type SpoolFile, SpoolLog, weightOf } from './spool-log.ts';
import { NO_LOSS, newQueue, type ProducerQueue, type SpoolEntry, type UntoldLoss } from './spool-queue.ts';
import { SpoolSender } from './spool-sender.ts';

export interface SpoolOptions {
  /** Sends a batch; false when there is no link to send it on. */
  readonly send: (batch: EventBatch) => boolean;
  /** Folder of this run's files, which exists. Default null: batches are kept in memory. */
  readonly folder?: string | null;
  /** Bytes on disk. Default LIMITS.spool_max_bytes. */
  readonly max_bytes?: number;
  /** Bytes in memory where there is no disk. Default LIMITS.spool_memory_max_bytes. */
  readonly memory_max_bytes?: number;
  /** Told when the disk takes nothing, and of batches that it spoiled. Default: nobody. */
  readonly onTrouble?: (message: string) => void;
  /** Told of rows of producers that nobody will send a batch of any more. Default: nobody. */
  readonly onOrphanedLoss?: (rows: number) => void;
}

/** `kept` and `known` are safe; `full` is not taken: there are as many producers as may be. */
export type Kept = 'kept' | 'known' | 'full';

export class Spool {
  readonly #options: SpoolOptions;
  readonly #log: SpoolLog | null;
  readonly #max_bytes: number;
  readonly #memory_max_bytes: number;
  /** By when they were last heard of, longest ago first. */
  readonly #queues = new Map<string, ProducerQueue>();
  readonly #byFile = new Map<SpoolFile, Set<SpoolEntry>>();
  /** Batches that are only in memory, oldest first. */
  readonly #inMemory = new Set<SpoolEntry>();
  #memory_bytes = 0;
  #cached_bytes = 0;
  readonly #sender: SpoolSender;
  /** Where the last line of untold losses is. */
  #untoldFile: SpoolFile | null = null;
  /** Bytes on their way to disk. */
  #unwritten_bytes = 0;
  readonly #acked = new Map<string, number>();
  readonly #timer: NodeJS.Timeout | null;
  #waitingRows = 0;
  #waitingBatches = 0;
  readonly counts = { acked_batches: 0, acked_rows: 0, lost_rows: 0, adopted_batches: 0 };

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#max_bytes = options.max_bytes ?? LIMITS.spool_max_bytes;
    this.#memory_max_bytes = options.memory_max_bytes ?? LIMITS.spool_memory_max_bytes;
    this.#sender = new SpoolSender({ send: options.send, load: (entry) => this.#load(entry) });
    const { folder = null } = options;
    const file_max_bytes = Math.min(LIMITS.spool_file_max_bytes, Math.ceil(this.#max_bytes / LIMITS.spool_files));
    this.#log =
      folder === null
        ? null
        : new SpoolLog(folder, file_max_bytes, (message) => {
            this.#trouble(`the spool's disk takes no batches (${message}); they are kept in memory meanwhile`);
          });
    this.#timer = this.#log === null ? null : setInterval(() => this.#writeAcked(), LIMITS.spool_sync_ms);
    this.#timer?.unref();
  }

  /** Rows, batches and bytes that the store has not acknowledged. */
  get waiting(): { readonly rows: number; readonly batches: number; readonly bytes: number } {
    const disk_bytes = this.#log?.weight_bytes ?? 0;
    return { rows: this.#waitingRows, batches: this.#waitingBatches, bytes: disk_bytes + this.#memory_bytes };
  }

  /** Batches sent again for want of an acknowledgement. */
  get resends(): number {
    return this.#sender.counts.resends;
  }

  /** Whether batches go to disk. */
  get isOnDisk(): boolean {
    return this.#log?.isWell ?? false;
  }

  async keep({ batch, rows }: CountedBatch): Promise<Kept> {
    const queue = this.#queueOf(batch.producer);
    if (queue === null) return 'full';
    if (batch.seq <= queue.last_seq) {
      // It may have come by another connection just now, and is not safe before it is written.
      await queue.keeping;
      return 'known';
    }
    queue.last_seq = batch.seq;
    const line = writeBatch(batch, rows);
    const { seq, lost_rows } = batch;
    const entry: SpoolEntry = {
      queue,
      seq,
      rows,
      lost_rows,
      bytes: Buffer.byteLength(line) + 1,
      batch,
      place: null,
      isGone: false,
    };
    queue.entries.push(entry);
    this.#waitingRows += rows;
    this.#waitingBatches += 1;
    this.#inMemory.add(entry);
    this.#memory_bytes += entry.bytes;
    this.#sender.ready(queue);
    this.#sender.pump();
    queue.keeping = this.#toDisk(entry, line);
    await queue.keeping;
    if (!entry.isGone && entry.place === null) this.#boundMemory();
    return 'kept';
  }

  /** What dead agents left behind. Before any batch of theirs is kept again. */
  adopt(adopted: Adopted): void {
    this.#log?.adopt(adopted.files);
    for (const { producer, acked, batches, untold } of adopted.producers) {
      const queue = this.#queueOf(producer);
      // More producers than may be: theirs stay in their files for the next agent.
      if (queue === null) {
        for (const { place } of batches) place.file.held += 1;
        continue;
      }
      queue.last_seq = Math.max(queue.last_seq, acked, batches.at(-1)?.seq ?? 0);
      for (const { seq, rows, lost_rows, place } of batches) {
        const entry = { queue, seq, rows, lost_rows, bytes: place.length, batch: null, place, isGone: false };
        queue.entries.push(entry);
        place.file.held += 1;
        this.#filed(entry, place.file);
        this.#waitingRows += rows;
        this.#waitingBatches += 1;
        this.counts.adopted_batches += 1;
      }
      for (const loss of untold) this.#adoptLoss(queue, loss);
      this.#sender.ready(queue);
    }
    for (const file of adopted.files) if (file.held <= 0) this.#log?.remove(file);
    this.#boundDisk(0);
    this.#writeUntold();
    this.#sender.pump();
  }

  /** The link is there, again perhaps: what was under way may have been lost with the old one. */
  linkOpened(): void {
    this.#sender.linkOpened();
  }

  acknowledge(producer: string, seq: number): void {
    const queue = this.#queues.get(producer);
    const underWay = queue?.under_way ?? null;
    // One that was sent again may be acknowledged again; nobody else's are ours.
    if (queue === undefined || underWay === null || underWay.entry.seq !== seq) return;
    this.counts.acked_batches += 1;
    this.counts.acked_rows += underWay.entry.rows;
    this.#acked.set(producer, seq);
    this.#sender.end(underWay);
    this.#forget(underWay.entry);
    if (underWay.told.rows > 0) this.#writeUntold();
    this.#sender.ready(queue);
    this.#sender.pump();
  }

  /** Settles when everything is acknowledged, or after `wait_ms`; resolves to whether it was. */
  async drain(wait_ms: number): Promise<boolean> {
    const deadline_ms = performance.now() + wait_ms;
    while (this.#waitingBatches > 0 && performance.now() < deadline_ms) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.#waitingBatches === 0;
  }

  /** What is not acknowledged stays on disk for the next agent; resolves to the rows that were only in memory. */
  async close(): Promise<number> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#sender.close();
    this.#writeAcked();
    await this.#log?.close();
    let rows = 0;
    for (const entry of this.#inMemory) rows += entry.rows;
    return rows;
  }

  /** The queue of a producer; null when there are as many as may be, and all of them have batches. */
  #queueOf(producer: string): ProducerQueue | null {
    const known = this.#queues.get(producer);
    if (known !== undefined) {
      this.#queues.delete(producer);
      this.#queues.set(producer, known);
      return known;
    }
    if (this.#queues.size >= LIMITS.producers_max) {
      const idle = [...this.#queues.values()].find(({ entries }) => entries.length === 0);
      if (idle === undefined) return null;
      this.#queues.delete(idle.producer);
      if (idle.untold.rows > 0) this.#options.onOrphanedLoss?.(idle.untold.rows);
    }
    const queue = newQueue(producer);
    this.#queues.set(producer, queue);
    return queue;
  }

  #adoptLoss(queue: ProducerQueue, { to, rows }: UntoldLoss): void {
    if (queue.entries.some(({ seq }) => seq > to)) {
      queue.untold = { rows: queue.untold.rows + rows, to: Math.max(queue.untold.to, to) };
    } else {
      // Its producer ended with the agent, most likely.
      this.#options.onOrphanedLoss?.(rows);
    }
  }

  async #toDisk(entry: SpoolEntry, line: string): Promise<void> {
    if (this.#log === null || weightOf(entry.bytes) > this.#max_bytes) return;
    this.#boundDisk(weightOf(entry.bytes));
    await this.#append(entry, line);
  }

  async #append(entry: SpoolEntry, line: string): Promise<void> {
    const log = this.#log;
    if (log === null) return;
    this.#unwritten_bytes += weightOf(entry.bytes);
    const place = await log.append(line);
    this.#unwritten_bytes -= weightOf(entry.bytes);
    if (place === null) return;
    if (entry.isGone) return log.release(place.file);
    entry.place = place;
    this.#filed(entry, place.file);
    this.#inMemory.delete(entry);
    this.#memory_bytes -= entry.bytes;
    this.#cached_bytes += entry.bytes;
    if (this.#cached_bytes > LIMITS.spool_cache_max_bytes) this.#uncache(entry);
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

  /** Makes room on disk: the oldest file goes until `more_bytes` fit. */
  #boundDisk(more_bytes: number): void {
    const log = this.#log;
    if (log === null) return;
    for (let over = log.weight_bytes + this.#unwritten_bytes + more_bytes - this.#max_bytes; over > 0; ) {
      const [oldest] = log.files;
      if (oldest === undefined) return;
      over -= oldest.weight_bytes;
      this.#dropFile(oldest);
    }
  }

  #dropFile(file: SpoolFile): void {
    const entries = this.#byFile.get(file) ?? [];
    this.#byFile.delete(file);
    this.#log?.remove(file);
    for (const entry of entries) {
      const { under_way } = entry.queue;
      if (under_way?.entry === entry && under_way.batch !== null) this.#move(entry);
      else this.#drop(entry);
    }
    this.#writeUntold();
  }

  /** To another file: this one goes. */
  #move(entry: SpoolEntry): void {
    if (entry.batch === null) return;
    entry.place = null;
    this.#cached_bytes -= entry.bytes;
    this.#memory_bytes += entry.bytes;
    this.#inMemory.add(entry);
    void this.#append(entry, writeBatch(entry.batch, entry.rows));
  }

  #drop(entry: SpoolEntry): void {
    const { queue } = entry;
    if (queue.under_way?.entry === entry) this.#sender.end(queue.under_way);
    const rows = entry.rows + entry.lost_rows;
    this.counts.lost_rows += entry.rows;
    queue.untold = { rows: queue.untold.rows + rows, to: Math.max(queue.untold.to, entry.seq) };
    this.#forget(entry);
    this.#sender.ready(queue);
  }

  /** The entry is over: it is acknowledged or dropped. */
  #forget(entry: SpoolEntry): void {
    const { queue, place } = entry;
    entry.isGone = true;
    const index = queue.entries.indexOf(entry);
    if (index >= 0) queue.entries.splice(index, 1);
    this.#waitingRows -= entry.rows;
    this.#waitingBatches -= 1;
    if (this.#inMemory.delete(entry)) this.#memory_bytes -= entry.bytes;
    else if (entry.batch !== null) this.#cached_bytes -= entry.bytes;
    entry.batch = null;
    if (place === null) return;
    const entries = this.#byFile.get(place.file);
    // A file that is dropped as a whole is gone already.
    if (entries === undefined) return;
    entries.delete(entry);
    if (entries.size === 0) this.#byFile.delete(place.file);
    this.#log?.release(place.file);
  }

  /** The oldest batches that are only in memory go, save what is under way. */
  #boundMemory(): void {
    if (this.#memory_bytes <= this.#memory_max_bytes) return;
    for (const entry of this.#inMemory) {
      if (entry.queue.under_way?.entry !== entry) this.#drop(entry);
      if (this.#memory_bytes <= this.#memory_max_bytes) break;
    }
    this.#writeUntold();
  }

  /** Reads a batch back; one that the disk does not give back is counted as lost. */
  async #load(entry: SpoolEntry): Promise<boolean> {
    const text = entry.place === null ? null : await this.#log?.read(entry.place).catch(() => null);
    if (entry.isGone) return false;
    const batch = typeof text === 'string' ? readBatch(text) : null;
    if (batch === null || batch.seq !== entry.seq) {
      this.#trouble(`a batch of ${entry.rows} rows cannot be read again from the spool; it is counted as lost`);
      this.#drop(entry);
      this.#writeUntold();
      return false;
    }
    entry.batch = batch;
    this.#cached_bytes += entry.bytes;
    return true;
  }

  /** Tells the next agent what need not be sent again; without it, that would be sent, and count once all the same. */
  #writeAcked(): void {
    if (this.#acked.size === 0) return;
    const acked = Object.fromEntries(this.#acked);
    this.#acked.clear();
    if (this.#waitingBatches === 0) this.#log?.clear();
    else this.#note(JSON.stringify({ acked }));
  }

  #writeUntold(): void {
    if (this.#log === null) return;
    const untold: UntoldLine['untold'] = [];
    for (const { producer, untold: next, under_way } of this.#queues.values()) {
      for (const loss of [under_way?.told ?? NO_LOSS, next]) if (loss.rows > 0) untold.push({ producer, ...loss });
    }
    if (untold.length === 0 && this.#untoldFile === null) return;
    void this.#log.append(JSON.stringify({ untold })).then((place) => {
      if (place === null) return;
      // Only the last counts, and is kept.
      if (this.#untoldFile !== null) this.#log?.release(this.#untoldFile);
      this.#untoldFile = untold.length === 0 ? null : place.file;
      if (untold.length === 0) this.#log?.release(place.file);
    });
  }

  /** A line that nobody keeps. */
  #note(line: string): void {
    void this.#log?.append(line).then((place) => {
      if (place !== null) this.#log?.release(place.file);
    });
  }

  #trouble(message: string): void {
    this.#options.onTrouble?.(message);
  }
}
