/**
 * One link of a telemetry service, from `hello` to the end, as contract/store-link.ts tells it.
 *
 *  1. `hello` within HELLO_WAIT_MS, in a version that fits, else `refuse` and close. Whether this store is taken is for
 *     the StoreLink to say.
 *  2. After `welcome`: answers go to the calls, and each heartbeat is answered with one. Nothing else is timed here, so
 *     that an object that sleeps between frames may sleep.
 *  3. A link whose token is revoked, or expires, is closed at the next frame of its store, or the next call.
 *  4. Whatever does not fit closes the link with 1008 (1009 for size) and a reason that says what did not.
 */
import type { Failure, Log } from '../../base/index.ts';
import {
  CLOSE,
  FRAME_MAX_BYTES,
  HEARTBEAT_TEXT,
  readFrame,
  STORE_VERSION,
  StoreFrame,
  type StoreGatewayFrame,
  type StoreHello,
} from '../../contract/index.ts';
import { announcedVersion, closeLink, isTooLarge, refuseLink } from '../hub/frame-text.ts';
import { HELLO_WAIT_MS } from '../limits.ts';
import type { Dialler, Link, LinkReceiver, Principal } from '../ports.ts';
import { StoreAsks } from './store-asks.ts';

/** All that a session needs to go on in another object: JSON of well below 2 KB. Times are wall clock, milliseconds. */
export interface KeptStoreLink {
  readonly phase: 'hello' | 'live' | 'over';
  readonly dialler: Dialler;
  readonly incarnation: string | null;
  readonly heard_at_ms: number;
  /** Number of the last call: what is still to come for it and earlier ones is dropped. */
  readonly last_call: number;
}

/** What a session needs of the StoreLink it belongs to. */
export interface StoreSessionOwner {
  readonly heartbeat_ms: number;
  readonly gateway_version: string;
  readonly log: Log;
  /** Whether a link may stay that a principal opened. */
  stands(principal: Principal): boolean;
  /** A valid hello: calls `welcome` or `refuse`. */
  claim(session: StoreSession, hello: StoreHello): void;
  /** The session is over. Gives what its calls are told. */
  ended(session: StoreSession): Failure;
}

export class StoreSession implements LinkReceiver {
  incarnation: string | null;
  readonly asks: StoreAsks;
  readonly dialler: Dialler;
  #phase: KeptStoreLink['phase'];
  #heard_at_ms: number;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #link: Link;
  readonly #owner: StoreSessionOwner;

  /** @param kept what an earlier object had of this link; null for a new one */
  constructor(link: Link, dialler: Dialler, owner: StoreSessionOwner, kept: KeptStoreLink | null) {
    this.#link = link;
    this.dialler = dialler;
    this.#owner = owner;
    this.#phase = kept?.phase ?? 'hello';
    this.incarnation = kept?.incarnation ?? null;
    this.#heard_at_ms = kept?.heard_at_ms ?? Date.now();
    // The clock tells the numbers of this object's calls from those of an earlier one's that were not kept.
    const last_call = Math.max(Date.now() * 1_000, kept?.last_call ?? 0);
    this.asks = new StoreAsks((frame) => this.#send(frame), last_call);
    if (this.#phase === 'hello') this.#timer = setTimeout(() => this.close(CLOSE.protocol, 'no hello'), HELLO_WAIT_MS);
  }

  get phase(): KeptStoreLink['phase'] {
    return this.#phase;
  }

  /** Wall clock, milliseconds. */
  get heard_at_ms(): number {
    return Math.max(this.#heard_at_ms, this.#link.heardAt_ms?.() ?? 0);
  }

  kept(): KeptStoreLink {
    const { dialler, incarnation, heard_at_ms } = this;
    return { phase: this.#phase, dialler, incarnation, heard_at_ms, last_call: this.asks.lastNumber };
  }

  receive(text: string) {
    if (this.#phase === 'over') return;
    this.#heard_at_ms = Date.now();
    if (!this.#owner.stands(this.dialler.principal)) return this.close(CLOSE.protocol, 'token revoked');
    if (text === HEARTBEAT_TEXT && this.#phase === 'live') return this.#link.send(HEARTBEAT_TEXT);
    if (isTooLarge(text)) return this.close(CLOSE.too_large, 'frame too large');
    if (this.#phase === 'hello') return this.#greet(text);
    const read = readFrame(StoreFrame, text);
    if (read.ok) this.#take(read.frame);
    else this.close(CLOSE.protocol, read.error);
  }

  closed() {
    this.#end();
  }

  welcome(incarnation: string) {
    this.incarnation = incarnation;
    this.#phase = 'live';
    clearTimeout(this.#timer);
    const { gateway_version, heartbeat_ms } = this.#owner;
    const frame_max_bytes = FRAME_MAX_BYTES;
    this.#send({ type: 'welcome', version: STORE_VERSION, gateway_version, heartbeat_ms, frame_max_bytes });
  }

  /** @param retry false when dialling again cannot help until somebody changes something. */
  refuse(code: string, message: string, retry: boolean) {
    this.#owner.log.warn(`store of ${this.dialler.principal.name} refused: ${message}`, { code });
    refuseLink(this.#link, code, message, retry);
    this.#end();
  }

  close(code: number, reason: string) {
    if (this.#phase === 'over') return;
    if (code !== CLOSE.going_away) this.#owner.log.warn(`store link closed: ${reason}`, { code });
    closeLink(this.#link, code, reason);
    this.#end();
  }

  #greet(text: string) {
    const version = announcedVersion(text);
    if (version !== null && version !== STORE_VERSION) {
      const message = `this gateway speaks store link version ${STORE_VERSION}, the telemetry service ${version}: install the same release on both`;
      return this.refuse('version_mismatch', message, false);
    }
    const read = readFrame(StoreFrame, text);
    if (!read.ok) {
      if (version === null) return this.close(CLOSE.protocol, read.error);
      return this.refuse('bad_hello', read.error, false);
    }
    if (read.frame.type !== 'hello') return this.close(CLOSE.protocol, `${read.frame.type} before hello`);
    this.#owner.claim(this, read.frame);
  }

  #take(frame: StoreFrame) {
    switch (frame.type) {
      case 'answer':
        return this.asks.answer(frame.call, frame.part, frame.more);
      case 'fault':
        return this.asks.fault(frame.call, frame.error);
      case 'got':
        return this.asks.got(frame.call);
      case 'heartbeat':
        return this.#link.send(HEARTBEAT_TEXT);
      case 'bye':
        this.#owner.log.info(`the telemetry store said bye: ${frame.reason}`);
        closeLink(this.#link, CLOSE.normal, 'bye');
        return this.#end();
      case 'hello':
        return this.close(CLOSE.protocol, 'hello twice');
    }
  }

  #send(frame: StoreGatewayFrame) {
    if (this.#phase !== 'over') this.#link.send(JSON.stringify(frame));
  }

  #end() {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    clearTimeout(this.#timer);
    this.asks.end(this.#owner.ended(this));
  }
}
