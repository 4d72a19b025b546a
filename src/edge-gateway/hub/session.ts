/**
 * One link, from `hello` to the end, as contract/link.ts tells it.
 *
 *  1. `hello` within HELLO_WAIT_MS, in a version and with a host name that fit, else `refuse` and close. The host must be
 *     the one that the link was opened for, and one that whoever opened it may publish. When another
 *     incarnation already has the name, the hub decides; until then the session is `contested` and answers nothing.
 *  2. After `welcome`: publish frames go to the stream, answers to the call table, events to the relay.
 *  3. Any frame proves life. A heartbeat goes out after `heartbeat_ms` without a frame of ours; after three of them
 *     without a frame of theirs the link is closed.
 *  4. Whatever does not fit closes the link with 1008 (1009 for size) and a reason that says what did not.
 */
import {
  AgentFrame,
  CLOSE,
  FRAME_MAX_BYTES,
  type GatewayFrame,
  type HelloFrame,
  hostLocation,
  LINK_VERSION,
  locationKey,
  readFrame,
} from '../../contract/index.ts';
import { HELLO_WAIT_MS, SYNC_WAIT_MS } from '../limits.ts';
import type { Dialler, Link, LinkReceiver, Log, Telemetry } from '../ports.ts';
import { type CallBudget, CallTable } from './calls.ts';
import { type EventCounts, EventRelay } from './event-relay.ts';
import type { HostState } from './host.ts';
import type { NodeChange } from './node-change.ts';
import { PublishedStream } from './stream.ts';

/** What a close frame has room for (RFC 6455, 5.5). */
const CLOSE_REASON_MAX_BYTES = 123;

export class HubCounts {
  gaps = 0;
  stale_frames = 0;
}

/** What a session needs of the hub it belongs to. */
export interface SessionOwner {
  readonly heartbeat_ms: number;
  readonly gateway_version: string;
  readonly budget: CallBudget;
  readonly linkCounts: HubCounts;
  readonly eventCounts: EventCounts;
  readonly telemetry: Telemetry | null;
  readonly log: Log;
  /** A valid hello: calls `session.welcome`, `session.refuse` or `session.contest`, now or later. */
  claim(session: LinkSession, hello: HelloFrame): void;
  /**
   * A whole state has come.
   *
   * @param difference from what was known before; null when nothing was, or when it is too much to tell
   * @param isFirst whether it is the first over its link
   */
  published(host: HostState, difference: readonly NodeChange[] | null, isFirst: boolean): void;
  /** The session is over; `isBye` when the agent said so itself. */
  ended(session: LinkSession, isBye: boolean): void;
}

export class LinkSession implements LinkReceiver {
  host: HostState | null = null;
  hello: HelloFrame | null = null;
  readonly calls: CallTable;
  heard_at_ms = performance.now();
  contested_at_ms = 0;
  /** True once a whole state has come over this very link. */
  hasPublished = false;
  #phase: 'hello' | 'contested' | 'live' | 'over' = 'hello';
  #sent_at_ms = performance.now();
  /** When the wait for a hello, or for a whole state, began. */
  #waits_since_ms = performance.now();
  #stream: PublishedStream | null = null;
  readonly #events: EventRelay;
  readonly #link: Link;
  readonly #dialler: Dialler;
  readonly #owner: SessionOwner;

  constructor(link: Link, dialler: Dialler, owner: SessionOwner) {
    this.#link = link;
    this.#dialler = dialler;
    this.#owner = owner;
    const send = (frame: GatewayFrame) => this.#send(frame);
    this.calls = new CallTable(send, owner.budget);
    this.#events = new EventRelay(send, owner.telemetry, owner.log, owner.eventCounts);
  }

  receive(text: string) {
    if (this.#phase === 'over') return;
    this.heard_at_ms = performance.now();
    if (this.host !== null) this.host.heard_at_ms = Date.now();
    if (byteLengthExceeds(text, FRAME_MAX_BYTES)) return this.close(CLOSE.too_large, 'frame too large');
    const read = readFrame(AgentFrame, text);
    if (this.#phase === 'live') return read.ok ? this.#take(read.frame) : this.close(CLOSE.protocol, read.error);
    if (this.#phase === 'contested') {
      const isHarmless = read.ok && (read.frame.type === 'heartbeat' || read.frame.type === 'bye');
      return isHarmless ? undefined : this.close(CLOSE.protocol, 'nothing is sent before welcome');
    }
    this.#greet(text, read);
  }

  closed() {
    this.#end(false);
  }

  welcome(host: HostState) {
    this.host = host;
    host.heard_at_ms = Date.now();
    this.#phase = 'live';
    this.#waits_since_ms = performance.now();
    this.#stream = new PublishedStream(host.key);
    this.#send({
      type: 'welcome',
      version: LINK_VERSION,
      gateway_version: this.#owner.gateway_version,
      heartbeat_ms: this.#owner.heartbeat_ms,
      frame_max_bytes: FRAME_MAX_BYTES,
    });
  }

  contest() {
    this.#phase = 'contested';
    this.contested_at_ms = performance.now();
  }

  /** @param retry false when dialling again cannot help until somebody changes something. */
  refuse(code: string, message: string, retry: boolean) {
    this.#owner.log.warn(`link refused: ${message}`, { code, host: this.hello?.host });
    this.#send({ type: 'refuse', code, message, retry });
    this.close(CLOSE.protocol, code);
  }

  close(code: number, reason: string) {
    if (this.#phase === 'over') return;
    if (code !== CLOSE.going_away) this.#owner.log.warn(`link closed: ${reason}`, { code, host: this.hello?.host });
    this.#link.close(code, firstBytes(reason, CLOSE_REASON_MAX_BYTES));
    this.#end(false);
  }

  /** Called every now and then: sends what is due and closes what has been silent for too long. */
  tick(now_ms: number) {
    const { heartbeat_ms } = this.#owner;
    const waited_ms = now_ms - this.#waits_since_ms;
    if (this.#phase === 'hello' && waited_ms >= HELLO_WAIT_MS) return this.close(CLOSE.protocol, 'no hello');
    if (this.#phase !== 'live') return;
    if (now_ms - this.heard_at_ms >= 3 * heartbeat_ms) return this.close(CLOSE.protocol, 'silent for too long');
    if (this.#stream?.isSettled !== true && waited_ms >= SYNC_WAIT_MS)
      return this.close(CLOSE.protocol, 'no whole sync');
    if (now_ms - this.#sent_at_ms >= heartbeat_ms) this.#send({ type: 'heartbeat' });
  }

  #greet(text: string, read: ReturnType<typeof readFrame<typeof AgentFrame>>) {
    const version = announcedVersion(text);
    if (version !== null && version !== LINK_VERSION) {
      const message = `this gateway speaks link version ${LINK_VERSION}, the agent ${version}: install the same release on both`;
      return this.refuse('version_mismatch', message, false);
    }
    if (!read.ok) {
      if (version === null) return this.close(CLOSE.protocol, read.error);
      const code = read.error.startsWith('frame host:') ? 'bad_host_name' : 'bad_hello';
      return this.refuse(code, read.error, false);
    }
    if (read.frame.type !== 'hello') return this.close(CLOSE.protocol, `${read.frame.type} before hello`);
    const { host } = read.frame;
    const { principal } = this.#dialler;
    if (this.#dialler.host !== null && this.#dialler.host !== host) {
      return this.refuse('host_mismatch', `the link was opened for host '${this.#dialler.host}', not '${host}'`, false);
    }
    if (principal.hosts !== null && !principal.hosts.includes(host)) {
      const message = `the token '${principal.name}' may publish ${principal.hosts.join(', ')}, not '${host}'`;
      return this.refuse('host_forbidden', message, false);
    }
    this.hello = read.frame;
    this.#owner.claim(this, read.frame);
  }

  #take(frame: AgentFrame) {
    switch (frame.type) {
      case 'sync':
      case 'delta':
        return this.#publish(frame);
      case 'answer':
        return this.calls.answer(frame.call, frame.part, frame.more);
      case 'fault':
        return this.calls.fault(frame.call, frame.error);
      case 'events':
        return this.#events.take(frame.batch);
      case 'bye':
        this.#owner.log.info(`host ${this.host?.name} said bye: ${frame.reason}`);
        this.#link.close(CLOSE.normal, 'bye');
        return this.#end(true);
      case 'heartbeat':
        return;
      case 'hello':
        return this.close(CLOSE.protocol, 'hello twice');
    }
  }

  #publish(frame: Extract<AgentFrame, { type: 'sync' | 'delta' }>) {
    const { host } = this;
    const step = this.#stream?.take(frame);
    if (host === null || step === undefined) return;
    switch (step.kind) {
      case 'nothing':
        return;
      case 'stale':
        this.#owner.linkCounts.stale_frames += 1;
        return;
      case 'gap':
        this.#owner.linkCounts.gaps += 1;
        this.#waits_since_ms = performance.now();
        this.#owner.log.warn(`host ${host.name}: ${step.reason}, asking for a new sync`);
        return this.#send({ type: 'resync', reason: step.reason });
      case 'violation':
        return this.close(CLOSE.protocol, step.reason);
      case 'replace': {
        const isFirst = !this.hasPublished;
        const difference = host.replace(step.nodes);
        this.hasPublished = true;
        return this.#owner.published(host, difference, isFirst);
      }
      case 'begun':
        this.#waits_since_ms = performance.now();
        return;
      case 'change': {
        const error = host.change(step.nodes, step.removed);
        if (error !== null) this.close(CLOSE.protocol, error);
      }
    }
  }

  #send(frame: GatewayFrame) {
    if (this.#phase === 'over') return;
    this.#sent_at_ms = performance.now();
    this.#link.send(JSON.stringify(frame));
  }

  #end(isBye: boolean) {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#events.close();
    this.#owner.ended(this, isBye);
    // After `ended`, so that readers who are told of the loss already find the host without a link.
    this.calls.loseAll();
  }
}

/** The version that a hello announces, whatever else is wrong with it: an agent from the future still gets told. */
function announcedVersion(text: string): number | null {
  try {
    const frame: unknown = JSON.parse(text);
    if (typeof frame !== 'object' || frame === null) return null;
    if (!('type' in frame) || frame.type !== 'hello' || !('version' in frame)) return null;
    return typeof frame.version === 'number' ? frame.version : null;
  } catch {
    return null;
  }
}

function byteLengthExceeds(text: string, max_bytes: number): boolean {
  if (text.length * 3 <= max_bytes) return false;
  return text.length > max_bytes || new TextEncoder().encode(text).length > max_bytes;
}

/** As many whole characters as fit. */
function firstBytes(text: string, max_bytes: number): string {
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(max_bytes)).read);
}

export function hostKeyOf(hello: HelloFrame): string {
  return locationKey(hostLocation(hello.host));
}
