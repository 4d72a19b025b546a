/**
 * What a spool knows of one producer: its batches that are not acknowledged, in the order of their numbers.
 *
 * A notice is an entry without rows, in the place of batches that were dropped: it has the highest number of theirs, which
 * the store never got, and says in `lost_rows` how many rows were in them. Sent again, after a crash for instance, it
 * counts once, like any other batch.
 */
import type { EventBatch } from '../../contract/index.ts';
import type { Place } from './log.ts';

export interface SpoolEntry {
  readonly queue: ProducerQueue;
  readonly seq: number;
  readonly rows: number;
  readonly lost_rows: number;
  /** Bytes of its line; 0 for a notice, which has none. */
  readonly bytes: number;
  readonly isNotice: boolean;
  /** Null when it is only on disk. */
  batch: EventBatch | null;
  /** Null when it is only in memory, or not on disk yet. */
  place: Place | null;
  /** It is acknowledged or dropped. */
  isGone: boolean;
}

export interface ProducerQueue {
  readonly producer: string;
  entries: SpoolEntry[];
  /** The highest number that was taken. */
  last_seq: number;
  /** Settles when all that was taken is written. */
  keeping: Promise<void>;
  /** The first entry, when it is on its way to the store; it is never dropped. */
  under_way: UnderWay | null;
  /** The notice that is not under way, of which there is one at most: what is dropped further is added to it. */
  notice: SpoolEntry | null;
  isReady: boolean;
}

export interface UnderWay {
  readonly entry: SpoolEntry;
  /** What the store gets. Null while it is read. */
  batch: EventBatch | null;
  timer: NodeJS.Timeout | null;
}

export function newQueue(producer: string): ProducerQueue {
  return {
    producer,
    entries: [],
    last_seq: 0,
    keeping: Promise.resolve(),
    under_way: null,
    notice: null,
    isReady: false,
  };
}

/** Adds lost rows to the queue's notice. */
export function addLoss(queue: ProducerQueue, seq: number, rows: number): void {
  const { producer, notice: before } = queue;
  const to = Math.max(seq, before?.seq ?? 0);
  const lost_rows = rows + (before?.lost_rows ?? 0);
  const batch: EventBatch = { producer, seq: to, lost_rows, tables: {} };
  const head = { queue, seq: to, rows: 0, lost_rows, bytes: 0, isNotice: true };
  const notice: SpoolEntry = { ...head, batch, place: null, isGone: false };
  const entries = queue.entries.filter((entry) => entry !== before);
  const later = entries.findIndex((entry) => entry.seq > to);
  entries.splice(later < 0 ? entries.length : later, 0, notice);
  queue.entries = entries;
  queue.notice = notice;
}
