/**
 * One shard: a hub whose state is kept in SQLite, for a runtime that drops it from memory between events. It answers the
 * requests of peer.ts; links reach `hub` directly.
 */

import type { Log } from '../../base/index.ts';
import { parseProcRef } from '../../contract/index.ts';
import type { LinkReceiver } from '../../link/index.ts';
import { MeshHub } from '../hub/hub.ts';
import { type Sql, SqliteKeeper } from '../hub/sqlite-keeper.ts';
import { byHostName, renderHost } from '../hub/tree.ts';
import { type GatewayLimits, LIMITS } from '../limits.ts';
import type { AccessPolicy, Telemetry } from '../ports.ts';
import { type ProducerState, RowSender } from '../store/row-sender.ts';
import { hostRows } from '../store/snapshot-rows.ts';
import { ChangeReporter } from './change-reporter.ts';
import { Notes } from './notes.ts';
import { bodyOf, outcomeResponse, type Peer } from './peer.ts';
import type { HostLines, ShardCall } from './sharded-mesh.ts';

/** What directory and shards have in common. */
export interface PartOptions {
  readonly sql: Sql;
  readonly version: string;
  readonly log: Log;
  /** Milliseconds. */
  readonly heartbeat_ms: number;
  /** Default: LIMITS. */
  readonly limits?: GatewayLimits;
}

export interface ShardOptions extends PartOptions {
  /** Which shard this is: any text that stays the same. */
  readonly id: string;
  readonly directory: Peer;
  readonly telemetry: Telemetry;
  /** Whether a principal is still what it was when it opened its link. */
  readonly mayStay: AccessPolicy['mayStay'];
  /** Called when a session has changed outside of an event of its own link. */
  readonly onKept: (session: LinkReceiver) => void;
  /** Called when `dueAt_ms` has changed outside of any event: a report has to be sent again. */
  readonly onBehind: () => void;
}

const PENDING = 'told_pending';
const PRODUCER = 'snapshot_producer';

export class Shard {
  readonly hub: MeshHub;
  readonly #limits: GatewayLimits;
  readonly #reporter: ChangeReporter;
  readonly #snapshots: RowSender;
  #isCapturing = false;

  constructor(options: ShardOptions) {
    const {
      sql,
      id,
      directory,
      telemetry,
      version,
      log,
      heartbeat_ms,
      mayStay,
      onKept,
      onBehind,
      limits = LIMITS,
    } = options;
    this.#limits = limits;
    const notes = new Notes(sql);
    this.#reporter = new ChangeReporter({
      shard: id,
      directory,
      hosts: () => this.hub.hosts(),
      mark: {
        get: () => notes.get(PENDING) !== null,
        set: (isPending) => notes.set(PENDING, isPending ? 'yes' : null),
      },
      onBehind,
      limits,
    });
    this.hub = new MeshHub({
      // The root is the directory's: what a shard's hub would say of it is never read.
      identity: { started_at: '', started_by: '', version },
      telemetry,
      log,
      heartbeat_ms,
      limits: { ...limits, state_per_host_max_chars: limits.shard_state_per_host_max_chars },
      keeper: new SqliteKeeper(sql),
      live: this.#reporter,
      timer: 'external',
      mayStay,
      onKept,
    });
    const state = notes.get(PRODUCER);
    this.#snapshots = new RowSender({
      telemetry,
      log,
      what: 'snapshot',
      limits,
      ...(state === null ? {} : { from: JSON.parse(state) as ProducerState }),
      onSeq: (next) => notes.set(PRODUCER, JSON.stringify(next)),
    });
  }

  /** Wall clock of the next thing that `tick` has to do, milliseconds; null when there is none. */
  dueAt_ms(): number | null {
    const due_ms = this.hub.dueAt_ms();
    const again_ms = Date.now() + this.#limits.report_again_ms;
    return this.#reporter.isBehind && (due_ms === null || due_ms > again_ms) ? again_ms : due_ms;
  }

  async tick(): Promise<void> {
    this.hub.tick();
    await this.#reporter.settled();
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case '/read': {
        const { text } = await bodyOf<{ text: string }>(request);
        return outcomeResponse(await this.hub.read(text, request));
      }
      case '/call':
        return this.#call(await bodyOf(request), request.signal);
      case '/tree': {
        const { base } = await bodyOf<{ base: string }>(request);
        const lines = this.hub.hosts().map((host): HostLines => ({ name: host.name, text: renderHost(host, base) }));
        return Response.json(lines.sort(byHostName));
      }
      case '/health':
        await this.#reporter.settled();
        return Response.json(this.hub.counts());
      case '/capture': {
        const { id, snapshot_ts } = await bodyOf<{ id: string; snapshot_ts: number }>(request);
        // One at a time: a directory that was lost in between asks again, and batches must not overtake each other.
        const isFree = !this.#isCapturing;
        this.#isCapturing = true;
        const sent = isFree && (await this.#snapshots.send(hostRows(this.hub, id, snapshot_ts)));
        if (isFree) this.#isCapturing = false;
        return Response.json(sent);
      }
      default:
        return new Response(null, { status: 404 });
    }
  }

  async #call({ proc, request, ...options }: ShardCall, signal: AbortSignal): Promise<Response> {
    const parsed = parseProcRef(proc);
    if (!parsed.ok) throw new RangeError(`proc: ${parsed.error}`);
    return outcomeResponse(await this.hub.call(parsed.value, request, { ...options, signal }));
  }
}
