/** What a spool knows of one producer: its batches that are not acknowledged, in the order of their numbers. */
import type { EventBatch } from '../../contract/index.ts';
import type { Place } from './spool-log.ts';

export interface SpoolEntry {
  readonly queue: ProducerQueue;
  readonly seq: number;
  readonly rows: number;
  readonly lost_rows: number;
  /** Bytes of its line. */
  readonly bytes: number;
  /** Null when it is only on disk. */
  batch: EventBatch | null;
  /** Null when it is only in memory, or not on disk yet. */
  place: Place | null;
  isGone: boolean;
}

/** Rows that were dropped and are to be told of: by the first batch whose number is above `to`. */
export interface UntoldLoss {
  readonly rows: number;
  readonly to: number;
}

export const NO_LOSS: UntoldLoss = { rows: 0, to: 0 };

export interface ProducerQueue {
  readonly producer: string;
  readonly entries: SpoolEntry[];
  /** The highest number that was taken. */
  last_seq: number;
  /** Settles when all that was taken is written. */
  keeping: Promise<void>;
  /** The first entry, when it is on its way to the store; it is never dropped. */
  under_way: UnderWay | null;
  isReady: boolean;
  untold: UntoldLoss;
}

export interface UnderWay {
  readonly entry: SpoolEntry;
  /** What the store gets; fixed once it has been sent. Null while it is read. */
  batch: EventBatch | null;
  told: UntoldLoss;
  /** How often it was sent again on this link for want of an acknowledgement. */
  repeats: number;
  timer: NodeJS.Timeout | null;
}

export function newQueue(producer: string): ProducerQueue {
  return {
    producer,
    entries: [],
    last_seq: 0,
    keeping: Promise.resolve(),
    under_way: null,
    isReady: false,
    untold: NO_LOSS,
  };
}
