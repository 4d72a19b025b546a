/**
 * The last live updates, numbered. An `id` is `<run>.<number>`: the run is drawn when the gateway starts, so that a number
 * of an earlier run is never taken for one of this. Each event is kept as the bytes that are sent, once for all clients.
 */
import type { GatewayLimits } from '../limits.ts';

const ENCODER = new TextEncoder();

export function encodeText(text: string): Uint8Array {
  return ENCODER.encode(text);
}

export class LiveLog {
  readonly #events_max: number;
  readonly #events_max_bytes: number;
  readonly #chunk_max_bytes: number;
  readonly #run = crypto.randomUUID().replaceAll('-', '').slice(0, 12);
  /** The event with number n is at n modulo the length; outside of first..last is rubble. */
  readonly #ring: Uint8Array[] = [];
  #first = 1;
  #last = 0;
  #bytes = 0;

  constructor({ live_events_max, live_events_max_bytes, live_chunk_max_bytes }: GatewayLimits) {
    this.#events_max = live_events_max;
    this.#events_max_bytes = live_events_max_bytes;
    this.#chunk_max_bytes = live_chunk_max_bytes;
  }

  /** The number of the latest event, 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** Events and bytes that are kept. */
  get kept(): { readonly events: number; readonly bytes: number } {
    return { events: this.#last - this.#first + 1, bytes: this.#bytes };
  }

  /** @param data one line of JSON */
  append(type: string, data: string): void {
    this.#last += 1;
    const frame = this.frame(type, data, this.#last);
    this.#bytes += frame.length;
    while (this.#last - this.#first >= this.#events_max || this.#bytes > this.#events_max_bytes) this.#dropFirst(frame);
    this.#ring[this.#last % this.#events_max] = frame;
  }

  /** One server-sent event as bytes. */
  frame(type: string, data: string, number: number): Uint8Array {
    return encodeText(`id: ${this.#run}.${number}\nevent: ${type}\ndata: ${data}\n\n`);
  }

  /** The number that an id of this run stands for, of an event that may be long gone; null for any other text. */
  numberOf(id: string): number | null {
    const [, run, digits = ''] = /^([0-9a-f]{12})\.(0|[1-9]\d{0,14})$/.exec(id) ?? [];
    return run === this.#run && Number(digits) <= this.#last ? Number(digits) : null;
  }

  /** The events after a number, as many as go into one chunk; null when the first of them is no longer kept. */
  after(number: number): { readonly bytes: Uint8Array; readonly last: number } | null {
    if (number + 1 < this.#first) return null;
    let last = number;
    let size = 0;
    while (last < this.#last) {
      const next = this.#at(last + 1).length;
      if (size > 0 && size + next > this.#chunk_max_bytes) break;
      size += next;
      last += 1;
    }
    if (last === number + 1) return { bytes: this.#at(last), last };
    const bytes = new Uint8Array(size);
    for (let n = number + 1, offset = 0; n <= last; n += 1) {
      bytes.set(this.#at(n), offset);
      offset += this.#at(n).length;
    }
    return { bytes, last };
  }

  #at(number: number): Uint8Array {
    return this.#ring[number % this.#events_max] ?? new Uint8Array();
  }

  /** @param newest the event that is being added, which is dropped at once when it alone is over the bound. */
  #dropFirst(newest: Uint8Array): void {
    const dropped = this.#first === this.#last ? newest : this.#at(this.#first);
    this.#bytes -= dropped.length;
    this.#ring[this.#first % this.#events_max] = new Uint8Array();
    this.#first += 1;
  }
}
