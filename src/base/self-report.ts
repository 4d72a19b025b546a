/**
 * How a process of meshscope reports about itself: metrics, log lines and spans, in its `/metrics` and as rows of the
 * telemetry tables, like those of any other producer.
 *
 * A process does not report about the sending of its own rows, or the tables would fill with what is written about writing
 * them. The line that says why a sending failed is a line like any other, one for each sending at most.
 */
import { messageOf } from './error-message.ts';
import type { Log } from './log.ts';
import { type Attributes, Metrics } from './metrics.ts';
import type { Cell } from './rows.ts';
import { sleep } from './sleep.ts';
import { type AddRow, Trace } from './trace.ts';

export interface SelfReportOptions {
  /** The part that runs in this process: `agent`, `gateway` or `telemetry`. */
  readonly part: string;
  readonly version: string;
  /** Names this run of the process in the trace tables; no other run has it. */
  readonly process_id: string;
  /** What the metrics say of the process besides its part and version. Default: its `process_id`. */
  readonly resource?: Attributes;
  /** Series of one metric; further ones go together into one. */
  readonly series_max: number;
  /** Takes the rows of log lines and spans. */
  readonly add: AddRow;
}

/** The metrics and traces of one process. */
export class SelfReport {
  readonly metrics: Metrics;
  readonly trace: Trace;

  constructor({ part, version, process_id, resource = { process_id }, series_max, add }: SelfReportOptions) {
    const scope = `meshscope.${part}`;
    const about = { 'service.name': `meshscope-${part}`, 'service.version': version, ...resource };
    this.metrics = new Metrics({ scope, resource: about, series_max });
    this.trace = new Trace({ process_id, target: scope, add });
  }

  /** @returns a log that writes to the given one, and whose lines are rows of `events` as well */
  traced(log: Log): Log {
    return {
      info: (message, fields) => {
        log.info(message, fields);
        this.trace.line('INFO', message, fields);
      },
      warn: (message, fields) => {
        log.warn(message, fields);
        this.trace.line('WARN', message, fields);
      },
    };
  }
}

export interface OwnRow {
  readonly table: string;
  readonly row: readonly Cell[];
}

export interface OwnRowsOptions {
  /** How often they are sent, milliseconds. */
  readonly interval_ms: number;
  /** `external`: where a runtime allows no timer, `tick` is called with every occasion instead. Default `internal`. */
  readonly timer?: 'internal' | 'external';
  /** Whether the store can take rows now; as long as it cannot, they wait, and metrics go on counting. */
  readonly isReady: () => Promise<boolean>;
  /** Looks at what is measured, once before each sending. */
  readonly measure: () => readonly OwnRow[];
  /**
   * Sends the rows.
   *
   * @param lost_rows how many were lost before these, to be reported with them
   * @returns how many have to be reported as lost with the next: none when the store has them all
   */
  readonly deliver: (rows: readonly OwnRow[], lost_rows: number) => Promise<number>;
  /** Is called with one line when a sending failed in a way that nobody expected. */
  readonly onTrouble: (message: string) => void;
}

/** The rows of a process that sends them itself: they wait within a bound, and are sent in turn, one sending at a time. */
export class OwnRows {
  readonly #rows_max: number;
  #waiting: OwnRow[] = [];
  #lost_rows = 0;
  #sender: Sender | null = null;

  /** @param rows_max rows that wait at most; further ones are dropped, and counted as lost */
  constructor(rows_max: number) {
    this.#rows_max = rows_max;
  }

  readonly add: AddRow = (table, row) => {
    if (this.#waiting.length < this.#rows_max) this.#waiting.push({ table, row });
    else this.#lost_rows += 1;
  };

  /** Sends what waits, and what comes, from here on. To be called once. */
  start(options: OwnRowsOptions): void {
    const { interval_ms, timer = 'internal' } = options;
    this.#sender = new Sender(interval_ms, timer, () => this.#send(options));
  }

  /** @returns the sending that is due now, to be waited for; null when none is */
  tick(): Promise<void> | null {
    return this.#sender?.tick() ?? null;
  }

  /** Sends no more. */
  stop(): void {
    this.#sender?.stop();
  }

  /**
   * Sends what waits once more, and then no more.
   *
   * @param wait_ms how long that may take, milliseconds
   */
  async close(wait_ms: number): Promise<void> {
    const sender = this.#sender;
    this.#sender = null;
    await sender?.finish(wait_ms);
  }

  async #send({ isReady, measure, deliver, onTrouble }: OwnRowsOptions): Promise<void> {
    try {
      if (!(await isReady())) return;
      const rows = [...this.#waiting, ...measure()];
      const lost_rows = this.#lost_rows;
      this.#waiting = [];
      this.#lost_rows = 0;
      this.#lost_rows += await deliver(rows, lost_rows);
    } catch (error) {
      onTrouble(`own telemetry: ${messageOf(error)}`);
    }
  }
}

/** Does the same again and again, never twice at a time. */
class Sender {
  readonly #send: () => Promise<void>;
  readonly #interval_ms: number;
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #began_ms = performance.now();
  #isSending = false;
  #last: Promise<void> = Promise.resolve();

  constructor(interval_ms: number, timer: 'internal' | 'external', send: () => Promise<void>) {
    this.#send = send;
    this.#interval_ms = interval_ms;
    // A sending that takes longer than the interval is not joined by another.
    const onTime = (): void => {
      if (!this.#isSending) this.#run();
    };
    if (timer === 'internal') this.#timer = setInterval(onTime, interval_ms);
  }

  tick(): Promise<void> | null {
    if (this.#isSending || performance.now() - this.#began_ms < this.#interval_ms) return null;
    return this.#run();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async finish(wait_ms: number): Promise<void> {
    this.stop();
    const sent = new AbortController();
    const last = this.#last.then(this.#send).finally(() => sent.abort());
    await Promise.race([last, sleep(wait_ms, sent.signal)]);
  }

  #run(): Promise<void> {
    this.#isSending = true;
    this.#began_ms = performance.now();
    this.#last = this.#send().finally(() => {
      this.#isSending = false;
    });
    return this.#last;
  }
}

/** The rows of all metrics since the last time. */
export function metricRows(metrics: Metrics): OwnRow[] {
  return Object.entries(metrics.rows()).flatMap(([table, rows]) => rows.map((row) => ({ table, row })));
}
