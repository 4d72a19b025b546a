/**
 * What the gateway says of itself: metrics, its log lines, a span for each request that is audited, and its own actor with
 * its statuses. It is the observer of the app and the log of everything else, and sends what it has seen to the store, as a
 * producer like any other.
 *
 * Its own sending is neither counted nor traced, or the tables would fill with what is written about writing them. What
 * the log says of a failed sending is a line like any other, at most one for each.
 */
import {
  type Attributes,
  type Counter,
  DURATION_BOUNDS_MS,
  type Histogram,
  type Log,
  metricRows,
  OwnRows,
  type Row,
  SelfReport,
} from '../../base/index.ts';
import type { GatewayLimits } from '../limits.ts';
import type { MeshCounts, Observer, Sha256, Telemetry } from '../ports.ts';
import { RowSender } from './row-sender.ts';

/** The counts of the mesh: as they are at a moment, or since the start. */
const AT_PRESENT = {
  hosts: 'Hosts with published state, those whose link is gone included',
  links: 'Hosts that are linked',
  nodes: 'Nodes that hosts have published',
  calls: 'Relayed calls that are not answered yet',
  followers: 'Streams of live updates that are open',
} as const satisfies Partial<Record<keyof MeshCounts, string>>;
const SINCE_START = {
  late_answers: 'Answers of agents that came when nobody waited any more',
  gaps: 'Gaps in the numbers of an agent, each of which made it send its whole state again',
  stale_frames: 'Changes that came before the state that they belong to',
  poison_batches: 'Event batches that can never be stored, and were given up',
  dropped_batches: 'Event batches that were not taken; their agents send them again',
} as const satisfies Record<Exclude<keyof MeshCounts, keyof typeof AT_PRESENT>, string>;

export interface OwnTelemetryOptions {
  readonly version: string;
  readonly log: Log;
  /** The counts of the mesh; null where they cannot be had at present. */
  readonly counts: () => MeshCounts | null | Promise<MeshCounts | null>;
  readonly sha256: Sha256;
  readonly limits: GatewayLimits;
}

export interface OwnTelemetryStart {
  readonly telemetry: Telemetry;
  /** Reference of the gateway's own actor; its proc is its mesh. */
  readonly actor: string;
  /** Default `own_rows_interval_ms`. */
  readonly interval_ms?: number;
  /** `external`: `tick` is called with every request. Default `internal`. */
  readonly timer?: 'internal' | 'external';
}

interface Asked {
  readonly route: Attributes;
  readonly count: (status: number) => void;
}

export class OwnTelemetry implements Observer {
  /** The log that was given, and the table `events`. */
  readonly log: Log;
  readonly #report: SelfReport;
  readonly #limits: GatewayLimits;
  readonly #rows: OwnRows;
  readonly #requests: Counter;
  readonly #durations: Histogram;
  readonly #routes = new Map<string, Asked>();
  readonly #sha256: Sha256;
  readonly #count: OwnTelemetryOptions['counts'];
  /** As they were when the metrics were last looked at. */
  #counts: MeshCounts | null = null;
  /** The id of the gateway's own actor; null before `start` and after `close`. */
  #actorId: string | null = null;
  #statuses = 0;
  #sender: RowSender | null = null;

  constructor({ version, log, counts, sha256, limits }: OwnTelemetryOptions) {
    this.#limits = limits;
    this.#rows = new OwnRows(limits.own_rows_max);
    this.#sha256 = sha256;
    this.#count = counts;
    const process_id = `gateway-${crypto.randomUUID()}`;
    const { metric_series_max: series_max } = limits;
    this.#report = new SelfReport({ part: 'gateway', version, process_id, series_max, add: this.#rows.add });
    const { metrics } = this.#report;
    this.#requests = metrics.counter('gateway.requests', { help: 'Requests answered', unit: '{request}' });
    this.#durations = metrics.histogram('gateway.request_duration_ms', {
      help: 'Time to the answer of requests for dumps, profiles, configuration and SQL',
      unit: 'ms',
      bounds: DURATION_BOUNDS_MS,
    });
    metrics.numbers('gauge', 'gateway.', AT_PRESENT, (name) => this.#counts?.[name] ?? []);
    metrics.numbers('counter', 'gateway.', SINCE_START, (name) => this.#counts?.[name] ?? []);
    this.log = this.#report.traced(log);
  }

  async text(): Promise<string> {
    this.#counts = await this.#count();
    return this.#report.metrics.prometheus();
  }

  requestStarted({ path, audit }: { readonly path: string; readonly audit?: string }): (status: number) => void {
    let known = this.#routes.get(path);
    if (known === undefined) {
      known = { route: { route: path }, count: this.#counterOf(path) };
      this.#routes.set(path, known);
    }
    const { route, count } = known;
    if (audit === undefined) return count;
    const began_ms = performance.now();
    const span = this.#report.trace.span(audit, route);
    return (status) => {
      span.close();
      count(status);
      this.#durations.record(performance.now() - began_ms, route);
    };
  }

  /** Counts requests of a route, with the same attributes for the same status, which spares the registry their text. */
  #counterOf(path: string): (status: number) => void {
    const known = new Map<number, Attributes>();
    return (status) => {
      let attributes = known.get(status);
      if (attributes === undefined) {
        attributes = { route: path, status };
        known.set(status, attributes);
      }
      this.#requests.add(1, attributes);
    };
  }

  /** Announces the gateway's own actor, and sends now and then from here on. */
  start({ telemetry, actor, timer = 'internal', ...options }: OwnTelemetryStart): void {
    const limits = this.#limits;
    const { interval_ms = limits.own_rows_interval_ms } = options;
    const sender = new RowSender({ telemetry, log: this.log, what: 'own telemetry', limits });
    this.#sender = sender;
    this.#rows.start({
      interval_ms,
      timer,
      // Without a store nothing is taken from the counters, so nothing is lost but the newest lines.
      isReady: async () => {
        if (((await telemetry.absent?.()) ?? null) !== null) return false;
        this.#counts = await this.#count();
        return true;
      },
      measure: () => metricRows(this.#report.metrics),
      // The sender tries again, and reports what it had to drop by itself.
      deliver: async (rows, lost_rows) => {
        sender.lost(lost_rows);
        await sender.send(rows.map(({ table, row }) => [{ table, row: row as Row }]));
        return 0;
      },
      onTrouble: (message) => this.log.warn(message),
    });
    const mesh = this.#id('actor mesh', actor);
    const shape = JSON.stringify({ inner: { labels: [], sizes: [] } });
    this.#actorId = this.#id('actor', actor);
    this.#rows.add('meshes', [mesh, nowUs(), 'Gateway', 'mesh_admin', actor, shape, null, null]);
    this.#rows.add('actors', [this.#actorId, nowUs(), mesh, 0, actor, 'mesh_admin']);
    for (const status of ['Created', 'Initializing', 'Idle']) this.#status(status);
  }

  /** With an external timer: sends what is due, and gives the end of it to wait for; null when nothing is due. */
  tick(): Promise<void> | null {
    return this.#rows.tick();
  }

  /** Sends what there is, once; settles when the store has it or cannot take it, after `close_wait_ms` at the latest. */
  async close(): Promise<void> {
    this.#status('Stopping');
    this.#status('Stopped', 'gateway closed');
    this.#actorId = null;
    const closing = this.#rows.close(this.#limits.close_wait_ms);
    this.#sender?.close();
    await closing;
  }

  #status(status: string, reason: string | null = null): void {
    if (this.#actorId === null) return;
    this.#statuses += 1;
    const now_us = nowUs();
    const id = this.#id('status', `${this.#actorId}/${this.#statuses}/${now_us}`);
    this.#rows.add('actor_status_events', [id, now_us, this.#actorId, status, reason]);
  }

  /** The first 64 bits of a SHA-256 over kind and name, as everywhere in the tables. */
  #id(kind: string, name: string): string {
    return String(BigInt(`0x${this.#sha256(`${kind}\0${name}`).slice(0, 16)}`));
  }
}

function nowUs(): number {
  return Date.now() * 1_000;
}
