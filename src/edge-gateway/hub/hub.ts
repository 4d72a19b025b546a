/**
 * The hub: every host of the mesh, its published state, and the links over which its agent is asked.
 *
 * Names. A host name belongs to one incarnation at a time. A hello with a name that another link holds
 *  - of the same incarnation: replaces it at once, for an agent that dials again knows that its old link is dead;
 *  - of another incarnation: waits. The next frame on the older link proves that it lives, and the newcomer is refused
 *    (`host_name_taken`, no retry: two agents with one name is a mistake that only a person can mend). When the older
 *    has been silent for one and a half heartbeats, the newcomer replaces it (close code 4001).
 *
 * Reading is told in reader.ts.
 */
import {
  type CallRequest,
  CLOSE,
  failure,
  HEARTBEAT_MS,
  type HelloFrame,
  type Outcome,
  type ProcRef,
  parseNodeRef,
  success,
} from '../../contract/index.ts';
import {
  CONTENDERS_MAX,
  GONE_HOST_KEPT_MS,
  GONE_HOSTS_MAX,
  HOSTS_MAX,
  LINKS_MAX,
  TAKEOVER_SILENCE_HEARTBEATS,
} from '../limits.ts';
import {
  type CallOptions,
  type Dialler,
  type GatewayIdentity,
  type HostView,
  type HostViews,
  type Link,
  type LinkReceiver,
  type Log,
  type Mesh,
  type MeshCounts,
  SILENT,
  type Telemetry,
} from '../ports.ts';
import { renderTree } from '../tree.ts';
import { CallBudget } from './calls.ts';
import { EventCounts } from './event-relay.ts';
import { type HostLink, HostState, type LocatedNode } from './host.ts';
import { LiveFeed } from './live-feed.ts';
import type { NodeChange } from './node-change.ts';
import { type Client, Reader } from './reader.ts';
import { RootText } from './root.ts';
import { HubCounts, hostKeyOf, LinkSession, type SessionOwner } from './session.ts';

const STOPPING = 'gateway is stopping';

export interface HubOptions {
  readonly identity: Pick<GatewayIdentity, 'started_at' | 'started_by' | 'version'>;
  /** Where events go. Default null: none is acknowledged. */
  readonly telemetry?: Telemetry | null;
  /** Default: nothing is logged. */
  readonly log?: Log;
  /** Silence after which a side sends a heartbeat, milliseconds, at least 20. Default 5,000. */
  readonly heartbeat_ms?: number;
}

export class MeshHub implements Mesh, HostViews, SessionOwner {
  readonly heartbeat_ms: number;
  readonly gateway_version: string;
  readonly budget = new CallBudget();
  readonly linkCounts = new HubCounts();
  readonly eventCounts = new EventCounts();
  readonly telemetry: Telemetry | null;
  readonly log: Log;
  readonly #hosts = new Map<string, HostState>();
  readonly #texts = new Map<string, LocatedNode>();
  readonly #reader = new Reader(this.#hosts);
  readonly #sessions = new Set<LinkSession>();
  readonly #contenders = new Map<string, LinkSession[]>();
  readonly #root: RootText;
  readonly #live: LiveFeed;
  readonly #ticker: ReturnType<typeof setInterval>;
  #ticked_at_ms = performance.now();
  /** True when the last tick judged nobody; the one after it does, or a loop that is always late never would. */
  #isPutOff = false;
  #isOver = false;

  constructor(options: HubOptions) {
    this.heartbeat_ms = options.heartbeat_ms ?? HEARTBEAT_MS;
    if (!(this.heartbeat_ms >= 20)) throw new RangeError(`heartbeat_ms must be at least 20, got ${this.heartbeat_ms}`);
    this.gateway_version = options.identity.version;
    this.telemetry = options.telemetry ?? null;
    this.log = options.log ?? SILENT;
    this.#live = new LiveFeed(this.heartbeat_ms);
    this.#root = new RootText(options.identity, () => this.hosts());
    this.#ticker = setInterval(() => this.#tick(), Math.max(10, this.heartbeat_ms / 5));
  }

  /** Takes an open WebSocket; the runtime then hands over what it receives. */
  accept(link: Link, dialler: Dialler): LinkReceiver {
    const session = new LinkSession(link, dialler, this);
    if (this.#isOver) session.close(CLOSE.going_away, STOPPING);
    else if (this.#sessions.size >= LINKS_MAX) session.refuse('too_many_links', `at most ${LINKS_MAX} links`, true);
    else this.#sessions.add(session);
    return session;
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
    return this.#reader.call(proc, request, options);
  }

  follow(after: string | null): Outcome<ReadableStream<Uint8Array>> {
    return this.#live.open(after);
  }

  hosts(): readonly HostView[] {
    return [...this.#hosts.values()].filter(({ hasState }) => hasState).sort(byName);
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
      nodes: this.#texts.size,
      calls: this.budget.calls,
      followers: this.#live.clients,
      late_answers: this.budget.late_answers,
      gaps: this.linkCounts.gaps,
      stale_frames: this.linkCounts.stale_frames,
      poison_batches: this.eventCounts.poison_batches,
      dropped_batches: this.eventCounts.dropped_batches,
    };
  }

  /** Closes every link with 1001; agents then dial again, here or elsewhere. Live updates end before, so none tells of it. */
  close() {
    this.#isOver = true;
    this.#live.close();
    clearInterval(this.#ticker);
    for (const session of [...this.#sessions]) session.close(CLOSE.going_away, STOPPING);
  }

  claim(session: LinkSession, hello: HelloFrame) {
    const key = hostKeyOf(hello);
    const host = this.#hosts.get(key);
    const older = host?.session ?? null;
    if (host === undefined && !this.#makeRoom()) {
      return session.refuse('too_many_hosts', `this gateway holds at most ${HOSTS_MAX} hosts`, true);
    }
    if (older === null) return this.#admit(session, hello, key);
    if (older.hello?.incarnation === hello.incarnation || this.#isSilent(older)) {
      older.close(CLOSE.replaced, 'replaced by a newer link of this host');
      // Closing it may have let in somebody who waited for the name; then this one waits in turn.
      this.claim(session, hello);
      return;
    }
    const contenders = this.#contenders.get(key) ?? [];
    if (contenders.length >= CONTENDERS_MAX) return this.#refuseTaken(session, hello);
    this.#contenders.set(key, [...contenders, session]);
    session.contest();
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
      if (hello !== null) this.#withdraw(hostKeyOf(hello), session);
      return;
    }
    host.session = null;
    if (isBye || !host.hasState) this.#forget(host);
    else {
      this.log.warn(`the link of host ${host.name} is gone; its last state is kept`);
      if (session.hasPublished) this.#live.lost(host);
    }
    this.#trimGone();
    const [heir] = this.#contenders.get(host.key) ?? [];
    if (heir?.hello != null) {
      this.#withdraw(host.key, heir);
      this.claim(heir, heir.hello);
    }
  }

  #admit(session: LinkSession, hello: HelloFrame, key: string) {
    const host = this.#hosts.get(key) ?? new HostState(hello.host, this.#texts, this.#onChange);
    this.#hosts.set(key, host);
    host.session = session;
    this.log.info(`host ${hello.host} linked`, { incarnation: hello.incarnation, agent_version: hello.agent_version });
    session.welcome(host);
  }

  readonly #onChange = (host: HostState, change: NodeChange) => this.#live.changed(host, change);

  #refuseTaken(session: LinkSession, { host }: HelloFrame) {
    const message =
      `another agent holds the host name '${host}' and is alive: ` +
      `stop it, or give this one a name of its own with --name`;
    session.refuse('host_name_taken', message, false);
  }

  #withdraw(key: string, session: LinkSession) {
    const rest = (this.#contenders.get(key) ?? []).filter((each) => each !== session);
    if (rest.length > 0) this.#contenders.set(key, rest);
    else this.#contenders.delete(key);
  }

  #isSilent(session: HostLink): boolean {
    return performance.now() - session.heard_at_ms >= TAKEOVER_SILENCE_HEARTBEATS * this.heartbeat_ms;
  }

  #tick() {
    const now_ms = performance.now();
    // After a stall of this very loop, what came meanwhile is read before anybody is judged silent: at the next tick.
    const hasStalled = now_ms - this.#ticked_at_ms > this.heartbeat_ms / 2;
    this.#ticked_at_ms = now_ms;
    this.#isPutOff = hasStalled && !this.#isPutOff;
    if (this.#isPutOff) return;
    for (const session of [...this.#sessions]) session.tick(now_ms);
    for (const [key, contenders] of [...this.#contenders]) this.#judge(key, contenders);
    const oldest_ms = Date.now() - GONE_HOST_KEPT_MS;
    for (const host of [...this.#hosts.values()]) {
      if (host.session === null && host.heard_at_ms < oldest_ms) this.#forget(host);
    }
  }

  /** Has the holder of a contested name been heard since the first newcomer came, or is it silent? */
  #judge(key: string, contenders: readonly LinkSession[]) {
    const holder = this.#hosts.get(key)?.session ?? null;
    const [first] = contenders;
    if (first?.hello == null) return;
    if (holder === null || this.#isSilent(holder)) {
      this.#withdraw(key, first);
      return this.claim(first, first.hello);
    }
    for (const contender of contenders) {
      if (contender.hello === null || holder.heard_at_ms <= contender.contested_at_ms) continue;
      this.#withdraw(key, contender);
      this.#refuseTaken(contender, contender.hello);
    }
  }

  #makeRoom(): boolean {
    if (this.#hosts.size < HOSTS_MAX) return true;
    const [longest] = this.#goneHosts();
    if (longest !== undefined) this.#forget(longest);
    return longest !== undefined;
  }

  #trimGone() {
    const gone = this.#goneHosts();
    for (const host of gone.slice(0, Math.max(0, gone.length - GONE_HOSTS_MAX))) this.#forget(host);
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
    host.forget();
    this.#root.invalidate();
  }
}

const COLLATOR = new Intl.Collator('en', { numeric: true });

function byName(a: HostView, b: HostView): number {
  return COLLATOR.compare(a.name, b.name);
}
