/**
 * User SQL, walled off: queries wait in one line for a few processes that can be killed.
 *
 * 1. A process is started when a query needs one, and kept for the next; after a rest it ends, and so does its memory.
 * 2. A query waits while all are busy: at most `sql_queue_max` queries, each at most `sql_queue_timeout_ms`.
 * 3. A process that a query brought down, that was killed for its time limit, or that fell too far behind the store is
 *    replaced when the next query needs one.
 * 4. A query sees every row that was acknowledged before it was sent.
 */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure, type Outcome, success } from '../../contract/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import type { Store } from '../store.ts';
import { SqlWorker } from './worker.ts';

/** Folder of the query processes' copies, beside the data file. Everything in it may be deleted. */
const COPIES_FOLDER = 'telemetry-copies';

/** Processes that one query may be handed to. */
const TRIES_MAX = 3;

interface Waiting {
  readonly sql: string;
  readonly signal: AbortSignal | undefined;
  readonly answer: (outcome: Outcome<string>) => void;
  readonly timer: NodeJS.Timeout;
}

interface Resting {
  readonly worker: SqlWorker;
  readonly timer: NodeJS.Timeout;
}

export class SqlSandbox {
  readonly #store: Store;
  readonly #limits: TelemetryLimits;
  readonly #folder: string;
  readonly #line: Waiting[] = [];
  #resting: Resting[] = [];
  /** Processes that are starting or running a query. */
  readonly #busy = new Set<Promise<void>>();
  readonly #running = new Set<SqlWorker>();
  readonly #closing = new AbortController();

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

  /** What `/healthz` says of the sandbox. */
  get load(): { sql_processes: number; sql_running: number; sql_waiting: number } {
    return { sql_processes: this.pids.length, sql_running: this.#running.size, sql_waiting: this.#line.length };
  }

  /** Process ids of the query processes. */
  get pids(): number[] {
    return [...this.#running, ...this.#resting.map((resting) => resting.worker)].flatMap((worker) => worker.pid ?? []);
  }

  /**
   * Runs one query and gives the JSON text of its answer.
   * @returns `bad_request` for the query's faults and for the limits of its result, `gateway_timeout` at its time limit,
   *          `service_unavailable` when the line is full or no process can be had
   */
  query(sql: string, signal?: AbortSignal): Promise<Outcome<string>> {
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
    for (const waiting of this.#line.splice(0)) {
      clearTimeout(waiting.timer);
      waiting.answer(failure('service_unavailable', 'telemetry is closing'));
    }
    await Promise.all([...this.#running].map((worker) => worker.stop()));
    await Promise.all(this.#busy);
    await Promise.all(
      this.#resting.splice(0).map(({ worker, timer }) => {
        clearTimeout(timer);
        return worker.stop();
      }),
    );
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
      });
      this.#busy.add(work);
    }
  }

  async #work(waiting: Waiting): Promise<void> {
    if (waiting.signal?.aborted) {
      waiting.answer(failure('gateway_timeout', 'sql: its client went away'));
      return;
    }
    let outcome: Outcome<string> | 'not started' = 'not started';
    // A process may end at rest (the kernel was short of memory) just as it is handed a query: that costs a second try.
    for (let tries = 0; outcome === 'not started' && tries < TRIES_MAX; tries++) outcome = await this.#try(waiting);
    if (outcome === 'not started')
      outcome = failure('service_unavailable', 'query processes end as soon as they start');
    waiting.answer(outcome);
  }

  async #try(waiting: Waiting): Promise<Outcome<string> | 'not started'> {
    const taken = await this.#take();
    if (!taken.ok) return taken;
    const worker = taken.value;
    this.#running.add(worker);
    const outcome = this.#closing.signal.aborted
      ? failure('service_unavailable', 'telemetry is closing')
      : await worker.run(waiting.sql, waiting.signal);
    this.#running.delete(worker);
    if (worker.usable && !this.#closing.signal.aborted) this.#rest(worker);
    else await worker.stop();
    return outcome;
  }

  async #take(): Promise<Outcome<SqlWorker>> {
    for (let resting = this.#resting.pop(); resting !== undefined; resting = this.#resting.pop()) {
      clearTimeout(resting.timer);
      if (resting.worker.usable) return success(resting.worker);
      await resting.worker.stop();
    }
    return await SqlWorker.start(this.#store, this.#limits, this.#folder, this.#closing.signal);
  }

  #rest(worker: SqlWorker): void {
    const timer = setTimeout(() => {
      this.#resting = this.#resting.filter((resting) => resting.worker !== worker);
      void worker.stop();
    }, this.#limits.sql_idle_ms);
    // A resting process holds nobody up: it ends with the service.
    timer.unref();
    this.#resting.push({ worker, timer });
  }
}
