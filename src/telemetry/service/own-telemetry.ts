/**
 * What the telemetry service says of itself: metrics (`/metrics` and rows), its log lines, and a span for each query and
 * each stored dump. It is a producer of its own store like any other; what it stores of itself is neither counted as a
 * request nor traced.
 */
import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import {
  type Cell,
  type Counter,
  DURATION_BOUNDS_MS,
  failure,
  type Histogram,
  messageOf,
  metricRows,
  type Outcome,
  type OwnRow,
  OwnRows,
  SelfReport,
  SILENT,
  type WarningLog,
} from '../../base/index.ts';
import { type EventBatch, type StoreMethod, VERSION } from '../../contract/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import type { TelemetryStore } from '../port.ts';
import type { StoreHealth } from '../store/health.ts';

const NS_PER_MS = 1e6;
const DELAY_RESOLUTION_MS = 5;

/** What the store counts since it was opened, and what it has at present. */
const SINCE_START = {
  rows_stored: 'Rows stored',
  batches_stored: 'Event batches stored',
  duplicate_batches: 'Event batches that were stored already, and counted once',
  commits: 'Transactions committed',
  failed_commits: 'Transactions that failed, with nothing stored',
} as const satisfies Partial<Record<keyof StoreHealth, string>>;
const AT_PRESENT = {
  writes_waiting: 'Writes that wait for their commit',
  producers: 'Producers remembered',
  lost_rows: 'Rows that producers say they had to drop, over the life of the data file',
  database_bytes: 'Size of the data file and its log',
  unsealed_rows: 'Rows that are in no sealed segment yet',
  segments: 'Sealed segments',
  segment_bytes: 'Size of the sealed segments',
  damaged_files: 'Files of segments that were found damaged',
  disk_free_bytes: 'Free space of the disk that the store is on, when it was last looked at',
} as const satisfies Partial<Record<keyof StoreHealth, string>>;

export interface OwnTelemetryPorts {
  readonly log: WarningLog;
  readonly limits: TelemetryLimits;
}

export class OwnTelemetry {
  /** The log that was given, and the table `events`. */
  readonly log: WarningLog;
  readonly #ports: OwnTelemetryPorts;
  readonly #report: SelfReport;
  readonly #rows: OwnRows;
  readonly #requests: Counter;
  readonly #durations: Histogram;
  readonly #producer = randomUUID();
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  #store: TelemetryStore | null = null;
  /** Asked for before the metrics are looked at, since it comes later than they can wait. */
  #health: StoreHealth | null = null;
  #seq = 0;

  constructor(ports: OwnTelemetryPorts) {
    this.#ports = ports;
    this.#rows = new OwnRows(ports.limits.own_rows_max);
    const process_id = `telemetry-${this.#producer}`;
    this.#report = new SelfReport({
      part: 'telemetry',
      version: VERSION,
      process_id,
      series_max: ports.limits.metric_series_max,
      add: this.#rows.add,
    });
    const { metrics } = this.#report;
    this.#requests = metrics.counter('telemetry.requests', { help: 'Requests answered', unit: '{request}' });
    this.#durations = metrics.histogram('telemetry.request_duration_ms', {
      help: 'Time to the answer of a request; of one that stores, the commit included',
      unit: 'ms',
      bounds: DURATION_BOUNDS_MS,
    });
    metrics.numbers('counter', 'telemetry.', SINCE_START, (name) => this.#health?.[name] ?? []);
    metrics.numbers('gauge', 'telemetry.', AT_PRESENT, (name) => this.#health?.[name] ?? []);
    metrics.gauge('telemetry.ok', { help: 'Whether rows can be stored: 1 or 0' }, () => Number(this.#health?.ok ?? 0));
    const bytes = { help: 'Resident memory of the process', unit: 'By' };
    metrics.gauge('telemetry.process_rss_bytes', bytes, () => process.memoryUsage.rss());
    const delay = { help: 'Delay of the event loop, 99th percentile since the last interval', unit: 'ms' };
    metrics.gauge('telemetry.event_loop_delay_ms', delay, () =>
      // The histogram counts the resolution in, and is not a number while nothing was seen.
      Math.max(0, (this.#delay.percentile(99) || 0) / NS_PER_MS - DELAY_RESOLUTION_MS),
    );
    this.#delay.enable();
    this.log = this.#report.traced({ ...SILENT, warn: (message, fields) => ports.log.warn(message, fields) });
  }

  /** The text of `/metrics`. */
  async text(): Promise<string> {
    this.#health = (await this.#store?.health()) ?? null;
    return this.#report.metrics.prometheus();
  }

  /**
   * Begins to measure a store, and to tell it what it measures.
   * @returns the store as others are to use it, so that what they ask is counted
   */
  observe(store: TelemetryStore): TelemetryStore {
    this.#store = store;
    for (const name of Object.keys(store.load)) {
      const help = `Query processes: ${name.replace(/^sql_/, '')}`;
      this.#report.metrics.gauge(`telemetry.${name}`, { help }, () => store.load[name] ?? 0);
    }
    this.#rows.start({
      interval_ms: this.#ports.limits.own_rows_interval_ms,
      isReady: async () => {
        this.#health = await store.health();
        return this.#health.ok;
      },
      measure: () => {
        const rows = metricRows(this.#report.metrics);
        this.#delay.reset();
        return rows;
      },
      deliver: (rows, lost_rows) => this.#deliver(store, rows, lost_rows),
      onTrouble: (message) => this.log.warn(message),
    });
    return {
      ingest: (batch) => this.#count('ingest', store.ingest(batch)),
      storeDump: (dump) => this.#count('store_dump', store.storeDump(dump)),
      query: (sql, signal, format) => this.#count('query', store.query(sql, signal, format)),
      health: () => store.health(),
      get load() {
        return store.load;
      },
      sweep: (now_ms) => store.sweep(now_ms),
      close: () => store.close(),
    };
  }

  close(): void {
    this.#rows.stop();
    this.#delay.disable();
  }

  async #count<T>(method: StoreMethod, answer: Promise<Outcome<T>>): Promise<Outcome<T>> {
    const began_ms = performance.now();
    // Batches come by the hundred each second: a span for each would be most of what is stored.
    const span = method === 'ingest' ? null : this.#report.trace.span(method);
    const outcome = await answer.catch((error: unknown) => this.#failed(method, error));
    span?.close();
    this.#requests.add(1, { method, outcome: outcome.ok ? 'ok' : outcome.failure.code });
    this.#durations.record(performance.now() - began_ms, { method });
    return outcome;
  }

  /** What nobody expected is for the log; whoever asked, by HTTP or over a link, is told where to look. */
  #failed(method: StoreMethod, error: unknown): Outcome<never> {
    this.log.warn(`${method} failed: ${messageOf(error)}`, error instanceof Error ? { stack: error.stack } : {});
    return failure('internal_error', 'telemetry failed; its log says why');
  }

  async #deliver(store: TelemetryStore, rows: readonly OwnRow[], lost_rows: number): Promise<number> {
    const tables: Record<string, (readonly Cell[])[]> = {};
    for (const { table, row } of rows) {
      tables[table] ??= [];
      tables[table].push(row);
    }
    this.#seq += 1;
    const about = { producer: this.#producer, source: 'telemetry', seq: this.#seq, lost_rows };
    const stored = await store.ingest({ ...about, tables: tables as NonNullable<EventBatch['tables']> });
    return stored.ok ? 0 : lost_rows + rows.length;
  }
}
