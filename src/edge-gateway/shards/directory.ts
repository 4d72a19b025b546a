/**
 * The directory of a mesh over shards: every host by name, for the root; the live updates of all shards, for those who
 * follow; the timing of snapshots; and the link of the telemetry service, where that dials in.
 *
 * A host is listed under the shard that reported it last, so that its former shard cannot remove a host that has moved. When the
 * number of shards has changed, those that belong elsewhere now are forgotten until they dial there.
 */

import { success, timestamp } from '../../base/index.ts';
import { hostLocation, locationKey } from '../../contract/index.ts';
import type { Link, LinkReceiver } from '../../link/index.ts';
import { failureResponse } from '../http/respond.ts';
import { RootText } from '../hub/root.ts';
import { byHostName } from '../hub/tree.ts';
import { type GatewayLimits, LIMITS } from '../limits.ts';
import { hostLinked, hostLost, hostRemoved, type LiveMessage } from '../live/events.ts';
import { LiveFeed } from '../live/feed.ts';
import type { AccessPolicy, Dialler, Telemetry } from '../ports.ts';
import { type KeptStoreLink, refuseStore, StoreLink } from '../store/linked-store.ts';
import { type ProducerState, RowSender } from '../store/row-sender.ts';
import { rootRows } from '../store/snapshot-rows.ts';
import type { ChangeReport, ReportedHost } from './change-reporter.ts';
import { Notes } from './notes.ts';
import { ask, bodyOf, outcomeResponse, type Peer } from './peer.ts';
import type { PartOptions } from './shard.ts';

export interface DirectoryOptions extends PartOptions {
  readonly started_by: string;
  readonly shards: readonly Peer[];
  /** Which shard a host of this location key belongs to, as that shard calls itself. */
  readonly homeOf: (key: string) => string;
  /** The store, where it is reached by URL; null where it dials in. */
  readonly telemetry: Telemetry | null;
  /** Whether a principal is still what it was when it opened its link. */
  readonly mayStay: AccessPolicy['mayStay'];
  /** Milliseconds between snapshots; 0 takes none. */
  readonly snapshot_interval_ms: number;
}

interface Entry extends ReportedHost {
  readonly shard: string;
}

const STARTED = 'started_at';
const PRODUCER = 'snapshot_producer';
const DUE = 'snapshot_due';
const STORE_HEARD = 'store_heard_at';

export class Directory {
  readonly #options: DirectoryOptions;
  readonly #limits: GatewayLimits;
  readonly #notes: Notes;
  readonly #hosts = new Map<string, Entry>();
  readonly #live: LiveFeed;
  readonly #root: RootText;
  readonly #snapshots: RowSender;
  readonly #telemetry: Telemetry;
  readonly #store: StoreLink | null;
  #isCapturing = false;

  constructor(options: DirectoryOptions) {
    const { sql, log, version, heartbeat_ms, started_by, mayStay, limits = LIMITS } = options;
    this.#options = options;
    this.#limits = limits;
    this.#notes = new Notes(sql);
    sql.exec(
      'CREATE TABLE IF NOT EXISTS directory (name TEXT PRIMARY KEY, shard TEXT NOT NULL, identity TEXT NOT NULL, ' +
        'linked INTEGER NOT NULL) WITHOUT ROWID',
    );
    for (const { name, shard, identity, linked } of [
      ...sql.exec('SELECT name, shard, identity, linked FROM directory'),
    ]) {
      const host = { name: String(name), shard: String(shard), identity: String(identity), isLinked: linked === 1 };
      if (options.homeOf(locationKey(hostLocation(host.name))) === host.shard) this.#hosts.set(host.name, host);
      else this.#delete(host.name);
    }
    const started_at = this.#notes.get(STARTED) ?? timestamp(Date.now());
    this.#notes.set(STARTED, started_at);
    this.#live = new LiveFeed(heartbeat_ms, limits);
    this.#root = new RootText({ started_at, started_by }, () => [...this.#hosts.values()].sort(byHostName));
    const heard = this.#notes.get(STORE_HEARD);
    const heard_at_ms = heard === null ? null : Number(heard);
    if (options.telemetry === null) {
      const store = new StoreLink({ version, log, heartbeat_ms, mayStay, heard_at_ms, limits });
      this.#store = store;
      this.#telemetry = store;
    } else {
      this.#store = null;
      this.#telemetry = options.telemetry;
    }
    // What was planned may be from when the interval was another.
    const { snapshot_interval_ms: wait_ms } = options;
    if (wait_ms === 0 || (this.dueAt_ms() ?? 0) > Date.now() + wait_ms) this.#plan(wait_ms);
    const state = this.#notes.get(PRODUCER);
    this.#snapshots = new RowSender({
      telemetry: this.#telemetry,
      log,
      what: 'snapshot',
      limits,
      ...(state === null ? {} : { from: JSON.parse(state) as ProducerState }),
      onSeq: (next) => this.#notes.set(PRODUCER, JSON.stringify(next)),
    });
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case '/root':
        return new Response(this.#root.text());
      case '/events': {
        const opened = this.#live.open(request.headers.get('last-event-id'));
        return opened.ok ? new Response(opened.value) : failureResponse(request, opened.failure);
      }
      case '/health':
        return Response.json({ followers: this.#live.clients });
      case '/changes':
        this.#take(await bodyOf(request));
        return new Response(null, { status: 204 });
      case '/store/absent': {
        const why = (await this.#telemetry.absent?.()) ?? null;
        return outcomeResponse(why === null ? success(undefined) : { ok: false, failure: why });
      }
      case '/store/query': {
        const { sql, accept } = await bodyOf<{ sql: string; accept: string | null }>(request);
        const answer = await this.#telemetry.query(sql, accept, request.signal);
        return answer.ok ? answer.value : outcomeResponse(answer);
      }
      case '/store/dumps':
        return outcomeResponse(await this.#telemetry.storeDump(await request.text()));
      case '/store/ingest':
        return outcomeResponse(await this.#telemetry.ingest(await bodyOf(request)));
      default:
        return new Response(null, { status: 404 });
    }
  }

  /** The link of a telemetry service, new. */
  accept(link: Link, dialler: Dialler): LinkReceiver & { kept(): KeptStoreLink | null } {
    return this.#store?.accept(link, dialler) ?? refused(link);
  }

  /** The same, as an earlier object left it. */
  restore(link: Link, kept: KeptStoreLink | null): LinkReceiver & { kept(): KeptStoreLink | null } {
    return this.#store !== null && kept !== null ? this.#store.restore(link, kept) : refused(link);
  }

  /**
   * Keeps when the store was last heard: whether there ever was one outlives this object.
   *
   * @param hasEnded false writes only what is not kept at all
   */
  keepStore(hasEnded: boolean): void {
    const heard_at_ms = this.#store?.heard_at_ms ?? null;
    if (heard_at_ms === null || (!hasEnded && this.#notes.get(STORE_HEARD) !== null)) return;
    this.#notes.set(STORE_HEARD, String(heard_at_ms));
  }

  /** Wall clock of the next thing that `tick` has to do, milliseconds; null when there is none. */
  dueAt_ms(): number | null {
    const due = this.#notes.get(DUE);
    return due === null ? null : Number(due);
  }

  async tick(): Promise<void> {
    const due_ms = this.dueAt_ms();
    if (due_ms === null || Date.now() < due_ms) return;
    // Before anything is waited for, or it would stay due.
    this.#plan(this.#options.snapshot_interval_ms);
    if (this.#isCapturing) return;
    this.#isCapturing = true;
    try {
      await this.#capture();
    } finally {
      this.#isCapturing = false;
    }
  }

  #take({ shard, whole, hosts, removed, events }: ChangeReport): void {
    const present = new Set(hosts.map(({ name }) => name));
    const missing = whole ? [...this.#hosts.keys()].filter((name) => !present.has(name)) : removed;
    const gone = missing.flatMap((name) => this.#hosts.get(name) ?? []).filter((host) => host.shard === shard);
    // Memory follows the database: the shard reports again what could not be written.
    this.#options.sql.transaction(() => {
      for (const host of hosts) this.#keep({ ...host, shard });
      for (const { name } of gone) this.#delete(name);
    });
    for (const host of hosts) this.#hosts.set(host.name, { ...host, shard });
    for (const { name } of gone) this.#hosts.delete(name);
    if (hosts.length + gone.length > 0) this.#root.invalidate();
    for (const event of events) if (!this.#isStale(event, shard)) this.#live.tell(event);
    // Events may be missing: clients that follow read these hosts again.
    if (whole) {
      for (const host of gone) this.#live.tell(hostRemoved(host));
      for (const host of hosts) this.#live.tell(host.isLinked ? hostLinked(host, true) : hostLost(host));
    }
    if (this.dueAt_ms() === null) this.#plan(this.#limits.snapshot_first_ms);
  }

  /** Whether it says that a host has left which is now at another shard. */
  #isStale([type, data]: LiveMessage, shard: string): boolean {
    const home = type === 'host_removed' ? this.#hosts.get(JSON.parse(data).host)?.shard : shard;
    return home !== undefined && home !== shard;
  }

  #keep({ name, shard, identity, isLinked }: Entry): void {
    const known = this.#hosts.get(name);
    if (known?.shard === shard && known.identity === identity && known.isLinked === isLinked) return;
    const row = [name, shard, identity, isLinked ? 1 : 0] as const;
    this.#options.sql.exec('INSERT OR REPLACE INTO directory VALUES (?, ?, ?, ?)', ...row);
  }

  #delete(name: string): void {
    this.#options.sql.exec('DELETE FROM directory WHERE name = ?', name);
  }

  #hasLink(): boolean {
    return [...this.#hosts.values()].some(({ isLinked }) => isLinked);
  }

  /** Without a linked host there is nothing to capture until one comes. */
  #plan(wait_ms: number): void {
    const isOn = this.#options.snapshot_interval_ms > 0 && this.#hasLink();
    this.#notes.set(DUE, isOn ? String(Date.now() + wait_ms) : null);
  }

  async #capture(): Promise<void> {
    const { shards } = this.#options;
    if ((await this.#telemetry.absent?.()) != null) return;
    const id = crypto.randomUUID();
    const snapshot_ts = Date.now() * 1_000;
    const sent = await Promise.all(shards.map((shard) => ask(shard, '/capture', { id, snapshot_ts })));
    if (!sent.every((part) => part.ok && part.value === 'true')) return;
    await this.#snapshots.send([rootRows(id, this.#root.text())], { snapshots: [[id, snapshot_ts]] });
  }
}

function refused(link: Link): LinkReceiver & { kept(): null } {
  return { ...refuseStore(link), kept: () => null };
}
