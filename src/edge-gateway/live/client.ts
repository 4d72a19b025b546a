/**
 * One stream of live updates. It holds no queue: it knows how far its client has read in the log, and takes what comes
 * next only when the client reads on. So a slow client costs nothing but its place, and when that has been dropped from
 * the log the client gets one `snapshot` in place of everything it missed.
 *
 * The stream is `retry`, then events; and after `heartbeat_ms` in which there was nothing to tell, a comment.
 */
import { timestamp } from '../../base/index.ts';
import type { SnapshotReason } from '../../contract/index.ts';
import type { GatewayLimits } from '../limits.ts';
import { encodeText, type LiveLog } from './log.ts';

const HEARTBEAT = ': heartbeat\n\n';

export class LiveClient {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #log: LiveLog;
  readonly #heartbeat_ms: number;
  readonly #limits: GatewayLimits;
  readonly #onEnd: (client: LiveClient) => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** Number of the last event that was handed over, or that a snapshot stood for. */
  #read: number;
  /** Why a snapshot is due; null when none is. */
  #due: SnapshotReason | null;
  #isGreeted = false;
  #wake: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param after the `Last-Event-ID` of the client, null when it has none
   * @param heartbeat_ms silence after which a comment is sent, milliseconds
   * @param onEnd called once, when the client has gone or `close` was called
   */
  constructor(
    log: LiveLog,
    after: string | null,
    heartbeat_ms: number,
    limits: GatewayLimits,
    onEnd: (client: LiveClient) => void,
  ) {
    this.#log = log;
    this.#heartbeat_ms = heartbeat_ms;
    this.#limits = limits;
    this.#onEnd = onEnd;
    const number = after === null ? null : log.numberOf(after);
    this.#read = number ?? log.last;
    this.#due =
      after === null ? 'start' : number === null ? 'unknown_id' : log.after(number) === null ? 'too_old' : null;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: () => void this.#end(),
      },
      { highWaterMark: 0 },
    );
    this.#expectReader();
  }

  /** Something was added to the log. */
  wake(): void {
    this.#wake?.();
  }

  close(): void {
    const controller = this.#end();
    controller?.close();
  }

  async #pull(): Promise<void> {
    clearTimeout(this.#timer);
    let chunk = this.#next();
    if (!this.#isGreeted) {
      this.#isGreeted = true;
      chunk = joined(encodeText(`retry: ${this.#limits.live_retry_ms}\n\n`), chunk);
    }
    if (chunk === null) {
      await this.#news();
      chunk = this.#next() ?? encodeText(HEARTBEAT);
    }
    if (this.#controller === null) return;
    this.#controller.enqueue(chunk);
    this.#expectReader();
  }

  /** What is to be sent now, if anything. */
  #next(): Uint8Array | null {
    if (this.#due === null) {
      if (this.#read === this.#log.last) return null;
      const events = this.#log.after(this.#read);
      if (events !== null) {
        this.#read = events.last;
        return events.bytes;
      }
    }
    const data = { type: 'snapshot', reason: this.#due ?? 'too_slow', as_of: timestamp(Date.now()) };
    this.#due = null;
    this.#read = this.#log.last;
    return this.#log.frame('snapshot', JSON.stringify(data), this.#read);
  }

  /** Waits for a wake, the end, or the time for a heartbeat. */
  #news(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(this.#timer);
        this.#wake = null;
        resolve();
      };
      this.#wake = done;
      this.#timer = setTimeout(done, this.#heartbeat_ms);
    });
  }

  /** From here on it is the client's turn to read. */
  #expectReader(): void {
    const { live_stall_ms } = this.#limits;
    this.#timer = setTimeout(() => {
      this.#end()?.error(new Error(`live updates were not read for ${live_stall_ms / 1_000} s`));
    }, live_stall_ms);
  }

  /** Gives the controller to the first caller, which ends the stream. */
  #end(): ReadableStreamDefaultController<Uint8Array> | null {
    const controller = this.#controller;
    if (controller === null) return null;
    this.#controller = null;
    clearTimeout(this.#timer);
    this.#wake?.();
    this.#onEnd(this);
    return controller;
  }
}

function joined(head: Uint8Array, tail: Uint8Array | null): Uint8Array {
  if (tail === null) return head;
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}
