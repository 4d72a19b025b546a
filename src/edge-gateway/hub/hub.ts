/**
 * The hub: every host of the mesh, its published state, and the links over which its agent is asked.
 *
 * Names. A host name belongs to one incarnation at a time. A hello with a name that another link holds
 *  - of the same incarnation: replaces it at once, for an agent that dials again knows that its old link is dead;
 *  - of another incarnation: waits. The next frame on the older link proves that it lives, and the newcomer is refused
 *    (`host_name_taken`, no retry: two agents with one name is a mistake that only a person can mend). When the older
 *    has been silent for one and a half heartbeats, the newcomer replaces it (close code 4001).
 *
 * Reading is told in reader.ts. A hub may live in an object that is dropped while its links stay open. Its published
 * state is then in a keeper (keeper.ts), each session in what its `kept` gave, and `dueAt_ms` says when `tick` has
 * something to do. Its successor finds the hosts in the keeper, is given the sessions by `restore`, and goes on.
 */

import { failure, type Log, type Outcome, SILENT, sleep, success } from '../../base/index.ts';
import { type CallRequest, CLOSE, HEARTBEAT_MS, type ProcRef, parseNodeRef } from '../../contract/index.ts';
import type { Link } from '../../link/index.ts';
import {
  GONE_HOST_KEPT_MS,
  HOSTS_MAX,
  LINKS_MAX,
  RETRY_AFTER_S,
  STATE_PER_HOST_MAX_CHARS,
  TAKEOVER_SILENCE_HEARTBEATS,
} from '../limits.ts';
import type { LiveTeller } from '../live/events.ts';
import { LiveFeed } from '../live/feed.ts';
import type { CallOptions, Dialler, HostView, HostViews, Mesh, MeshCounts, Principal, Telemetry } from '../ports.ts';
import { hubBudget } from './calls.ts';
import { Contenders } from './contenders.ts';
import { EventCounts } from './event-relay.ts';
import { HostState, type LocatedNode } from './host.ts';
import { type Greeting, type HostLink, keyOfName } from './host-link.ts';
import type { NodeStore } from './host-nodes.ts';
import type { HubOptions } from './hub-options.ts';
import type { NodeChange } from './node-change.ts';
import { type Client, Reader } from './reader.ts';
import { RootText } from './root.ts';
import { HubCounts, type KeptSession, LinkSession, type SessionOwner } from './session.ts';
import { byHostName, renderTree } from './tree.ts';

const STOPPING = 'gateway is stopping';
const RETRY = { retry_after_s: RETRY_AFTER_S };
const REPLACED = 'replaced by a newer link of this host';

export class MeshHub implements Mesh, HostViews, SessionOwner {
  readonly heartbeat_ms: number;
  readonly gateway_version: string;
  readonly budget = hubBudget();
  readonly ticks: 'own' | 'asked';
  readonly store: NodeStore;
  readonly linkCounts = new HubCounts();
  readonly eventCounts = new EventCounts();
  readonly telemetry: Telemetry | null;
  readonly log: Log;
  readonly stands: (principal: Principal) => boolean;
  readonly onKept: (session: LinkSession) => void;
  readonly #hosts = new Map<string, HostState>();
  readonly #texts = new Map<string, LocatedNode>();
  readonly #reader = new Reader(this.#hosts);
  readonly #sessions = new Set<LinkSession>();
  readonly #contenders = new Contenders();
  /** Restored sessions of a host that has one: the end of one was not kept. Agents sort it out by dialling again. */
  readonly #doubles: LinkSession[] = [];
  readonly #root: RootText;
  readonly #live: LiveTeller;
  /** Null when somebody else tells whoever follows. */
  readonly #feed: LiveFeed | null;
  readonly #ticker: ReturnType<typeof setInterval> | undefined;
  #ticked_at_ms: number;
  /** True when the last tick judged nobody; the one after it does, or a loop that is always late never would. */
  #isPutOff = false;
  #isHome: (key: string) => boolean = () => true;
  /** What `dueAt_ms` gave last, which may be too soon but never too late; undefined when it has to be found anew. */
  #due_ms: number | undefined;
  /** It stops: what is under way is finished, and nothing new is begun. */
  #isDraining = false;

  /** @throws RangeError when the heartbeat is out of bounds; whatever the keeper throws. */
  constructor(options: HubOptions) {
    this.heartbeat_ms = options.heartbeat_ms ?? HEARTBEAT_MS;
    if (!(this.heartbeat_ms >= 20)) throw new RangeError(`heartbeat_ms must be at least 20, got ${this.heartbeat_ms}`);
    this.gateway_version = options.identity.version;
    this.telemetry = options.telemetry ?? null;
    this.log = options.log ?? SILENT;
    this.stands = options.stands ?? (() => true);
    this.ticks = options.ticks ?? 'own';
    const { keeper = null, state_per_host_max_chars: state_max_chars = STATE_PER_HOST_MAX_CHARS } = options;
    this.store = { keeper, state_max_chars };
    const feed = new LiveFeed(this.heartbeat_ms);
    this.#live = options.live ?? feed;
    this.#feed = options.live === undefined ? feed : null;
    this.onKept = options.onKept ?? (() => {});
    this.#root = new RootText(options.identity, () => this.hosts());
    this.#ticked_at_ms = this.now();
    if (this.ticks === 'own') this.#ticker = setInterval(() => this.tick(), Math.max(10, this.heartbeat_ms / 5));
    for (const kept of keeper?.hosts() ?? []) {
      this.#hosts.set(kept.key, new HostState(kept.key, kept.name, this.#texts, this.#onChange, this.store, kept));
    }
  }

  /** Takes an open WebSocket; the runtime then hands over what it receives. */
  accept(link: Link, dialler: Dialler): LinkSession {
    const session = new LinkSession(link, dialler, this);
    if (this.#isDraining) session.close(CLOSE.going_away, STOPPING);
    else if (this.#sessions.size >= LINKS_MAX) session.refuse('too_many_links', `at most ${LINKS_MAX} links`, true);
    else this.#sessions.add(session);
    this.dueChanged(session);
    return session;
  }

  /**
   * Puts a session back where its `kept` was, in any order of links. To be followed by `restored` before anything else.
   */
  restore(link: Link, kept: KeptSession): LinkSession {
    const session = new LinkSession(link, kept.dialler, this, kept);
    if (kept.phase === 'over') return session;
    this.#sessions.add(session);
    this.#due_ms = undefined;
    if (kept.hello === null) return session;
    const { key } = kept.hello;
    if (kept.phase === 'contested') {
      this.#contenders.add(key, session);
      return session;
    }
    const host = this.#hostOf(key, kept.hello.host);
    if (host.session !== null) this.#doubles.push(session);
    else {
      host.session = session;
      session.resume(host, kept);
    }
    return session;
  }

  /**
   * All links that are still open have been restored: hosts whose link is not among them have lost it, and are forgotten
   * where `isHome` says that a host of their location key belongs elsewhere. None such is taken from here on.
   */
  restored(isHome = this.#isHome): void {
    this.#isHome = isHome;
    for (const session of this.#doubles.splice(0)) session.close(CLOSE.replaced, REPLACED);
    for (const host of this.#goneHosts()) if (!isHome(host.key)) this.#forget(host);
    for (const host of this.#hosts.values()) {
      if (!host.isLostUntold) continue;
      this.attempt(() => host.unlink());
      this.#live.lost(host);
    }
    const { keeper } = this.store;
    for (const key of keeper?.stages() ?? []) {
      if (this.#hosts.get(key)?.session == null) this.attempt(() => keeper?.clearStage(key));
    }
    for (const [key, contenders] of this.#contenders.entries()) {
      if (this.#hosts.get(key)?.session == null) this.#judge(key, contenders);
    }
    this.#due_ms = undefined;
  }

  /**
   * Closes links that are silent or late, judges contested names, forgets hosts gone for long; where the hub ticks by
   * itself, also sends heartbeats. After a stall nobody is judged: at `dueAt_ms`, soon, they are.
   *
   * @param now_ms milliseconds of the hub's clock, the wall's when it is asked to tick. Default: now
   */
  tick(now_ms: number = this.now()): void {
    // What came during a stall is read before anybody is judged silent.
    const late_ms = now_ms - (this.ticks === 'own' ? this.#ticked_at_ms : this.#findDue_ms());
    this.#ticked_at_ms = now_ms;
    this.#isPutOff = late_ms > this.heartbeat_ms / 2 && !this.#isPutOff;
    this.#due_ms = undefined;
    if (this.#isPutOff) return;
    for (const session of [...this.#sessions]) session.tick(now_ms);
    for (const [key, contenders] of this.#contenders.entries()) this.#judge(key, contenders);
    const oldest_ms = Date.now() - GONE_HOST_KEPT_MS;
    for (const host of [...this.#hosts.values()]) {
      if (host.session === null && host.heard_at_ms < oldest_ms) this.#forget(host);
      else this.attempt(() => host.keepHeard());
    }
  }

  /**
   * Wall clock of the earliest thing that a tick may have to do, milliseconds since the epoch; null when there is none.
   * Cheap to ask after every event. Only for a hub that is asked to tick.
   */
  dueAt_ms(): number | null {
    this.#due_ms ??= this.#findDue_ms();
    return Number.isFinite(this.#due_ms) ? Math.ceil(this.#due_ms) : null;
  }

  now(): number {
    return this.ticks === 'own' ? performance.now() : Date.now();
  }

  dueChanged(session: LinkSession): void {
    this.#dueBy(session.due_ms());
  }

  attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.log.warn(`what changed could not be kept: ${error}`);
    }
  }

  read(text: string, client?: Client): Outcome<string> | Promise<Outcome<string>> {
    const located = this.#texts.get(text);
    if (located !== undefined && located.node.kind !== 'actor' && located.host.isLinked) {
      return { ok: true, value: located.node.text };
    }
    const parsed = parseNodeRef(text);
    if (!parsed.ok) return failure('not_found', `invalid reference '${text}': ${parsed.error}`);
    return parsed.value.kind === 'root' ? success(this.#root.text()) : this.#reader.read(parsed.value, client);
  }

  call(proc: ProcRef, request: CallRequest, options: CallOptions): Promise<Outcome<string>> {
    if (this.#isDraining) return Promise.resolve(failure('service_unavailable', `${STOPPING}: ask again`, RETRY));
    return this.#reader.call(proc, request, options);
  }

  follow(after: string | null): Outcome<ReadableStream<Uint8Array>> {
    return this.#feed?.open(after) ?? failure('service_unavailable', 'live updates are told elsewhere');
  }

  hosts(): readonly HostView[] {
    return [...this.#hosts.values()].filter(({ hasState }) => hasState).sort(byHostName);
  }

  tree(base: string): Outcome<string> {
    return success(renderTree(this.hosts(), base));
  }

  health(): Outcome<MeshCounts> {
    return success(this.counts());
  }

  counts(): MeshCounts {
    const hosts = [...this.#hosts.values()];
    return {
      hosts: hosts.filter(({ hasState }) => hasState).length,
      links: hosts.filter(({ isLinked }) => isLinked).length,
      nodes: hosts.reduce((sum, { size }) => sum + size, 0),
      calls: this.budget.calls,
      followers: this.#feed?.clients ?? 0,
      late_answers: this.budget.late_answers,
      gaps: this.linkCounts.gaps,
      stale_frames: this.linkCounts.stale_frames,
      poison_batches: this.eventCounts.poison_batches,
      dropped_batches: this.eventCounts.dropped_batches,
    };
  }

  /**
   * Takes no new links and calls, and waits for the calls in flight to be answered.
   *
   * @param wait_ms how long that may take, milliseconds
   */
  async drain(wait_ms: number): Promise<void> {
    this.#isDraining = true;
    const idle = new AbortController();
    const answered = this.budget.idle().then(() => idle.abort());
    await Promise.race([answered, sleep(wait_ms, idle.signal)]);
  }

  /** Closes every link with 1001; agents then dial again, here or elsewhere. Live updates end before, so none tells of it. */
  close() {
    this.#isDraining = true;
    this.#live.close();
    clearInterval(this.#ticker);
    for (const session of [...this.#sessions]) session.close(CLOSE.going_away, STOPPING);
  }

  claim(session: LinkSession, hello: Greeting) {
    const { key } = hello;
    const host = this.#hosts.get(key);
    const older = host?.session ?? null;
    if (!this.#isHome(key)) {
      if (key === keyOfName(hello.host)) {
        return session.refuse('wrong_shard', 'this host belongs to another part of this gateway: dial again', true);
      }
      const message = 'this gateway has several parts, and finds a host by the location of its name only';
      return session.refuse('location_forbidden', message, false);
    }
    if (host === undefined && !this.#makeRoom()) {
      return session.refuse('too_many_hosts', `this gateway holds at most ${HOSTS_MAX} hosts`, true);
    }
    if (older === null) return this.#admit(session, hello, key);
    if (older.hello?.incarnation === hello.incarnation || this.#isSilent(older)) {
      older.close(CLOSE.replaced, REPLACED);
      // Closing it may have let in somebody who waited for the name; then this one waits in turn.
      this.claim(session, hello);
      return;
    }
    if (this.#contenders.isFull(key)) return this.#refuseTaken(session, hello);
    session.contest(this.#contenders.next_ms(key, this.now()));
    this.#contenders.add(key, session);
    this.#due_ms = undefined;
  }

  published(host: HostState, difference: readonly NodeChange[] | null, isFirst: boolean) {
    this.log.info(`host ${host.name}: ${host.size} nodes`);
    this.#root.invalidate();
    if (isFirst || difference === null) this.#live.linked(host, difference === null);
    for (const change of difference ?? []) this.#live.changed(host, change);
  }

  ended(session: LinkSession, isBye: boolean) {
    this.#sessions.delete(session);
    const { host, hello } = session;
    if (host === null || host.session !== session) {
      if (hello !== null) this.#contenders.remove(hello.key, session);
      return;
    }
    if (isBye || !host.hasState) {
      host.session = null;
      this.#forget(host);
    } else {
      this.attempt(() => host.unlink());
      this.#dueBy(host.heard_at_ms + GONE_HOST_KEPT_MS + 1);
      this.log.warn(`the link of host ${host.name} is gone; its last state is kept`);
      if (session.hasPublished) this.#live.lost(host);
    }
    const [heir] = this.#contenders.of(host.key);
    if (heir?.hello != null) {
      this.#contenders.remove(host.key, heir);
      this.claim(heir, heir.hello);
    }
  }

  #hostOf(key: string, name: string): HostState {
    const host = this.#hosts.get(key) ?? new HostState(key, name, this.#texts, this.#onChange, this.store);
    this.#hosts.set(key, host);
    return host;
  }

  #admit(session: LinkSession, hello: Greeting, key: string) {
    const host = this.#hostOf(key, hello.host);
    host.session = session;
    this.log.info(`host ${hello.host} linked by ${session.principal.name}`, {
      incarnation: hello.incarnation,
      agent_version: hello.agent_version,
    });
    session.welcome(host);
    this.dueChanged(session);
  }

  readonly #onChange = (host: HostState, change: NodeChange) => this.#live.changed(host, change);

  #refuseTaken(session: LinkSession, { host }: Greeting) {
    const message =
      `another agent holds the host name '${host}' and is alive: ` +
      `stop it, or give this one a name of its own with --name`;
    session.refuse('host_name_taken', message, false);
  }

  #isSilent(session: HostLink): boolean {
    return this.now() - session.alive_at_ms >= TAKEOVER_SILENCE_HEARTBEATS * this.heartbeat_ms;
  }

  /** One more thing is due: no need to look at all the others, of which there are thousands. */
  #dueBy(at_ms: number) {
    if (this.#due_ms !== undefined) this.#due_ms = Math.min(this.#due_ms, at_ms);
  }

  #findDue_ms(): number {
    const soon_ms = this.heartbeat_ms / 5;
    if (this.#isPutOff) return this.#ticked_at_ms + soon_ms;
    let due_ms = Number.POSITIVE_INFINITY;
    for (const session of this.#sessions) due_ms = Math.min(due_ms, session.due_ms());
    for (const [, [first]] of this.#contenders.entries()) {
      due_ms = Math.min(due_ms, Math.max(this.#ticked_at_ms, first?.contested_at_ms ?? 0) + soon_ms);
    }
    for (const { session, heard_at_ms } of this.#hosts.values()) {
      if (session === null) due_ms = Math.min(due_ms, heard_at_ms + GONE_HOST_KEPT_MS + 1);
    }
    return due_ms;
  }

  /** Has the holder of a contested name been heard since the first newcomer came, or is it silent? */
  #judge(key: string, contenders: readonly LinkSession[]) {
    const holder = this.#hosts.get(key)?.session ?? null;
    const [first] = contenders;
    if (first?.hello == null) return;
    if (holder === null) {
      this.#contenders.remove(key, first);
      return this.claim(first, first.hello);
    }
    // Its end lets in who came first.
    if (this.#isSilent(holder)) return holder.close(CLOSE.replaced, REPLACED);
    for (const contender of contenders) {
      if (contender.hello === null || holder.heard_at_ms <= contender.contested_at_ms) continue;
      this.#contenders.remove(key, contender);
      this.#refuseTaken(contender, contender.hello);
    }
  }

  #makeRoom(): boolean {
    const [longest] = this.#hosts.size < HOSTS_MAX ? [] : this.#goneHosts();
    if (longest !== undefined) this.#forget(longest);
    return this.#hosts.size < HOSTS_MAX;
  }

  /** Longest gone first. */
  #goneHosts(): HostState[] {
    return [...this.#hosts.values()]
      .filter(({ session }) => session === null)
      .sort((a, b) => a.heard_at_ms - b.heard_at_ms);
  }

  #forget(host: HostState) {
    this.#hosts.delete(host.key);
    if (host.hasState) this.#live.removed(host);
    this.attempt(() => host.forget());
    this.#root.invalidate();
  }
}
