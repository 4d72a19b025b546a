/**
 * The telemetry of one agent. Its own rows become batches (producer/batcher.ts); the batches of its procs arrive at the
 * collector; the spool keeps both until the store has them. The agent reports its own work in the metric and trace tables.
 *
 * Sending a batch is not reported, because the report would itself have to be sent.
 */
import { type LogLevel, metricRows, SelfReport, settlesWithin, type Trace } from '../../base/index.ts';
import { type Collector, type CollectorCounts, startCollector } from '../collector/collector.ts';
import type { AgentLimits } from '../limits.ts';
import { Batcher } from '../producer/batcher.ts';
import type { Emit } from '../producer/core-rows.ts';
import { adopt, giveUp, makeOwnFolder, type OwnFolder } from '../spool/adoption.ts';
import { Spool, type SpoolOptions } from '../spool/spool.ts';

export interface AgentTelemetryOptions {
  /** This run of the agent: its producer, and `process_id` in the trace tables. */
  readonly run: string;
  readonly host_name: string;
  readonly version: string;
  readonly send: SpoolOptions['send'];
  /** Folder of the spool. Default null: batches are kept in memory. */
  readonly spool_dir: string | null;
  readonly spool_max_bytes: number;
  /** Where procs hand in theirs. Default: a place of the system's for temporary files. */
  readonly socket_path?: string;
  /** Lines for people, which become rows as well. */
  readonly log: (level: LogLevel, message: string) => void;
  readonly limits: AgentLimits;
}

const NO_COUNTS: CollectorCounts = { connections: 0, batches: 0, repeated_batches: 0, refused_lines: 0, lost_rows: 0 };
const LEVELS = { info: 'INFO', warn: 'WARN', error: 'ERROR' } as const;

export class AgentTelemetry {
  readonly spool: Spool;
  readonly report: SelfReport;
  readonly #options: AgentTelemetryOptions;
  readonly #batcher: Batcher;
  readonly #own: OwnFolder | null;
  readonly #adopting: Promise<readonly string[]>;
  #collector: Collector | null = null;
  #isStopped = false;

  private constructor(options: AgentTelemetryOptions) {
    this.#options = options;
    const { limits } = options;
    const own = options.spool_dir === null ? null : makeOwnFolder(options.spool_dir, limits);
    this.#own = own?.ok === true ? own.value : null;
    this.spool = new Spool({
      send: options.send,
      folder: this.#own?.folder ?? null,
      max_bytes: options.spool_max_bytes,
      onTrouble: (message) => this.log('warn', message),
      onForgottenLoss: (rows) => this.#batcher.countLost(0, rows),
      limits,
    });
    this.#batcher = new Batcher({
      producer: options.run,
      source: `agent ${options.host_name}`,
      deliver: async (counted) => {
        await this.spool.keep(counted);
      },
      onRefused: (message) => this.#options.log('warn', message),
      limits,
    });
    this.report = new SelfReport({
      part: 'agent',
      version: options.version,
      process_id: options.run,
      resource: { 'host.name': options.host_name },
      series_max: limits.metric_series_max,
      add: this.emit,
    });
    if (own?.ok === false) this.log('warn', `${own.failure.message}; telemetry is kept in memory`);
    this.#adopting = this.#adopt();
  }

  /** Settles when the collector listens, or cannot: then the agent goes on without, and its log says why. */
  static async start(options: AgentTelemetryOptions): Promise<AgentTelemetry> {
    const telemetry = new AgentTelemetry(options);
    const { spool } = telemetry;
    const { limits } = options;
    const place = options.socket_path === undefined ? {} : { socket_path: options.socket_path };
    const collector = await startCollector({ spool, ready: telemetry.#adopting, limits, ...place });
    if (collector.ok) telemetry.#collector = collector.value;
    else telemetry.log('warn', `${collector.failure.message}; procs cannot hand in telemetry`);
    return telemetry;
  }

  /** One row of a table, in the order of its columns. After the end there is nobody to take it. */
  readonly emit: Emit = (table, row) => {
    if (!this.#isStopped) this.#batcher.add(table, row);
  };

  /** A line for people, and a row of `events`. */
  readonly log = (level: LogLevel, message: string): void => {
    this.#options.log(level, message);
    this.trace.line(LEVELS[level], message);
  };

  get trace(): Trace {
    return this.report.trace;
  }

  /** Where procs hand in theirs; null where they cannot. */
  get socket_path(): string | null {
    return this.#collector?.socket_path ?? null;
  }

  get collected(): CollectorCounts {
    return this.#collector?.counts ?? NO_COUNTS;
  }

  /** Rows of this agent and its procs that were dropped since the start. */
  get lostRows(): number {
    return this.#batcher.lostRows + this.spool.counts.lost_rows + this.collected.lost_rows;
  }

  /** Rows that the store does not have yet. */
  get waitingRows(): number {
    return this.#batcher.waitingRows + this.spool.waiting.rows;
  }

  /** The points of the metrics since the last time, as rows. */
  emitMetrics(): void {
    for (const { table, row } of metricRows(this.report.metrics)) this.emit(table, row);
  }

  /**
   * Accepts no more rows, and waits briefly until the store has everything.
   * @param isLinked whether there is a link to wait for
   */
  async stop(isLinked: boolean): Promise<void> {
    this.#isStopped = true;
    await this.#collector?.close();
    const { log, limits } = this.#options;
    const { stop_disk_ms, stop_drain_ms } = limits;
    const flushing = this.#adopting.then(() => this.#batcher.flush());
    const isFlushed = await settlesWithin(flushing, stop_disk_ms);
    if (isLinked && isFlushed) await this.spool.drain(stop_drain_ms);
    this.#batcher.close();
    const closing = this.#close();
    if (!(await settlesWithin(closing, stop_disk_ms))) {
      log('warn', 'the spool does not take its last lines: its disk hangs');
      return;
    }
    const rows = await closing;
    if (rows > 0) log('warn', `${rows} rows of telemetry were only in memory, and are lost`);
  }

  /** @returns the rows that were only in memory */
  async #close(): Promise<number> {
    const claimed = await this.#adopting;
    const rows = await this.spool.close();
    if (this.#own !== null) await giveUp(this.#own.parent, [...claimed, this.#own.folder]);
    return rows;
  }

  async #adopt(): Promise<readonly string[]> {
    if (this.#own === null) return [];
    const adopted = await adopt(this.#own.parent, undefined, this.#options.limits);
    this.spool.adopt(adopted);
    const { adopted_batches } = this.spool.counts;
    if (adopted_batches > 0)
      this.log('info', `${adopted_batches} batches of telemetry that an earlier agent left are sent now`);
    return adopted.folders;
  }
}
