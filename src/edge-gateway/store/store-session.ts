/**
 * One link of a telemetry service, on top of what both kinds of link have (link/accepting), as contract/store-link.ts
 * describes it:
 *
 *  1. `hello` within `hello_wait_ms`, else the link is closed. Whether this store is taken is for the StoreLink to say.
 *  2. After `welcome`: answers go to the calls, and each heartbeat is answered with one. Nothing else is timed here, so
 *     that an object that sleeps between frames may sleep.
 *  3. A link whose token is revoked, or expires, is closed at the next frame of its store, or the next call.
 */
import type { Failure, Log } from '../../base/index.ts';
import {
  CLOSE,
  HEARTBEAT_TEXT,
  type StoreFrame,
  type StoreGatewayFrame,
  type StoreHello,
} from '../../contract/index.ts';
import {
  AcceptedLink,
  type AcceptedLinkOwner,
  type Link,
  type LinkPhase,
  type LinkReceiver,
  STORE_LINK,
} from '../../link/index.ts';
import type { GatewayLimits } from '../limits.ts';
import type { Dialler, Principal } from '../ports.ts';
import { StoreAsks } from './store-asks.ts';

/** Everything that another object needs to continue a session: JSON of well below 2 KB. Times are wall clock, milliseconds. */
export interface KeptStoreLink {
  readonly phase: LinkPhase;
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
  readonly limits: GatewayLimits;
  readonly log: Log;
  /** Whether a link that the principal opened may stay. */
  mayStay(principal: Principal): boolean;
  /** A valid hello: calls `welcome` or `refuse`. */
  claim(session: StoreSession, hello: StoreHello): void;
  /** The session is over. @returns the failure that its calls end with */
  ended(session: StoreSession): Failure;
}

export class StoreSession implements LinkReceiver, AcceptedLinkOwner<StoreFrame> {
  readonly log: Log;
  readonly asks: StoreAsks;
  readonly dialler: Dialler;
  incarnation: string | null;
  readonly #link: Link;
  readonly #accepted: AcceptedLink<StoreFrame, StoreGatewayFrame>;
  readonly #owner: StoreSessionOwner;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  #heard_at_ms: number;

  /** @param kept what an earlier object had of this link; null for a new one */
  constructor(link: Link, dialler: Dialler, owner: StoreSessionOwner, kept: KeptStoreLink | null) {
    this.log = owner.log;
    this.#link = link;
    this.dialler = dialler;
    this.#owner = owner;
    this.#accepted = new AcceptedLink(link, STORE_LINK, this, kept?.phase);
    this.incarnation = kept?.incarnation ?? null;
    this.#heard_at_ms = kept?.heard_at_ms ?? Date.now();
    // Numbers from the clock are above those of an earlier object, even where its last number was not kept.
    const last_call = Math.max(Date.now() * 1_000, kept?.last_call ?? 0);
    this.asks = new StoreAsks((frame) => this.#accepted.send(frame), owner.limits, last_call);
    if (this.phase === 'hello') {
      this.#timer = setTimeout(() => this.close(CLOSE.protocol, 'no hello'), owner.limits.hello_wait_ms);
    }
  }

  get phase(): LinkPhase {
    return this.#accepted.phase;
  }

  /** Wall clock, milliseconds. */
  get heard_at_ms(): number {
    return Math.max(this.#heard_at_ms, this.#link.heardAt_ms?.() ?? 0);
  }

  kept(): KeptStoreLink {
    const { phase, dialler, incarnation, heard_at_ms } = this;
    return { phase, dialler, incarnation, heard_at_ms, last_call: this.asks.lastNumber };
  }

  about() {
    return { name: this.dialler.principal.name };
  }

  receive(text: string) {
    if (this.phase === 'over') return;
    this.#heard_at_ms = Date.now();
    if (!this.#owner.mayStay(this.dialler.principal)) return this.close(CLOSE.protocol, 'token revoked');
    this.#accepted.receive(text);
  }

  closed() {
    this.#accepted.closed();
  }

  welcome(incarnation: string) {
    this.incarnation = incarnation;
    this.#accepted.welcome(this.#owner);
  }

  /** @param retry false when dialling again cannot help until somebody changes something. */
  refuse(code: string, message: string, retry: boolean) {
    this.#accepted.refuse(code, message, retry);
  }

  close(code: number, reason: string) {
    this.#accepted.close(code, reason);
  }

  greeted(hello: StoreHello) {
    clearTimeout(this.#timer);
    this.#owner.claim(this, hello);
  }

  received(frame: Exclude<StoreFrame, { readonly type: 'hello' }>) {
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
        this.log.info(`the telemetry store said bye: ${frame.reason}`);
        return this.close(CLOSE.normal, 'bye');
      default:
        frame satisfies never;
    }
  }

  ended() {
    clearTimeout(this.#timer);
    this.asks.end(this.#owner.ended(this));
  }
}
