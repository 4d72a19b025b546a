/**
 * Event batches of one link on their way to the store: those of one producer in order and one at a time, those of several
 * side by side.
 *
 * The store takes a batch whose number is not above the producer's last for one it already has. So a later batch must
 * never overtake an earlier one: when one fails or is dropped, everything after it from that producer is dropped too,
 * unacknowledged, until the agent sends the one that failed (or an earlier one) again. A batch that comes again while it is
 * here is passed over. One that can never be stored is acknowledged, counted and logged, since it would otherwise come for
 * ever.
 *
 * A relay that continues a lost one expects, of each producer, every batch that the lost one had neither acknowledged nor
 * dropped: that is what `kept` returns.
 */
import type { Log } from '../../base/index.ts';
import type { EventBatch, GatewayFrame } from '../../contract/index.ts';
import type { GatewayLimits } from '../limits.ts';
import { NO_TELEMETRY, type Telemetry } from '../ports.ts';

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
  readonly #batches_max: number;
  readonly #onKept: () => void;
  /** The batches that are at the store, by producer. */
  readonly #storing = new Map<string, EventBatch>();
  #isOver = false;

  /**
   * @param awaited what `kept` of an earlier relay of this link gave; default nothing
   * @param onKept called when the result of `kept` has changed, before the agent learns why
   */
  constructor(
    send: (frame: GatewayFrame) => void,
    telemetry: Telemetry | null,
    log: Log,
    counts: EventCounts,
    { event_batches_per_link_max }: GatewayLimits,
    awaited: Readonly<Record<string, number>> = {},
    onKept: () => void = () => {},
  ) {
    this.#send = send;
    this.#telemetry = telemetry;
    this.#log = log;
    this.#counts = counts;
    this.#batches_max = event_batches_per_link_max;
    this.#onKept = onKept;
    for (const [producer, seq] of Object.entries(awaited)) this.#awaited.set(producer, seq);
  }

  /** Per producer, the lowest number that is not acknowledged and has to come first if this relay is lost. */
  kept(): Readonly<Record<string, number>> {
    const lowest = Object.fromEntries(this.#awaited);
    for (const { producer, seq } of this.#here()) {
      lowest[producer] = Math.min(seq, lowest[producer] ?? seq);
    }
    return lowest;
  }

  take(batch: EventBatch) {
    if (this.#here().some(({ producer, seq }) => producer === batch.producer && seq === batch.seq)) return;
    const awaited = this.#awaited.get(batch.producer);
    // Without a store nothing is acknowledged: the agent keeps what it can, and counts what it cannot.
    const isRefused =
      this.#telemetry === null ||
      this.#isOver ||
      (awaited !== undefined && batch.seq > awaited) ||
      (awaited === undefined && this.#awaited.size >= this.#batches_max);
    if (isRefused) {
      this.#counts.dropped_batches += 1;
      return;
    }
    if (this.#waiting.length >= this.#batches_max) return this.#drop(batch);
    this.#awaited.delete(batch.producer);
    this.#waiting.push(batch);
    this.#next(this.#telemetry);
  }

  close() {
    this.#isOver = true;
    this.#waiting.length = 0;
  }

  #here(): EventBatch[] {
    return [...this.#storing.values(), ...this.#waiting];
  }

  #next(telemetry: Telemetry) {
    for (const batch of [...this.#waiting]) {
      if (this.#storing.size >= this.#batches_max) return;
      if (this.#storing.has(batch.producer)) continue;
      this.#waiting.splice(this.#waiting.indexOf(batch), 1);
      this.#storing.set(batch.producer, batch);
      void this.#store(telemetry, batch);
    }
  }

  async #store(telemetry: Telemetry, batch: EventBatch): Promise<void> {
    const { producer, seq } = batch;
    const stored = await telemetry.ingest(batch);
    this.#storing.delete(producer);
    if (stored.ok || POISON.has(stored.failure.code)) {
      if (!stored.ok) {
        this.#counts.poison_batches += 1;
        this.#log.warn('event batch refused for good', { producer, seq, reason: stored.failure.message });
      }
      this.#onKept();
      this.#send({ type: 'ack', producer, seq });
    } else {
      // That there is no store at all is no news with each batch.
      if (stored.failure.code !== NO_TELEMETRY.code) {
        this.#log.warn('event batch not stored, waiting for it to come again', {
          producer,
          seq,
          reason: stored.failure.message,
        });
      }
      this.#drop(batch);
    }
    this.#next(telemetry);
  }

  /** Leaves the batch, and what is queued behind it from the same producer, to be sent again. */
  #drop(batch: EventBatch) {
    const later = this.#waiting.filter(({ producer, seq }) => producer === batch.producer && seq > batch.seq);
    for (const each of later) this.#waiting.splice(this.#waiting.indexOf(each), 1);
    this.#counts.dropped_batches += 1 + later.length;
    this.#awaited.set(batch.producer, Math.min(batch.seq, this.#awaited.get(batch.producer) ?? batch.seq));
  }
}
