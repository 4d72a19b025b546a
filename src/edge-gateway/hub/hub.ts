/**
 * The hub: the mesh of all hosts whose agents are linked here, or have been.
 *
 * Its parts are the hosts and their state (hosts.ts), the links of their agents (links.ts), the reader that answers requests
 * (reader.ts), and the clock that says when links and hosts have to be checked (clock.ts).
 *
 * A hub may live in an object that is dropped while its links stay open. Published state is then in a keeper (keeper.ts), the
 * state of each session is what `kept` returned, and `dueAt_ms` says when `tick` has something to do. The next hub finds
 * the hosts in the keeper, gets the sessions back by `restore`, and continues.
 */
import { failure, type Outcome, SILENT, sleep, success } from '../../base/index.ts';
import { type CallRequest, HEARTBEAT_MS, type ProcRef } from '../../contract/index.ts';
import type { CallBudget, Link } from '../../link/index.ts';
import { type GatewayLimits, LIMITS } from '../limits.ts';
import type { LiveListener } from '../live/events.ts';
import { LiveFeed } from '../live/feed.ts';
import type { CallOptions, Dialler, HostView, HostViews, Mesh, MeshCounts } from '../ports.ts';
import { hubBudget } from './calls.ts';
import { HubClock } from './clock.ts';
import { nodeStore } from './host-nodes.ts';
import { Hosts } from './hosts.ts';
import type { HubOptions } from './hub-options.ts';
import { HubLinks, STOPPING } from './links.ts';
import { type Client, Reader } from './reader.ts';
import type { KeptSession, LinkSession } from './session.ts';
import { renderTree } from './tree.ts';

export class MeshHub implements Mesh, HostViews {
  readonly #limits: GatewayLimits;
  readonly #budget: CallBudget;
  readonly #live: LiveListener;
  /** Null when another object publishes live updates. */
  readonly #feed: LiveFeed | null;
  readonly #hosts: Hosts;
  readonly #reader: Reader;
  readonly #links: HubLinks;
  readonly #clock: HubClock;
  /** The gateway stops: calls in flight are answered, and nothing new is begun. */
  #isDraining = false;

  /** @throws RangeError when the heartbeat is out of bounds; whatever the keeper throws. */
  constructor(options: HubOptions) {
    const { identity, heartbeat_ms = HEARTBEAT_MS, log = SILENT, keeper = null, limits = LIMITS } = options;
    const { heartbeat_min_ms } = limits;
    if (!(heartbeat_ms >= heartbeat_min_ms))
      throw new RangeError(`heartbeat_ms must be at least ${heartbeat_min_ms}, got ${heartbeat_ms}`);
    this.#limits = limits;
    this.#budget = hubBudget(limits);
    const store = nodeStore(limits, keeper);
    const attempt = (write: () => void) => {
      try {
        write();
      } catch (error) {
        log.warn(`what changed could not be kept: ${error}`);
      }
    };
    const feed = new LiveFeed(heartbeat_ms, limits);
    this.#live = options.live ?? feed;
    this.#feed = this.#live === feed ? feed : null;
    this.#hosts = new Hosts({ identity, store, live: this.#live, attempt });
    this.#reader = new Reader(this.#hosts, limits);
    this.#clock = new HubClock(options.timer ?? 'internal', heartbeat_ms, limits, (looked_at_ms, pause_ms) =>
      Math.min(this.#links.due_ms(looked_at_ms, pause_ms), this.#hosts.due_ms()),
    );
    this.#links = new HubLinks({
      heartbeat_ms,
      gateway_version: identity.version,
      hosts: this.#hosts,
      clock: this.#clock,
      store,
      budget: this.#budget,
      live: this.#live,
      telemetry: options.telemetry ?? null,
      log,
      mayStay: options.mayStay ?? (() => true),
      onKept: options.onKept ?? (() => {}),
      attempt,
    });
    this.#clock.start(() => this.tick());
  }

  /** Takes an open WebSocket; the runtime then hands over what it receives. */
  accept(link: Link, dialler: Dialler): LinkSession {
    return this.#links.accept(link, dialler, this.#isDraining);
  }

  /**
   * Puts a session back where its `kept` was, in any order of links. To be followed by `restored` before anything else.
   */
  restore(link: Link, kept: KeptSession): LinkSession {
    return this.#links.restore(link, kept);
  }

  /**
   * All links that are still open have been restored: hosts whose link is not among them have lost it, and are forgotten
   * where `isHome` says that a host of their location key belongs elsewhere. None such is taken from here on.
   */
  restored(isHome?: (key: string) => boolean): void {
    this.#links.restored(isHome);
  }

  /**
   * Closes links that are silent or late, judges contested names, forgets hosts gone for long; with an internal timer it
   * also sends heartbeats. After a stall nothing is closed or judged until the next tick, which is due soon.
   *
   * @param now_ms milliseconds of the hub's clock, the wall's with an external timer. Default: now
   */
  tick(now_ms: number = this.#clock.now()): void {
    if (!this.#clock.look(now_ms)) return;
    this.#links.judge(now_ms);
    this.#hosts.sweep();
  }

  /**
   * Wall clock of the earliest thing that a tick may have to do, milliseconds since the epoch; null when there is none.
   * Cheap to ask after every event. Only for a hub with an external timer.
   */
  dueAt_ms(): number | null {
    return this.#clock.dueAt_ms();
  }

  read(text: string, client?: Client): Outcome<string> | Promise<Outcome<string>> {
    return this.#reader.read(text, client);
  }

  call(proc: ProcRef, request: CallRequest, options: CallOptions): Promise<Outcome<string>> {
    if (this.#isDraining) {
      const { retry_after_s } = this.#limits;
      return Promise.resolve(failure('service_unavailable', `${STOPPING}: ask again`, { retry_after_s }));
    }
    return this.#reader.call(proc, request, options);
  }

  follow(after: string | null): Outcome<ReadableStream<Uint8Array>> {
    return this.#feed?.open(after) ?? failure('service_unavailable', 'live updates are told elsewhere');
  }

  hosts(): readonly HostView[] {
    return this.#hosts.published();
  }

  tree(base: string): Outcome<string> {
    return success(renderTree(this.hosts(), base));
  }

  health(): Outcome<MeshCounts> {
    return success(this.counts());
  }

  counts(): MeshCounts {
    const { linkCounts, eventCounts } = this.#links;
    return {
      ...this.#hosts.counts(),
      calls: this.#budget.calls,
      followers: this.#feed?.clients ?? 0,
      late_answers: this.#budget.late_answers,
      gaps: linkCounts.gaps,
      stale_frames: linkCounts.stale_frames,
      poison_batches: eventCounts.poison_batches,
      dropped_batches: eventCounts.dropped_batches,
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
    const answered = this.#budget.idle().then(() => idle.abort());
    await Promise.race([answered, sleep(wait_ms, idle.signal)]);
  }

  /** Closes every link with 1001; agents then dial again, here or elsewhere. Live updates end first, so clients do not see it. */
  close() {
    this.#isDraining = true;
    this.#live.close();
    this.#clock.stop();
    this.#links.close();
  }
}
