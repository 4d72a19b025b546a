/**
 * Sends the batches of a spool: one at a time of each producer, up to `under_way_max` in all, those that have waited longest
 * first.
 *
 * A batch is sent again, unchanged, on every new link and until it is acknowledged, because the gateway forgets a batch that
 * the store did not accept. If the batch is still queued there, the gateway ignores the repetition.
 */
import type { EventBatch } from '../../contract/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { ProducerQueue, SpoolEntry, UnderWay } from './queue.ts';

export interface SpoolSenderOptions {
  /** Sends a batch; false when there is no link to send it on. */
  readonly send: (batch: EventBatch) => boolean;
  /** Reads what is only on disk. False when it cannot be read, or is not wanted any more. */
  readonly load: (entry: SpoolEntry) => Promise<boolean>;
  readonly limits: AgentLimits;
}

export class SpoolSender {
  readonly #options: SpoolSenderOptions;
  readonly #ready: ProducerQueue[] = [];
  readonly #underWay = new Set<UnderWay>();
  #isLinked = false;
  #isClosed = false;
  readonly counts = { sends: 0, resends: 0 };

  constructor(options: SpoolSenderOptions) {
    this.#options = options;
  }

  linkOpened(): void {
    this.#isLinked = true;
    for (const each of this.#underWay) this.#send(each);
    this.pump();
  }

  /** Queues a producer that may have something to send. */
  ready(queue: ProducerQueue): void {
    if (queue.isReady || queue.under_way !== null || queue.entries.length === 0) return;
    queue.isReady = true;
    this.#ready.push(queue);
  }

  /** Sends as much as may be under way. */
  pump(): void {
    while (this.#isLinked && !this.#isClosed && this.#underWay.size < this.#options.limits.under_way_max) {
      const queue = this.#ready.shift();
      if (queue === undefined) return;
      queue.isReady = false;
      const [entry] = queue.entries;
      if (entry === undefined || queue.under_way !== null) continue;
      const underWay: UnderWay = { entry, batch: null, timer: null };
      queue.under_way = underWay;
      if (entry === queue.notice) queue.notice = null;
      this.#underWay.add(underWay);
      if (entry.batch === null) void this.#load(underWay);
      else this.#begin(underWay, entry.batch);
    }
  }

  /** The batch is acknowledged or dropped. */
  end(underWay: UnderWay): void {
    stopTimer(underWay);
    this.#underWay.delete(underWay);
    underWay.entry.queue.under_way = null;
  }

  close(): void {
    this.#isClosed = true;
    for (const each of this.#underWay) stopTimer(each);
  }

  async #load(underWay: UnderWay): Promise<void> {
    const { entry } = underWay;
    const isLoaded = await this.#options.load(entry);
    const isWanted = entry.queue.under_way === underWay;
    if (isLoaded && isWanted && entry.batch !== null) this.#begin(underWay, entry.batch);
    else this.pump();
  }

  #begin(underWay: UnderWay, batch: EventBatch): void {
    underWay.batch = batch;
    this.counts.sends += 1;
    this.#send(underWay);
  }

  #send(underWay: UnderWay): void {
    stopTimer(underWay);
    if (underWay.batch === null || !this.#isLinked || this.#isClosed) return;
    // Without a link there is nothing to wait for: `linkOpened` is called for the next one.
    this.#isLinked = this.#options.send(underWay.batch);
    if (!this.#isLinked) return;
    const again = (): void => {
      this.counts.resends += 1;
      this.#send(underWay);
    };
    underWay.timer = setTimeout(again, this.#options.limits.ack_timeout_ms).unref();
  }
}

function stopTimer(underWay: UnderWay): void {
  if (underWay.timer !== null) clearTimeout(underWay.timer);
  underWay.timer = null;
}
