/**
 * The links of a hub's agents: which are open, and what happens to a host when its link opens and when it ends. A single
 * link is in session.ts; names.ts decides which link gets a contested host name.
 */
import type { Log } from '../../base/index.ts';
import { CLOSE } from '../../contract/index.ts';
import type { CallBudget, Link } from '../../link/index.ts';
import type { GatewayLimits } from '../limits.ts';
import type { LiveListener } from '../live/events.ts';
import type { Dialler, Principal, Telemetry } from '../ports.ts';
import type { HubClock, HubTimer } from './clock.ts';
import { EventCounts } from './event-relay.ts';
import type { HostState } from './host.ts';
import { type Greeting, type HostLink, keyOfName } from './host-link.ts';
import type { NodeStore } from './host-nodes.ts';
import type { Hosts } from './hosts.ts';
import { HostNames, type NameOwner, REPLACED, type Refusal } from './names.ts';
import type { NodeChange } from './node-change.ts';
import { HubCounts, type KeptSession, LinkSession, type SessionOwner } from './session.ts';

export const STOPPING = 'gateway is stopping';

export interface HubLinksOptions {
  readonly heartbeat_ms: number;
  readonly gateway_version: string;
  readonly hosts: Hosts;
  readonly clock: HubClock;
  readonly store: NodeStore;
  readonly budget: CallBudget;
  readonly live: LiveListener;
  readonly telemetry: Telemetry | null;
  readonly log: Log;
  readonly mayStay: (principal: Principal) => boolean;
  readonly onKept: (session: LinkSession) => void;
  /** Runs a write to the keeper; when it fails, logs that and goes on. */
  readonly attempt: (write: () => void) => void;
}

export class HubLinks implements SessionOwner, NameOwner {
  readonly heartbeat_ms: number;
  readonly gateway_version: string;
  readonly budget: CallBudget;
  readonly limits: GatewayLimits;
  readonly store: NodeStore;
  readonly linkCounts = new HubCounts();
  readonly eventCounts = new EventCounts();
  readonly telemetry: Telemetry | null;
  readonly log: Log;
  readonly mayStay: (principal: Principal) => boolean;
  readonly onKept: (session: LinkSession) => void;
  readonly attempt: (write: () => void) => void;
  readonly #hosts: Hosts;
  readonly #clock: HubClock;
  readonly #live: LiveListener;
  readonly #sessions = new Set<LinkSession>();
  readonly #names: HostNames;
  /** Restored sessions of a host that already has one: the end of one was not kept. Their agents dial again. */
  readonly #doubles: LinkSession[] = [];
  #isHome: (key: string) => boolean = () => true;

  constructor(options: HubLinksOptions) {
    this.heartbeat_ms = options.heartbeat_ms;
    this.gateway_version = options.gateway_version;
    this.budget = options.budget;
    this.store = options.store;
    this.limits = options.store.limits;
    this.telemetry = options.telemetry;
    this.log = options.log;
    this.mayStay = options.mayStay;
    this.onKept = options.onKept;
    this.attempt = options.attempt;
    this.#hosts = options.hosts;
    this.#clock = options.clock;
    this.#live = options.live;
    this.#names = new HostNames(this);
  }

  get timer(): HubTimer {
    return this.#clock.timer;
  }

  /** @param isStopping true refuses the link: its agent dials again, here or elsewhere */
  accept(link: Link, dialler: Dialler, isStopping: boolean): LinkSession {
    const { links_max } = this.limits;
    const session = new LinkSession(link, dialler, this);
    if (isStopping) session.close(CLOSE.going_away, STOPPING);
    else if (this.#sessions.size >= links_max) session.refuse('too_many_links', `at most ${links_max} links`, true);
    else this.#sessions.add(session);
    this.dueChanged(session);
    return session;
  }

  /** Puts a session back where its `kept` was, in any order of links. */
  restore(link: Link, kept: KeptSession): LinkSession {
    const session = new LinkSession(link, kept.dialler, this, kept);
    if (kept.phase === 'over') return session;
    this.#sessions.add(session);
    this.#clock.dueChanged();
    if (kept.hello === null) return session;
    const { key, host: name } = kept.hello;
    if (kept.phase === 'contested') {
      this.#names.restore(key, session);
      return session;
    }
    const host = this.#hosts.ensure(key, name);
    if (host.session !== null) this.#doubles.push(session);
    else {
      host.session = session;
      session.resume(host, kept);
    }
    return session;
  }

  /** All links that are still open have been restored (`MeshHub.restored`). */
  restored(isHome = this.#isHome): void {
    this.#isHome = isHome;
    for (const session of this.#doubles.splice(0)) session.close(CLOSE.replaced, REPLACED);
    for (const host of this.#hosts.gone()) if (!isHome(host.key)) this.#hosts.forget(host);
    for (const host of this.#hosts.all()) {
      if (!host.isLossUnreported) continue;
      this.attempt(() => host.unlink());
      this.#live.lost(host);
    }
    const { keeper } = this.store;
    for (const key of keeper?.stages() ?? []) {
      if (this.holderOf(key) === null) this.attempt(() => keeper?.clearStage(key));
    }
    this.#names.judgeFree();
    this.#clock.dueChanged();
  }

  /** Closes links that are silent or late, and judges contested names. */
  judge(now_ms: number): void {
    for (const session of [...this.#sessions]) session.tick(now_ms);
    this.#names.judge();
  }

  /** When `judge` next has something to do, milliseconds of the clock (HubClock). */
  due_ms(looked_at_ms: number, pause_ms: number): number {
    let due_ms = this.#names.due_ms(looked_at_ms, pause_ms);
    for (const session of this.#sessions) due_ms = Math.min(due_ms, session.due_ms());
    return due_ms;
  }

  close(): void {
    for (const session of [...this.#sessions]) session.close(CLOSE.going_away, STOPPING);
  }

  now(): number {
    return this.#clock.now();
  }

  dueChanged(session: LinkSession): void {
    this.#clock.dueBy(session.due_ms());
  }

  claim(session: LinkSession, hello: Greeting): void {
    this.#names.claim(session, hello);
  }

  contested(): void {
    this.#clock.dueChanged();
  }

  holderOf(key: string): HostLink | null {
    return this.#hosts.get(key)?.session ?? null;
  }

  refusalOf({ key, host }: Greeting): Refusal | null {
    if (!this.#isHome(key)) {
      if (key === keyOfName(host)) {
        const message = 'this host belongs to another part of this gateway: dial again';
        return { code: 'wrong_shard', message, retry: true };
      }
      const message = 'this gateway has several parts, and finds a host by the location of its name only';
      return { code: 'location_forbidden', message, retry: false };
    }
    if (this.#hosts.get(key) !== undefined || this.#hosts.makeRoom()) return null;
    return {
      code: 'too_many_hosts',
      message: `this gateway holds at most ${this.limits.hosts_max} hosts`,
      retry: true,
    };
  }

  admit(session: LinkSession, { key, host: name, incarnation, agent_version }: Greeting): void {
    const host = this.#hosts.ensure(key, name);
    host.session = session;
    this.log.info(`host ${name} linked by ${session.principal.name}`, { incarnation, agent_version });
    session.welcome(host);
    this.dueChanged(session);
  }

  published(host: HostState, difference: readonly NodeChange[] | null, isFirst: boolean): void {
    this.log.info(`host ${host.name}: ${host.size} nodes`);
    this.#hosts.listChanged();
    if (isFirst || difference === null) this.#live.linked(host, difference === null);
    for (const change of difference ?? []) this.#live.changed(host, change);
  }

  ended(session: LinkSession, isBye: boolean): void {
    this.#sessions.delete(session);
    const { host, hello } = session;
    if (host === null || host.session !== session) {
      if (hello !== null) this.#names.withdraw(hello.key, session);
      return;
    }
    if (isBye || !host.hasState) {
      host.session = null;
      this.#hosts.forget(host);
    } else {
      this.attempt(() => host.unlink());
      this.#clock.dueBy(this.#hosts.forgottenAt_ms(host));
      this.log.warn(`the link of host ${host.name} is gone; its last state is kept`);
      if (session.hasPublished) this.#live.lost(host);
    }
    this.#names.released(host.key);
  }
}
