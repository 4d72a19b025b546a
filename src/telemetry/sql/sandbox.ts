/**
 * User SQL, walled off: queries wait in one line for a few processes that can be killed.
 *
 * 1. So many processes are kept warm: started with the service, and each replaced as soon as it is no use any more, so that
 *    no query waits for a copy of the tables. More are started when a query needs one, and kept for the next; after a rest
 *    they end, and so does their memory.
 * 2. A query waits while all are busy: at most `sql_queue_max` queries, each at most `sql_queue_timeout_ms`.
 * 3. A process that a query brought down, that was killed for its time limit, or that fell too far behind the store is
 *    replaced: at once where it was to be warm, else when the next query needs one.
 * 4. A query sees every row that was acknowledged before it was sent.
 */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure, type Outcome, success } from '../../contract/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import type { Store } from '../store.ts';
import type { QueryAnswer } from './answer.ts';
import type { Format } from './formats.ts';
import { SqlWorker } from './worker.ts';

/** Folder of the query processes' copies, beside the data file. Everything in it may be deleted. */
const COPIES_FOLDER = 'telemetry-copies';

/**
 * When a process was of no use before any query had it (it could not start, or fell behind), so many times the duration of a
 * start pass until the next: copying must not be all that is done.
 */
const PAUSE_STARTS = 3;

/** Processes that one query may be handed to. */
const TRIES_MAX = 3;

interface Waiting {
  readonly sql: string;
  readonly format: Format;
  readonly signal: AbortSignal | undefined;
  readonly answer: (outcome: Outcome<QueryAnswer>) => void;
  readonly timer: NodeJS.Timeout;
}

interface Resting {
  readonly worker: SqlWorker;
  /** Null in a process that is kept warm. */
  readonly timer: NodeJS.Timeout | null;
}

export class SqlSandbox {
  readonly #store: Store;
  readonly #limits: TelemetryLimits;
  readonly #folder: string;
  readonly #line: Waiting[] = [];
  #resting: Resting[] = [];
  /** Queries that have a process, or are getting one. */
  readonly #busy = new Set<Promise<void>>();
  readonly #running = new Set<SqlWorker>();
  readonly #closing = new AbortController();
  #warmProcesses = 0;
  /** A process that is being made ready ahead of any query. */
  #warming: Promise<void> | null = null;
  #warmTimer: NodeJS.Timeout | null = null;
  #warmAgainAt_ms = 0;
  /** Duration of the last start ahead of queries. */
  #start_ms = 0;

  /** A sandbox for an open store; nothing is started yet. */
  constructor(store: Store, limits: TelemetryLimits) {
    this.#store = store;
    this.#limits = limits;
    this.#folder = join(dirname(store.path), COPIES_FOLDER);
  }

  /** Removes what a killed owner left behind. */
  async clean(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  /**
   * Starts this many processes, one after the other, and keeps as many from now on.
   * @param processes at most `sql_workers_max`; 0 keeps none
   */
  warm(processes: number): void {
    this.#warmProcesses = Math.min(processes, this.#limits.sql_workers_max);
    this.#keepWarm();
  }

  /** What `/healthz` says of the sandbox. */
  get load(): { sql_processes: number; sql_running: number; sql_waiting: number } {
    return { sql_processes: this.pids.length, sql_running: this.#running.size, sql_waiting: this.#line.length };
  }

  /** Process ids of the query processes. */
  get pids(): number[] {
    return [...this.#running, ...this.#resting.map((resting) => resting.worker)].flatMap((worker) => worker.pid ?? []);
  }

  /**
   * Runs one query.
   * @param format of the answer, default JSON
   * @returns the whole answer; `bad_request` for the query's faults and for the limits of its result, `gateway_timeout` at
   *          its time limit, `service_unavailable` when the line is full or no process can be had
   */
  query(sql: string, signal?: AbortSignal, format: Format = 'json'): Promise<Outcome<QueryAnswer>> {
    const { sql_queue_max, sql_queue_timeout_ms, sql_workers_max, sql_max_bytes } = this.#limits;
    if (this.#closing.signal.aborted) return Promise.resolve(failure('service_unavailable', 'telemetry is closing'));
    if (Buffer.byteLength(sql) > sql_max_bytes) {
      return Promise.resolve(failure('bad_request', `sql: longer than ${sql_max_bytes} bytes`));
    }
    if (this.#busy.size >= sql_workers_max && this.#line.length >= sql_queue_max) {
      return Promise.resolve(
        failure('service_unavailable', `${sql_queue_max} queries are waiting already; try again later`),
      );
    }
    return new Promise((answer) => {
      const waiting: Waiting = {
        sql,
        format,
        signal,
        answer,
        timer: setTimeout(() => {
          this.#line.splice(this.#line.indexOf(waiting), 1);
          answer(failure('service_unavailable', `no query process was free within ${sql_queue_timeout_ms} ms`));
        }, sql_queue_timeout_ms),
      };
      this.#line.push(waiting);
      this.#dispatch();
    });
  }

  /** Answers what waits, kills the processes and removes their copies. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#warmTimer !== null) clearTimeout(this.#warmTimer);
    for (const waiting of this.#line.splice(0)) {
      clearTimeout(waiting.timer);
      waiting.answer(failure('service_unavailable', 'telemetry is closing'));
    }
    await Promise.all([...this.#running].map((worker) => worker.stop()));
    await Promise.all([...this.#busy, this.#warming]);
    await Promise.all(this.#resting.splice(0).map((resting) => this.#discard(resting)));
    await rm(this.#folder, { recursive: true, force: true });
  }

  #dispatch(): void {
    while (this.#line.length > 0 && this.#busy.size < this.#limits.sql_workers_max) {
      const waiting = this.#line.shift();
      if (waiting === undefined) return;
      clearTimeout(waiting.timer);
      const work = this.#work(waiting).finally(() => {
        this.#busy.delete(work);
        this.#dispatch();
        this.#keepWarm();
      });
      this.#busy.add(work);
    }
  }

  async #work(waiting: Waiting): Promise<void> {
    if (waiting.signal?.aborted) {
      waiting.answer(failure('gateway_timeout', 'sql: its client went away'));
      return;
    }
    let outcome: Outcome<QueryAnswer> | 'not started' = 'not started';
    // A process may end at rest (the kernel was short of memory) just as it is handed a query: that costs a second try.
    for (let tries = 0; outcome === 'not started' && tries < TRIES_MAX; tries++) outcome = await this.#try(waiting);
    if (outcome === 'not started')
      outcome = failure('service_unavailable', 'query processes end as soon as they start');
    waiting.answer(outcome);
  }

  async #try(waiting: Waiting): Promise<Outcome<QueryAnswer> | 'not started'> {
    const taken = await this.#take();
    if (!taken.ok) return taken;
    const worker = taken.value;
    this.#running.add(worker);
    const outcome = this.#closing.signal.aborted
      ? failure('service_unavailable', 'telemetry is closing')
      : await worker.run(waiting.sql, waiting.format, waiting.signal);
    this.#running.delete(worker);
    if (worker.usable && !this.#closing.signal.aborted) this.#rest(worker);
    // Whoever asked need not wait until its copy is removed; a service that closes does.
    else if (this.#closing.signal.aborted) await worker.stop();
    else await worker.kill();
    return outcome;
  }

  async #take(): Promise<Outcome<SqlWorker>> {
    // One that is on its way is ready before another would be.
    if (this.#resting.length === 0 && this.#warming !== null) await this.#warming;
    for (let resting = this.#resting.pop(); resting !== undefined; resting = this.#resting.pop()) {
      if (resting.timer !== null) clearTimeout(resting.timer);
      if (resting.worker.usable) return success(resting.worker);
      await this.#discard(resting);
    }
    return await this.#start();
  }

  #rest(worker: SqlWorker): void {
    const isWarm = this.#warmCount() < this.#warmProcesses;
    let timer: NodeJS.Timeout | null = null;
    if (!isWarm) {
      timer = setTimeout(() => {
        this.#resting = this.#resting.filter((resting) => resting.worker !== worker);
        void worker.stop();
      }, this.#limits.sql_idle_ms);
      // A resting process holds nobody up: it ends with the service.
      timer.unref();
    }
    this.#resting.push({ worker, timer });
  }

  async #start(): Promise<Outcome<SqlWorker>> {
    const started = await SqlWorker.start(this.#store, this.#limits, this.#folder, this.#closing.signal);
    if (started.ok) started.value.useless.then(() => this.#keepWarm());
    return started;
  }

  /** Those that rest without an end, and are of use. */
  #warmCount(): number {
    return this.#resting.filter(({ worker, timer }) => timer === null && worker.usable).length;
  }

  /** Starts a process where one is missing that should be warm, counting those that run a query and may come back. */
  #keepWarm(): void {
    if (this.#closing.signal.aborted || this.#warming !== null || this.#warmTimer !== null) return;
    const useless = this.#resting.filter(({ worker }) => !worker.usable);
    this.#resting = this.#resting.filter(({ worker }) => worker.usable);
    for (const resting of useless) void this.#discard(resting);
    if (useless.length > 0) this.#pauseWarming();
    if (this.#resting.length + this.#busy.size >= this.#warmProcesses) return;
    const wait_ms = this.#warmAgainAt_ms - performance.now();
    if (wait_ms > 0) {
      this.#warmTimer = setTimeout(() => {
        this.#warmTimer = null;
        this.#keepWarm();
      }, wait_ms);
      this.#warmTimer.unref();
      return;
    }
    this.#warming = this.#startWarm().finally(() => {
      this.#warming = null;
      this.#keepWarm();
    });
  }

  async #startWarm(): Promise<void> {
    const begin_ms = performance.now();
    const started = await this.#start();
    this.#start_ms = performance.now() - begin_ms;
    if (!started.ok) return this.#pauseWarming();
    if (this.#closing.signal.aborted) await started.value.stop();
    else this.#rest(started.value);
  }

  #pauseWarming(): void {
    const pause_ms = Math.max(this.#limits.sql_warm_pause_ms, PAUSE_STARTS * this.#start_ms);
    this.#warmAgainAt_ms = performance.now() + pause_ms;
  }

  async #discard({ worker, timer }: Resting): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    await worker.stop();
  }
}
