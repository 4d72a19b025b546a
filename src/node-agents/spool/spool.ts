/**
 * The spool: batches of all producers of an agent are kept until the store has acknowledged them.
 *
 * 1. `keep` takes a batch and settles when it is on disk (log.ts), or in memory where the disk does not take it. A
 *    batch whose number is not above the producer's last is one that it has: it counts as kept.
 * 2. Of each producer one batch is under way at a time, lowest number first, since the store takes a number that is not
 *    above the last for a repetition; of different producers up to `under_way_max`, in turns.
 * 3. What is under way is sent again every `ack_timeout_ms` and on a new link, and is never dropped. Its
 *    acknowledgement makes room for the producer's next.
 * 4. At a bound the oldest batches go (places.ts), save what is under way, and a notice (queue.ts) in their place
 *    says how many rows they had.
 * 5. Batches that a dead agent left behind are taken over at the start (adoption.ts), with their producers and
 *    numbers, and are sent before others.
 */
import { sleep } from '../../base/index.ts';
import type { EventBatch } from '../../contract/index.ts';
import { type AgentLimits, LIMITS } from '../limits.ts';
import type { CountedBatch } from '../producer/batch-code.ts';
import type { Adopted } from './adoption.ts';
import { writeBatch } from './lines.ts';
import { SpoolLog } from './log.ts';
import { SpoolNotes } from './notes.ts';
import { SpoolPlaces } from './places.ts';
import { addLoss, newQueue, type ProducerQueue, type SpoolEntry } from './queue.ts';
import { SpoolSender } from './sender.ts';

export interface SpoolOptions {
  /** Sends a batch; false when there is no link to send it on. */
  readonly send: (batch: EventBatch) => boolean;
  /** Folder of this run's files, which exists. Default null: batches are kept in memory. */
  readonly folder?: string | null;
  /** Bytes on disk. Default: that of the limits. */
  readonly max_bytes?: number;
  /** Bytes in memory where there is no disk. Default: that of the limits. */
  readonly memory_max_bytes?: number;
  /** Is called when the disk accepts nothing, and with batches that it corrupted. Default: nothing is called. */
  readonly onTrouble?: (message: string) => void;
  /** Is called with the lost rows of producers that were forgotten before the loss was reported. Default: ignored. */
  readonly onForgottenLoss?: (rows: number) => void;
  /** Default LIMITS. */
  readonly limits?: AgentLimits;
}

/** `kept` and `known` are safe; `full` is not taken: there are as many producers as may be, or the spool is closed. */
export type Kept = 'kept' | 'known' | 'full';

export class Spool {
  readonly #options: SpoolOptions;
  readonly #limits: AgentLimits;
  readonly #log: SpoolLog | null;
  readonly #places: SpoolPlaces;
  /** By when they were last heard of, longest ago first. */
  readonly #queues = new Map<string, ProducerQueue>();
  readonly #sender: SpoolSender;
  readonly #notes: SpoolNotes | null;
  #isClosed = false;
  #waitingRows = 0;
  #waitingBatches = 0;
  readonly counts = { acked_batches: 0, acked_rows: 0, lost_rows: 0, adopted_batches: 0 };

  constructor(options: SpoolOptions) {
    const limits = options.limits ?? LIMITS;
    this.#options = options;
    this.#limits = limits;
    this.#sender = new SpoolSender({ send: options.send, load: (entry) => this.#load(entry), limits });
    const { spool_max_bytes, spool_memory_max_bytes, spool_file_max_bytes, spool_files } = limits;
    const { folder = null, max_bytes = spool_max_bytes, memory_max_bytes = spool_memory_max_bytes } = options;
    const file_max_bytes = Math.min(spool_file_max_bytes, Math.ceil(max_bytes / spool_files));
    const onTrouble = (message: string): void => {
      this.#trouble(`the spool's disk takes no batches (${message}); they are kept in memory meanwhile`);
    };
    this.#log = folder === null ? null : new SpoolLog(folder, file_max_bytes, limits, onTrouble);
    const onDrop = (entries: readonly SpoolEntry[]): void => this.#drop(entries);
    this.#places = new SpoolPlaces({ log: this.#log, max_bytes, memory_max_bytes, limits, onDrop });
    this.#notes = this.#log === null ? null : new SpoolNotes(this.#log, () => this.#queues.values(), limits);
  }

  /** Rows, batches and bytes that the store has not acknowledged. */
  get waiting(): { readonly rows: number; readonly batches: number; readonly bytes: number } {
    return { rows: this.#waitingRows, batches: this.#waitingBatches, bytes: this.#places.bytes };
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
    const queue = this.#isClosed ? null : this.#queueOf(batch.producer);
    if (queue === null) return 'full';
    if (batch.seq <= queue.last_seq) {
      // It may have come by another connection just now, and is not safe before it is written.
      await queue.keeping;
      return 'known';
    }
    queue.last_seq = batch.seq;
    const line = writeBatch(batch, rows);
    const { seq, lost_rows } = batch;
    const head = { queue, seq, rows, lost_rows, bytes: Buffer.byteLength(line) + 1, isNotice: false };
    const entry: SpoolEntry = { ...head, batch, place: null, isGone: false };
    queue.entries.push(entry);
    this.#waitingRows += rows;
    this.#waitingBatches += 1;
    queue.keeping = this.#places.put(entry, line);
    this.#sender.ready(queue);
    this.#sender.pump();
    await queue.keeping;
    return 'kept';
  }

  /** Takes over what dead agents left behind. To be called before `keep` is called for any of their producers. */
  adopt(adopted: Adopted): void {
    this.#log?.adopt(adopted.files);
    for (const { producer, acked, batches, untold } of adopted.producers) {
      const queue = this.#queueOf(producer);
      // More producers than may be: theirs stay in their files for the next agent.
      if (queue === null) {
        for (const { place } of batches) place.file.held += 1;
        for (const { rows } of untold) this.#options.onForgottenLoss?.(rows);
        continue;
      }
      queue.last_seq = Math.max(queue.last_seq, acked, batches.at(-1)?.seq ?? 0);
      for (const { seq, rows, lost_rows, place } of batches) {
        const head = { queue, seq, rows, lost_rows, bytes: place.length, isNotice: false };
        const entry: SpoolEntry = { ...head, batch: null, place, isGone: false };
        queue.entries.push(entry);
        this.#places.adopt(entry, place.file);
        this.#waitingRows += rows;
        this.#waitingBatches += 1;
        this.counts.adopted_batches += 1;
      }
      for (const { to, rows } of untold) this.#reportLoss(queue, to, rows);
      this.#sender.ready(queue);
    }
    void this.#notes?.lossesChanged().then(() => {
      for (const file of adopted.files) if (file.held <= 0) this.#log?.remove(file);
    });
    this.#places.boundDisk();
    this.#sender.pump();
  }

  /** A link is open. Batches that were in flight on the one before may be lost, and are sent again. */
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
    this.#notes?.acknowledged(producer, seq);
    this.#sender.end(underWay);
    queue.entries.splice(queue.entries.indexOf(underWay.entry), 1);
    this.#forget(underWay.entry);
    if (underWay.entry.isNotice) void this.#notes?.lossesChanged();
    this.#sender.ready(queue);
    this.#sender.pump();
  }

  /** Settles when everything is acknowledged, or after `wait_ms`; resolves to whether it was. */
  async drain(wait_ms: number): Promise<boolean> {
    const deadline_ms = performance.now() + wait_ms;
    while (this.#waitingBatches > 0 && performance.now() < deadline_ms) {
      await sleep(this.#limits.spool_drain_poll_ms);
    }
    return this.#waitingBatches === 0;
  }

  /** Leaves unacknowledged batches on disk for the next agent. @returns the rows that were only in memory */
  async close(): Promise<number> {
    this.#isClosed = true;
    this.#sender.close();
    this.#notes?.close();
    await this.#log?.close();
    return this.#places.rowsInMemory;
  }

  /** The queue of a producer; null when there are as many as may be, and all of them have batches. */
  #queueOf(producer: string): ProducerQueue | null {
    const known = this.#queues.get(producer);
    if (known !== undefined) {
      this.#queues.delete(producer);
      this.#queues.set(producer, known);
      return known;
    }
    if (this.#queues.size >= this.#limits.producers_max) {
      const idle = [...this.#queues.values()].find(isIdle);
      if (idle === undefined) return null;
      this.#forgetProducer(idle);
    }
    const queue = newQueue(producer);
    this.#queues.set(producer, queue);
    return queue;
  }

  #forgetProducer(queue: ProducerQueue): void {
    const { producer, notice } = queue;
    this.#queues.delete(producer);
    if (notice === null) return;
    // Whoever has it in turn finds nothing to send.
    queue.entries = [];
    this.#forget(notice);
    this.#options.onForgottenLoss?.(notice.lost_rows);
    void this.#notes?.lossesChanged();
  }

  #drop(entries: readonly SpoolEntry[]): void {
    const losses = new Map<ProducerQueue, { seq: number; rows: number }>();
    for (const entry of entries) {
      const { queue } = entry;
      const loss = losses.get(queue) ?? { seq: 0, rows: 0 };
      losses.set(queue, {
        seq: Math.max(loss.seq, entry.seq),
        rows: loss.rows + entry.rows + entry.lost_rows,
      });
      if (queue.under_way?.entry === entry) this.#sender.end(queue.under_way);
      this.counts.lost_rows += entry.rows;
      this.#forget(entry);
    }
    for (const [queue, { seq, rows }] of losses) {
      queue.entries = queue.entries.filter(({ isGone }) => !isGone);
      this.#reportLoss(queue, seq, rows);
      this.#sender.ready(queue);
    }
    // The note of earlier ones may have gone with its file.
    void this.#notes?.lossesChanged();
  }

  #reportLoss(queue: ProducerQueue, seq: number, rows: number): void {
    if (queue.notice === null) this.#waitingBatches += 1;
    addLoss(queue, seq, rows);
    queue.last_seq = Math.max(queue.last_seq, seq);
  }

  /** Forgets an entry that was acknowledged or dropped, and that its queue no longer has. */
  #forget(entry: SpoolEntry): void {
    this.#waitingRows -= entry.rows;
    this.#waitingBatches -= 1;
    this.#places.forget(entry);
  }

  /** Reads a batch back; one that the disk does not give back is counted as lost. */
  async #load(entry: SpoolEntry): Promise<boolean> {
    if (await this.#places.load(entry)) return !entry.isGone;
    this.#trouble(`a batch of ${entry.rows} rows cannot be read again from the spool; it is counted as lost`);
    this.#drop([entry]);
    return false;
  }

  #trouble(message: string): void {
    this.#options.onTrouble?.(message);
  }
}

/** Has nothing but a loss to report. */
function isIdle({ entries, notice, under_way }: ProducerQueue): boolean {
  return under_way === null && entries.every((entry) => entry === notice);
}
