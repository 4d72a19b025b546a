/**
 * One link, from `hello` to the end, as contract/link.ts tells it.
 *
 *  1. `hello` within HELLO_WAIT_MS, in a version and with a host name that fit, else `refuse` and close. The host must be
 *     the one that the link was opened for, and one that whoever opened it may publish. When another incarnation already
 *     has the name, the hub decides; until then the session is `contested` and answers nothing.
 *  2. After `welcome`: publish frames go to the stream, answers to the call table, events to the relay.
 *  3. Any frame proves life. A heartbeat goes out after `heartbeat_ms` without a frame of ours; after three of them
 *     without a frame of theirs the link is closed. A hub that is asked to tick has no timer for the former: it sends its
 *     heartbeat in answer to a frame, for an agent that is silent sends heartbeats, and the runtime may answer those.
 *  4. A link whose token is revoked, or expires, is closed at the next tick.
 *  5. Whatever does not fit closes the link with 1008 (1009 for size) and a reason that says what did not.
 *  6. `kept` tells where the session is, so that another object can go on with the same link.
 */
import type { Log } from '../../base/index.ts';
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
  SILENCE_MAX_HEARTBEATS,
} from '../../contract/index.ts';
import { HELLO_WAIT_MS, SYNC_WAIT_MS } from '../limits.ts';
import type { Dialler, Link, LinkReceiver, Principal, Telemetry } from '../ports.ts';
import { type CallBudget, CallTable } from './calls.ts';
import { type EventCounts, EventRelay } from './event-relay.ts';
import { announcedVersion, closeLink, isTooLarge } from './frame-text.ts';
import type { HostLink, HostState } from './host.ts';
import type { NodeStore } from './host-nodes.ts';
import type { NodeChange } from './node-change.ts';
import { type KeptStream, PublishedStream } from './stream.ts';

/** Of an agent's version, characters that are remembered. */
const VERSION_MAX_CHARS = 64;

/** What is remembered of a hello. */
export type Greeting = Pick<HelloFrame, 'host' | 'incarnation' | 'agent_version'>;

export class HubCounts {
  gaps = 0;
  stale_frames = 0;
}

/** All that a session needs to go on in another hub object, as JSON. Times are milliseconds of the hub's clock. */
export interface KeptSession {
  readonly phase: 'hello' | 'contested' | 'live' | 'over';
  readonly dialler: Dialler;
  readonly hello: Greeting | null;
  readonly heard_at_ms: number;
  readonly sent_at_ms: number;
  readonly waits_since_ms: number;
  readonly contested_at_ms: number;
  readonly hasPublished: boolean;
  readonly stream: KeptStream | null;
  /** Per producer, the lowest number that has to come (again) before anything later may pass. */
  readonly events: Readonly<Record<string, number>>;
}

/** What a session needs of the hub it belongs to. */
export interface SessionOwner {
  readonly heartbeat_ms: number;
  /** Who looks after what is due (HubOptions.ticks). */
  readonly ticks: 'own' | 'asked';
  readonly gateway_version: string;
  readonly store: NodeStore;
  readonly budget: CallBudget;
  readonly linkCounts: HubCounts;
  readonly eventCounts: EventCounts;
  readonly telemetry: Telemetry | null;
  readonly log: Log;
  /** Whether a link may stay that a principal opened. */
  stands(principal: Principal): boolean;
  /** Milliseconds of the clock that sessions go by. */
  now(): number;
  /** What `kept` gives has changed, perhaps outside of an event of the session's link. */
  onKept(session: LinkSession): void;
  /** Runs what writes to the keeper and goes on, with a line in the log, when it cannot be written. */
  attempt(write: () => void): void;
  /** What is due next of a session may be due sooner. */
  dueChanged(session: LinkSession): void;
  /** A valid hello: calls `session.welcome`, `session.refuse` or `session.contest`, now or later. */
  claim(session: LinkSession, hello: Greeting): void;
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

export class LinkSession implements LinkReceiver, HostLink {
  readonly link: Link;
  host: HostState | null = null;
  hello: Greeting | null;
  readonly calls: CallTable;
  contested_at_ms: number;
  /** True once a whole state has come over this very link. */
  hasPublished = false;
  #phase: KeptSession['phase'];
  #heard_at_ms: number;
  #sent_at_ms: number;
  /** When the wait for a hello, or for a whole state, began. */
  #waits_since_ms: number;
  #stream: PublishedStream | null = null;
  readonly #events: EventRelay;
  readonly #dialler: Dialler;
  readonly #owner: SessionOwner;

  /** @param kept where an earlier object left the session; default: it is new. Of one that is live, `resume` follows. */
  constructor(link: Link, dialler: Dialler, owner: SessionOwner, kept: KeptSession | null = null) {
    this.link = link;
    this.#dialler = dialler;
    this.#owner = owner;
    const now_ms = owner.now();
    this.#phase = kept?.phase ?? 'hello';
    this.hello = kept?.hello ?? null;
    this.contested_at_ms = kept?.contested_at_ms ?? 0;
    this.#heard_at_ms = kept?.heard_at_ms ?? now_ms;
    this.#sent_at_ms = kept?.sent_at_ms ?? now_ms;
    this.#waits_since_ms = kept?.waits_since_ms ?? now_ms;
    const send = (frame: GatewayFrame) => this.#send(frame);
    // Far above the numbers of the earlier object, whose answers may still come.
    this.calls = new CallTable(send, owner.budget, kept === null ? 0 : Date.now() * 1_000);
    const { telemetry, log, eventCounts } = owner;
    const onKept = () => owner.onKept(this);
    this.#events = new EventRelay(send, telemetry, log, eventCounts, kept?.events, onKept);
  }

  /** When the last sign of life came, milliseconds of the hub's clock. */
  get heard_at_ms(): number {
    return Math.max(this.#heard_at_ms, this.answered_at_ms ?? 0);
  }

  /** Whoever waited long for the welcome has yet to be heard after it. */
  get alive_at_ms(): number {
    return Math.max(this.heard_at_ms, this.#waits_since_ms);
  }

  get answered_at_ms(): number | null {
    return this.link.heardAt_ms?.() ?? null;
  }

  /** Whoever opened the link. */
  get principal(): Principal {
    return this.#dialler.principal;
  }

  /** Where the session is. */
  kept(): KeptSession {
    return {
      phase: this.#phase,
      dialler: this.#dialler,
      hello: this.hello,
      heard_at_ms: this.#heard_at_ms,
      sent_at_ms: this.#sent_at_ms,
      waits_since_ms: this.#waits_since_ms,
      contested_at_ms: this.contested_at_ms,
      hasPublished: this.hasPublished,
      stream: this.#stream?.kept ?? null,
      events: this.#events.kept(),
    };
  }

  /** Goes on where an earlier object was, on the host that it was for. */
  resume(host: HostState, { stream, hasPublished }: KeptSession): void {
    this.host = host;
    host.heard(this.#heard_at_ms);
    this.hasPublished = hasPublished && host.hasState;
    this.#stream = new PublishedStream(host.key, this.#owner.store, stream, this.hasPublished ? host.identity : null);
  }

  receive(text: string) {
    if (this.#phase === 'over') return;
    const now_ms = this.#owner.now();
    this.#heard_at_ms = now_ms;
    this.host?.heard(Date.now());
    this.#read(text);
    // Only what is due, and with no timer of ours: see 3.
    if (this.#owner.ticks === 'asked' && this.#phase === 'live') this.#beat(now_ms);
  }

  #read(text: string) {
    if (isTooLarge(text)) return this.close(CLOSE.too_large, 'frame too large');
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
    host.heard(Date.now());
    this.#phase = 'live';
    this.#waits_since_ms = this.#owner.now();
    this.#stream = new PublishedStream(host.key, this.#owner.store);
    this.#send({
      type: 'welcome',
      version: LINK_VERSION,
      gateway_version: this.#owner.gateway_version,
      heartbeat_ms: this.#owner.heartbeat_ms,
      frame_max_bytes: FRAME_MAX_BYTES,
    });
    this.#owner.onKept(this);
  }

  /** @param now_ms milliseconds of the hub's clock, later for each newcomer. */
  contest(now_ms: number) {
    this.#phase = 'contested';
    this.contested_at_ms = now_ms;
  }

  /** @param retry false when dialling again cannot help until somebody changes something. */
  refuse(code: string, message: string, retry: boolean) {
    this.#owner.log.warn(`link of ${this.principal.name} refused: ${message}`, { code, host: this.hello?.host });
    this.#send({ type: 'refuse', code, message, retry });
    this.close(CLOSE.protocol, code);
  }

  close(code: number, reason: string) {
    if (this.#phase === 'over') return;
    if (code !== CLOSE.going_away) this.#owner.log.warn(`link closed: ${reason}`, { code, host: this.hello?.host });
    closeLink(this.link, code, reason);
    this.#end(false);
  }

  /** Sends what is due and closes what has been silent for too long. */
  tick(now_ms: number) {
    const { heartbeat_ms, ticks } = this.#owner;
    const waited_ms = now_ms - this.#waits_since_ms;
    if (!this.#owner.stands(this.principal)) return this.close(CLOSE.protocol, 'token revoked');
    if (this.#phase === 'hello' && waited_ms >= HELLO_WAIT_MS) return this.close(CLOSE.protocol, 'no hello');
    if (this.#phase !== 'live') return;
    if (now_ms - this.alive_at_ms >= SILENCE_MAX_HEARTBEATS * heartbeat_ms) {
      return this.close(CLOSE.protocol, 'silent for too long');
    }
    if (this.#stream?.isSettled !== true && waited_ms >= SYNC_WAIT_MS)
      return this.close(CLOSE.protocol, 'no whole sync');
    if (ticks === 'own') this.#beat(now_ms);
  }

  /** When a tick next has to look at this session, milliseconds of the hub's clock; infinite when never. */
  due_ms(): number {
    if (this.#phase === 'hello') return this.#waits_since_ms + HELLO_WAIT_MS;
    if (this.#phase !== 'live') return Number.POSITIVE_INFINITY;
    const silence_ms = this.alive_at_ms + SILENCE_MAX_HEARTBEATS * this.#owner.heartbeat_ms;
    return this.#stream?.isSettled === true ? silence_ms : Math.min(silence_ms, this.#waits_since_ms + SYNC_WAIT_MS);
  }

  #beat(now_ms: number) {
    if (now_ms - this.#sent_at_ms >= this.#owner.heartbeat_ms) this.#send({ type: 'heartbeat' });
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
    const { incarnation, agent_version } = read.frame;
    this.hello = { host, incarnation, agent_version: agent_version.slice(0, VERSION_MAX_CHARS) };
    this.#owner.claim(this, this.hello);
  }

  #take(frame: AgentFrame) {
    switch (frame.type) {
      case 'sync':
      case 'delta':
        try {
          return this.#publish(frame);
        } catch (error) {
          // The agent dials again, and sends its whole state: nothing is shown that was not kept.
          this.#owner.log.warn(`the state of host ${this.host?.name} could not be kept: ${error}`);
          return this.close(CLOSE.going_away, 'the state could not be kept');
        }
      case 'answer':
        return this.calls.answer(frame.call, frame.part, frame.more);
      case 'fault':
        return this.calls.fault(frame.call, frame.error);
      case 'events':
        return this.#events.take(frame.batch);
      case 'bye':
        this.#owner.log.info(`host ${this.host?.name} said bye: ${frame.reason}`);
        this.link.close(CLOSE.normal, 'bye');
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
        this.#waitAgain();
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
        return this.#waitAgain();
      case 'change': {
        const error = host.change(step.nodes, step.removed);
        if (error !== null) this.close(CLOSE.protocol, error);
      }
    }
  }

  #waitAgain() {
    this.#waits_since_ms = this.#owner.now();
    this.#owner.dueChanged(this);
  }

  #send(frame: GatewayFrame) {
    if (this.#phase === 'over') return;
    this.#sent_at_ms = this.#owner.now();
    this.link.send(JSON.stringify(frame));
  }

  #end(isBye: boolean) {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#events.close();
    this.#owner.attempt(() => this.#stream?.close());
    this.#owner.onKept(this);
    this.#owner.ended(this, isBye);
    // After `ended`, so that readers who are told of the loss already find the host without a link.
    this.calls.loseAll();
  }
}

export function hostKeyOf(hello: Greeting): string {
  return locationKey(hostLocation(hello.host));
}
