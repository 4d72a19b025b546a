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
  failure,
  type Histogram,
  Metrics,
  messageOf,
  type Outcome,
  Trace,
  type WarningLog,
} from '../../base/index.ts';
import { type EventBatch, type StoreMethod, VERSION } from '../../contract/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import type { StoreHealth, TelemetryStore } from '../port.ts';

const SCOPE = 'meshscope.telemetry';
/** Upper ends of the buckets of durations, milliseconds. */
const DURATIONS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
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
  readonly #metrics: Metrics;
  readonly #trace: Trace;
  readonly #requests: Counter;
  readonly #durations: Histogram;
  readonly #producer = randomUUID();
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  #timer: NodeJS.Timeout | undefined;
  #store: TelemetryStore | null = null;
  /** Asked for before the metrics are looked at, since it comes later than they can wait. */
  #health: StoreHealth | null = null;
  #rows: [table: string, row: readonly Cell[]][] = [];
  #seq = 0;
  #lostRows = 0;
  #isTelling = false;

  constructor(ports: OwnTelemetryPorts) {
    this.#ports = ports;
    const process_id = `telemetry-${this.#producer}`;
    const resource = { 'service.name': 'meshscope-telemetry', 'service.version': VERSION, process_id };
    const metrics = new Metrics(SCOPE, resource);
    this.#metrics = metrics;
    this.#trace = new Trace({ process_id, target: SCOPE, add: (table, row) => this.#add(table, row) });
    this.#requests = metrics.counter('telemetry.requests', { help: 'Requests answered', unit: '{request}' });
    this.#durations = metrics.histogram('telemetry.request_duration_ms', {
      help: 'Time to the answer of a request; of one that stores, the commit included',
      unit: 'ms',
      bounds: DURATIONS_MS,
    });
    for (const [name, help] of Object.entries(SINCE_START) as [keyof typeof SINCE_START, string][]) {
      metrics.counter(`telemetry.${name}`, { help }, () => this.#health?.[name] ?? []);
    }
    for (const [name, help] of Object.entries(AT_PRESENT) as [keyof typeof AT_PRESENT, string][]) {
      metrics.gauge(`telemetry.${name}`, { help }, () => this.#health?.[name] ?? []);
    }
    metrics.gauge('telemetry.ok', { help: 'Whether rows can be stored: 1 or 0' }, () => Number(this.#health?.ok ?? 0));
    const bytes = { help: 'Resident memory of the process', unit: 'By' };
    metrics.gauge('telemetry.process_rss_bytes', bytes, () => process.memoryUsage.rss());
    const delay = { help: 'Delay of the event loop, 99th percentile since the last interval', unit: 'ms' };
    metrics.gauge('telemetry.event_loop_delay_ms', delay, () =>
      // The histogram counts the resolution in, and is not a number while nothing was seen.
      Math.max(0, (this.#delay.percentile(99) || 0) / NS_PER_MS - DELAY_RESOLUTION_MS),
    );
    this.#delay.enable();
    this.log = {
      warn: (message, fields) => {
        ports.log.warn(message, fields);
        this.#trace.line('WARN', message, fields);
      },
    };
  }

  /** The text of `/metrics`. */
  async text(): Promise<string> {
    this.#health = (await this.#store?.health()) ?? null;
    return this.#metrics.prometheus();
  }

  /**
   * Begins to measure a store, and to tell it what it measures.
   * @returns the store as others are to use it, so that what they ask is counted
   */
  observe(store: TelemetryStore): TelemetryStore {
    this.#store = store;
    for (const name of Object.keys(store.load)) {
      const help = `Query processes: ${name.replace(/^sql_/, '')}`;
      this.#metrics.gauge(`telemetry.${name}`, { help }, () => store.load[name] ?? 0);
    }
    this.#timer = setInterval(() => void this.#tell(store), this.#ports.limits.own_rows_interval_ms).unref();
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
    clearInterval(this.#timer);
    this.#delay.disable();
  }

  async #count<T>(method: StoreMethod, answer: Promise<Outcome<T>>): Promise<Outcome<T>> {
    const began_ms = performance.now();
    // Batches come by the hundred each second: a span for each would be most of what is stored.
    const span = method === 'ingest' ? null : this.#trace.span(method);
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

  /** One at a time, and in order: a batch tells the losses before it, which may be told once only. */
  async #tell(store: TelemetryStore): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      await this.#send(store);
    } catch (error) {
      this.log.warn(`own telemetry: ${messageOf(error)}`);
    } finally {
      this.#isTelling = false;
    }
  }

  async #send(store: TelemetryStore): Promise<void> {
    this.#health = await store.health();
    // What cannot be stored now would only push out what waits.
    if (!this.#health.ok) return;
    const rows: [string, readonly Cell[]][] = this.#rows;
    this.#rows = [];
    for (const [table, measured] of Object.entries(this.#metrics.rows())) {
      for (const row of measured) rows.push([table, row]);
    }
    this.#delay.reset();
    const tables: Record<string, (readonly Cell[])[]> = {};
    for (const [table, row] of rows) {
      tables[table] ??= [];
      tables[table].push(row);
    }
    this.#seq += 1;
    const lost_rows = this.#lostRows;
    const about = { producer: this.#producer, source: 'telemetry', seq: this.#seq, lost_rows };
    const stored = await store.ingest({ ...about, tables: tables as NonNullable<EventBatch['tables']> });
    this.#lostRows += stored.ok ? -lost_rows : rows.length;
  }

  #add(table: string, row: readonly Cell[]): void {
    if (this.#rows.length < this.#ports.limits.own_rows_max) this.#rows.push([table, row]);
    else this.#lostRows += 1;
  }
}
