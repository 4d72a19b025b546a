/**
 * Event batches of one link on their way to the store, in order and one at a time.
 *
 * The store takes a batch whose number is not above the producer's last for one it already has. So a later batch must
 * never overtake an earlier one: when one fails or is dropped, everything after it from that producer is dropped too,
 * unacknowledged, until the agent sends the one that failed (or an earlier one) again. A batch that can never be stored
 * is acknowledged, counted and logged, since it would otherwise come for ever.
 */
import type { EventBatch, GatewayFrame } from '../../contract/index.ts';
import { EVENT_BATCHES_PER_LINK_MAX } from '../limits.ts';
import type { Log, Telemetry } from '../ports.ts';

/** Refusals that sending the same batch again cannot cure. */
const POISON: ReadonlySet<string> = new Set(['bad_request', 'unprocessable', 'payload_too_large']);

export class EventCounts {
  poison_batches = 0;
  dropped_batches = 0;
}

export class EventRelay {
  readonly #waiting: EventBatch[] = [];
  /** Per producer, the lowest number that has to come again before anything later may pass. */
  readonly #awaited = new Map<string, number>();
  readonly #send: (frame: GatewayFrame) => void;
  readonly #telemetry: Telemetry | null;
  readonly #log: Log;
  readonly #counts: EventCounts;
  #isBusy = false;
  #isOver = false;

  constructor(send: (frame: GatewayFrame) => void, telemetry: Telemetry | null, log: Log, counts: EventCounts) {
    this.#send = send;
    this.#telemetry = telemetry;
    this.#log = log;
    this.#counts = counts;
  }

  take(batch: EventBatch) {
    const awaited = this.#awaited.get(batch.producer);
    // Without a store nothing is acknowledged: the agent keeps what it can, and counts what it cannot.
    const isRefused =
      this.#telemetry === null ||
      this.#isOver ||
      (awaited !== undefined && batch.seq > awaited) ||
      (awaited === undefined && this.#awaited.size >= EVENT_BATCHES_PER_LINK_MAX);
    if (isRefused) {
      this.#counts.dropped_batches += 1;
      return;
    }
    if (this.#waiting.length >= EVENT_BATCHES_PER_LINK_MAX) return this.#drop(batch);
    this.#awaited.delete(batch.producer);
    this.#waiting.push(batch);
    if (!this.#isBusy) void this.#drain(this.#telemetry);
  }

  close() {
    this.#isOver = true;
    this.#waiting.length = 0;
  }

  async #drain(telemetry: Telemetry): Promise<void> {
    this.#isBusy = true;
    for (let batch = this.#waiting.shift(); batch !== undefined; batch = this.#waiting.shift()) {
      const { producer, seq } = batch;
      const stored = await telemetry.ingest(batch);
      if (stored.ok) this.#send({ type: 'ack', producer, seq });
      else if (POISON.has(stored.failure.code)) {
        this.#counts.poison_batches += 1;
        this.#log.warn('event batch refused for good', { producer, seq, reason: stored.failure.message });
        this.#send({ type: 'ack', producer, seq });
      } else {
        this.#log.warn('event batch not stored, waiting for it to come again', {
          producer,
          seq,
          reason: stored.failure.message,
        });
        this.#drop(batch);
      }
    }
    this.#isBusy = false;
  }

  /** Leaves the batch, and what is queued behind it from the same producer, to be sent again. */
  #drop(batch: EventBatch) {
    const later = this.#waiting.filter(({ producer, seq }) => producer === batch.producer && seq > batch.seq);
    for (const each of later) this.#waiting.splice(this.#waiting.indexOf(each), 1);
    this.#counts.dropped_batches += 1 + later.length;
    this.#awaited.set(batch.producer, Math.min(batch.seq, this.#awaited.get(batch.producer) ?? batch.seq));
  }
}
