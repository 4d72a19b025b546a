/**
 * One link of an agent, on top of what both kinds of link have (link/accepting), as contract/link.ts describes it:
 *
 *  1. `hello` within `hello_wait_ms`, with a host name and a location that fit, else `refuse` and close. The host must be the
 *     one that the link was opened for, and one that its principal may publish. When another incarnation already
 *     has the name, the hub decides; until then the session is `contested` and answers nothing.
 *  2. After `welcome`: publish frames go to the stream, answers to the calls, events to the relay.
 *  3. Any frame proves life. A heartbeat goes out after `heartbeat_ms` without a frame of ours; after three of them
 *     without a frame of theirs the link is closed. A hub with an external timer has no timer for the former: it sends its
 *     heartbeat in answer to a frame, for an agent that is silent sends heartbeats, and the runtime may answer those.
 *  4. A link whose token is revoked, or expires, is closed at the next tick.
 *  5. `kept` tells where the session is, so that another object can continue the same link.
 */
import type { Log } from '../../base/index.ts';
import {
  type AgentFrame,
  CLOSE,
  type GatewayFrame,
  type HelloFrame,
  SILENCE_MAX_HEARTBEATS,
} from '../../contract/index.ts';
import {
  AcceptedLink,
  type AcceptedLinkOwner,
  AGENT_LINK,
  type CallBudget,
  type Link,
  type LinkPhase,
  type LinkReceiver,
} from '../../link/index.ts';
import type { GatewayLimits } from '../limits.ts';
import type { Dialler, Principal, Telemetry } from '../ports.ts';
import { type AgentCalls, agentCalls } from './calls.ts';
import type { HubTimer } from './clock.ts';
import { type EventCounts, EventRelay } from './event-relay.ts';
import type { HostState } from './host.ts';
import { type Greeting, type HostLink, keyOfHello, keyOfName } from './host-link.ts';
import type { NodeStore } from './host-nodes.ts';
import type { NodeChange } from './node-change.ts';
import { type KeptStream, PublishedStream } from './stream.ts';

export class HubCounts {
  gaps = 0;
  stale_frames = 0;
}

/** Everything that another hub object needs to continue a session, as JSON. Times are milliseconds of the hub's clock. */
export interface KeptSession {
  readonly phase: LinkPhase;
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
  readonly timer: HubTimer;
  readonly gateway_version: string;
  readonly limits: GatewayLimits;
  readonly store: NodeStore;
  readonly budget: CallBudget;
  readonly linkCounts: HubCounts;
  readonly eventCounts: EventCounts;
  readonly telemetry: Telemetry | null;
  readonly log: Log;
  /** Whether a link that the principal opened may stay. */
  mayStay(principal: Principal): boolean;
  /** Milliseconds of the clock that sessions go by. */
  now(): number;
  /** What `kept` gives has changed, perhaps outside of an event of the session's link. */
  onKept(session: LinkSession): void;
  /** Runs a write to the keeper; when it fails, logs that and goes on. */
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

export class LinkSession implements LinkReceiver, HostLink, AcceptedLinkOwner<AgentFrame> {
  readonly log: Log;
  readonly link: Link;
  host: HostState | null = null;
  hello: Greeting | null;
  readonly calls: AgentCalls;
  contested_at_ms: number;
  /** True once a whole state has come over this very link. */
  hasPublished = false;
  readonly #accepted: AcceptedLink<AgentFrame, GatewayFrame>;
  #heard_at_ms: number;
  #sent_at_ms: number;
  /** When the wait for a hello, or for a whole state, began. */
  #waits_since_ms: number;
  #stream: PublishedStream | null = null;
  #isBye = false;
  readonly #events: EventRelay;
  readonly #dialler: Dialler;
  readonly #owner: SessionOwner;

  /** @param kept where an earlier object left the session; default: it is new. Of one that is live, `resume` follows. */
  constructor(link: Link, dialler: Dialler, owner: SessionOwner, kept: KeptSession | null = null) {
    this.log = owner.log;
    this.link = link;
    this.#accepted = new AcceptedLink(link, AGENT_LINK, this, kept?.phase);
    this.#dialler = dialler;
    this.#owner = owner;
    const now_ms = owner.now();
    this.hello = kept?.hello ?? null;
    this.contested_at_ms = kept?.contested_at_ms ?? 0;
    this.#heard_at_ms = kept?.heard_at_ms ?? now_ms;
    this.#sent_at_ms = kept?.sent_at_ms ?? now_ms;
    this.#waits_since_ms = kept?.waits_since_ms ?? now_ms;
    const send = (frame: GatewayFrame) => this.#send(frame);
    // Far above the numbers of the earlier object, whose answers may still come.
    this.calls = agentCalls(send, owner.budget, owner.limits, kept === null ? 0 : Date.now() * 1_000);
    const { telemetry, log, eventCounts, limits } = owner;
    const onKept = () => owner.onKept(this);
    this.#events = new EventRelay(send, telemetry, log, eventCounts, limits, kept?.events, onKept);
  }

  /** When the last sign of life came, milliseconds of the hub's clock. */
  get heard_at_ms(): number {
    return Math.max(this.#heard_at_ms, this.answered_at_ms ?? 0);
  }

  /** A session that waited long for its welcome cannot have been heard since. */
  get alive_at_ms(): number {
    return Math.max(this.heard_at_ms, this.#waits_since_ms);
  }

  get answered_at_ms(): number | null {
    return this.link.heardAt_ms?.() ?? null;
  }

  /** The principal that opened the link. */
  get principal(): Principal {
    return this.#dialler.principal;
  }

  /** Where the session is. */
  kept(): KeptSession {
    return {
      phase: this.#accepted.phase,
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
    if (this.#accepted.phase === 'over') return;
    const now_ms = this.#owner.now();
    this.#heard_at_ms = now_ms;
    this.host?.heard(Date.now());
    this.#accepted.receive(text);
    // Only what is due, and with no timer of ours: see 3.
    if (this.#owner.timer === 'external' && this.#accepted.phase === 'live') this.#beat(now_ms);
  }

  closed() {
    this.#accepted.closed();
  }

  about() {
    return { name: this.principal.name, fields: { host: this.hello?.host } };
  }

  welcome(host: HostState) {
    this.host = host;
    host.heard(Date.now());
    this.#waits_since_ms = this.#owner.now();
    this.#sent_at_ms = this.#waits_since_ms;
    this.#stream = new PublishedStream(host.key, this.#owner.store);
    this.#accepted.welcome(this.#owner);
    this.#owner.onKept(this);
  }

  /** @param now_ms milliseconds of the hub's clock, later for each newcomer. */
  contest(now_ms: number) {
    this.contested_at_ms = now_ms;
  }

  /** @param retry false when dialling again cannot help until somebody changes something. */
  refuse(code: string, message: string, retry: boolean) {
    this.#accepted.refuse(code, message, retry);
  }

  close(code: number, reason: string) {
    this.#accepted.close(code, reason);
  }

  /** Sends what is due and closes what has been silent for too long. */
  tick(now_ms: number) {
    const { heartbeat_ms, timer, limits } = this.#owner;
    const waited_ms = now_ms - this.#waits_since_ms;
    if (!this.#owner.mayStay(this.principal)) return this.close(CLOSE.protocol, 'token revoked');
    const { phase } = this.#accepted;
    if (phase === 'hello' && waited_ms >= limits.hello_wait_ms) return this.close(CLOSE.protocol, 'no hello');
    if (phase !== 'live') return;
    if (now_ms - this.alive_at_ms >= SILENCE_MAX_HEARTBEATS * heartbeat_ms) {
      return this.close(CLOSE.protocol, 'silent for too long');
    }
    if (this.#stream?.isSettled !== true && waited_ms >= limits.sync_wait_ms)
      return this.close(CLOSE.protocol, 'no whole sync');
    if (timer === 'internal') this.#beat(now_ms);
  }

  /** When a tick next has to look at this session, milliseconds of the hub's clock; infinite when never. */
  due_ms(): number {
    const { phase } = this.#accepted;
    const { heartbeat_ms, limits } = this.#owner;
    if (phase === 'hello') return this.#waits_since_ms + limits.hello_wait_ms;
    if (phase !== 'live') return Number.POSITIVE_INFINITY;
    const silence_ms = this.alive_at_ms + SILENCE_MAX_HEARTBEATS * heartbeat_ms;
    return this.#stream?.isSettled === true
      ? silence_ms
      : Math.min(silence_ms, this.#waits_since_ms + limits.sync_wait_ms);
  }

  #beat(now_ms: number) {
    if (now_ms - this.#sent_at_ms >= this.#owner.heartbeat_ms) this.#send({ type: 'heartbeat' });
  }

  greeted(frame: HelloFrame) {
    const { host, incarnation, agent_version } = frame;
    const { principal } = this.#dialler;
    const { limits } = this.#owner;
    const key = keyOfHello(frame);
    this.hello = {
      host,
      incarnation,
      agent_version: agent_version.slice(0, limits.agent_version_max_chars),
      key: key ?? '',
    };
    if (this.#dialler.host !== null && this.#dialler.host !== host) {
      return this.refuse('host_mismatch', `the link was opened for host '${this.#dialler.host}', not '${host}'`, false);
    }
    if (key === null) return this.refuse('bad_location', `not a location: '${frame.location}'`, false);
    if (principal.hosts !== null) {
      const allowed = principal.hosts.join(', ');
      if (!principal.hosts.includes(host)) {
        return this.refuse(
          'host_forbidden',
          `the token '${principal.name}' may publish ${allowed}, not '${host}'`,
          false,
        );
      }
      if (key !== keyOfName(host)) {
        const message = `the token '${principal.name}' may publish ${allowed} at the location of its name only`;
        return this.refuse('location_forbidden', message, false);
      }
    }
    this.#owner.claim(this, this.hello);
  }

  received(frame: Exclude<AgentFrame, { readonly type: 'hello' }>) {
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
        this.#isBye = true;
        return this.close(CLOSE.normal, 'bye');
      case 'heartbeat':
        return;
      default:
        frame satisfies never;
    }
  }

  ended() {
    this.#events.close();
    this.#owner.attempt(() => this.#stream?.close());
    this.#owner.onKept(this);
    this.#owner.ended(this, this.#isBye);
    // After `ended`, so that readers who learn of the loss already find the host without a link.
    this.calls.loseAll();
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
        return;
      }
      default:
        step satisfies never;
    }
  }

  #waitAgain() {
    this.#waits_since_ms = this.#owner.now();
    this.#owner.dueChanged(this);
  }

  #send(frame: GatewayFrame) {
    if (this.#accepted.phase === 'over') return;
    this.#sent_at_ms = this.#owner.now();
    this.#accepted.send(frame);
  }
}
