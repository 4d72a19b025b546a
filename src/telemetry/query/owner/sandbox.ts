/**
 * User SQL, walled off: queries wait in one queue for a few processes that can be killed.
 *
 * 1. Some processes are kept warm: they start with the service and are replaced as soon as they become unusable, so that no
 *    query waits for a copy of the tables. More are started when a query needs one, and kept for the next; after
 *    `sql_idle_ms` of rest they end. A query takes whichever process is ready first: the one started for it, or one that
 *    another query has finished with.
 * 2. While all processes are busy, at most `sql_queue_max` queries wait, each at most `sql_queue_timeout_ms`.
 * 3. A process is replaced when a query brought it down, when it was killed at its time limit, or when it fell too far behind
 *    the store: a warm one at once, any other when the next query needs one.
 * 4. A query sees every row that was acknowledged before the query was sent.
 * 5. An answer is returned as soon as it is complete. An unusable process counts until it has ended, so that there are never
 *    more processes, and never more of their memory, than allowed.
 */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure, type Outcome, success } from '../../../base/index.ts';
import type { TelemetryLimits } from '../../limits.ts';
import type { Store } from '../../store/store.ts';
import type { Format } from '../formats.ts';
import type { QueryAnswer } from './answer.ts';
import { QueryProcess } from './query-process.ts';

/** Folder of the query processes' copies, beside the data file. Everything in it may be deleted. */
const COPIES_FOLDER = 'telemetry-copies';

interface Waiting {
  readonly sql: string;
  readonly format: Format;
  readonly signal: AbortSignal | undefined;
  /** Takes the query out of the queue: it gets a process, or its answer. */
  readonly leave: () => void;
  /** The first call counts. */
  readonly answer: (outcome: Outcome<QueryAnswer>) => void;
}

const ABANDONED = failure('gateway_timeout', 'sql: stopped, since its client went away');
const CLOSING = failure('service_unavailable', 'telemetry is closing');

interface Resting {
  readonly queryProcess: QueryProcess;
  /** Ends the rest. Null for a process that is kept warm. */
  readonly timer: NodeJS.Timeout | null;
}

export class SqlSandbox {
  readonly #store: Store;
  readonly #limits: TelemetryLimits;
  readonly #folder: string;
  readonly #line: Waiting[] = [];
  #resting: Resting[] = [];
  /** Queries that have a process, that are getting one, or whose process is ending. */
  readonly #busy = new Set<Promise<void>>();
  readonly #running = new Set<QueryProcess>();
  /** The queries among them that are getting a process, in their order. */
  readonly #takers: ((taken: Outcome<QueryProcess>) => void)[] = [];
  /** Processes that are being started, for a query or in advance. */
  readonly #starting = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #warmProcesses = 0;
  #warmTimer: NodeJS.Timeout | null = null;
  #warmAgainAt_ms = 0;
  /** Duration of the last start. */
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
   * Starts this many processes, one after another, and keeps as many from now on.
   * @param processes at most `sql_processes_max`; 0 keeps none
   */
  warm(processes: number): void {
    this.#warmProcesses = Math.min(processes, this.#limits.sql_processes_max);
    this.#keepWarm();
  }

  /** What `/healthz` says of the sandbox. */
  get load(): { sql_processes: number; sql_running: number; sql_waiting: number } {
    return { sql_processes: this.pids.length, sql_running: this.#running.size, sql_waiting: this.#line.length };
  }

  /** Process ids of the query processes. */
  get pids(): number[] {
    return [...this.#running, ...this.#resting.map((resting) => resting.queryProcess)].flatMap(
      (queryProcess) => queryProcess.pid ?? [],
    );
  }

  /**
   * Runs one query.
   * @param format of the answer, default JSON
   * @returns the whole answer; `bad_request` for the query's faults and for the limits of its result, `gateway_timeout` at
   *          its time limit, `service_unavailable` when the line is full or no process can be had
   */
  query(sql: string, signal?: AbortSignal, format: Format = 'json'): Promise<Outcome<QueryAnswer>> {
    const { sql_queue_max, sql_queue_timeout_ms, sql_processes_max, sql_max_bytes } = this.#limits;
    if (this.#closing.signal.aborted) return Promise.resolve(CLOSING);
    if (Buffer.byteLength(sql) > sql_max_bytes) {
      return Promise.resolve(failure('bad_request', `sql: longer than ${sql_max_bytes} bytes`));
    }
    if (this.#busy.size >= sql_processes_max && this.#line.length >= sql_queue_max) {
      return Promise.resolve(
        failure('service_unavailable', `${sql_queue_max} queries are waiting already; try again later`),
      );
    }
    return new Promise((resolve) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abandon);
        const place = this.#line.indexOf(waiting);
        if (place >= 0) this.#line.splice(place, 1);
      };
      const answer = (outcome: Outcome<QueryAnswer>): void => {
        leave();
        resolve(outcome);
      };
      const timer = setTimeout(() => {
        answer(failure('service_unavailable', `no query process was free within ${sql_queue_timeout_ms} ms`));
      }, sql_queue_timeout_ms);
      // Its client has gone, so it gives up its place in the queue.
      const abandon = (): void => answer(ABANDONED);
      const waiting: Waiting = { sql, format, signal, leave, answer };
      if (signal?.aborted) return abandon();
      signal?.addEventListener('abort', abandon);
      this.#line.push(waiting);
      this.#dispatch();
    });
  }

  /** Refuses the queries that wait, kills the processes and removes their copies. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#warmTimer !== null) clearTimeout(this.#warmTimer);
    for (const waiting of [...this.#line]) waiting.answer(CLOSING);
    await Promise.all([...this.#running].map((queryProcess) => queryProcess.stop()));
    await Promise.all([...this.#busy, ...this.#starting]);
    await Promise.all(this.#resting.splice(0).map((resting) => this.#discard(resting)));
    await rm(this.#folder, { recursive: true, force: true });
  }

  #dispatch(): void {
    while (this.#busy.size < this.#limits.sql_processes_max) {
      const [waiting] = this.#line;
      if (waiting === undefined) return;
      waiting.leave();
      const work = this.#work(waiting).finally(() => {
        this.#busy.delete(work);
        this.#dispatch();
        this.#keepWarm();
      });
      this.#busy.add(work);
    }
  }

  async #work(waiting: Waiting): Promise<void> {
    // A process may end at rest (the kernel was short of memory) just as it is handed a query: that costs a second try.
    for (let tries = 0; tries < this.#limits.sql_tries_max; tries++) {
      const taken = await this.#take();
      if (!taken.ok) return waiting.answer(taken);
      if (await this.#run(taken.value, waiting)) return;
    }
    const message = 'query processes end as soon as they start; see whether the machine has memory left';
    waiting.answer(failure('service_unavailable', message));
  }

  /** @returns whether the query was answered; false when the process was unusable, or ended before it began with the query */
  async #run(queryProcess: QueryProcess, { sql, format, signal, answer }: Waiting): Promise<boolean> {
    this.#running.add(queryProcess);
    let outcome: Outcome<QueryAnswer> | 'not started' = 'not started';
    if (this.#closing.signal.aborted) outcome = CLOSING;
    else if (signal?.aborted) outcome = ABANDONED;
    // A process that fell behind while it started lacks rows that were acknowledged.
    else if (queryProcess.usable) outcome = await queryProcess.run(sql, format, signal);
    if (outcome !== 'not started') answer(outcome);
    // The next query need not wait until the copy is removed; closing must.
    if (this.#closing.signal.aborted) await queryProcess.stop();
    else if (!queryProcess.usable) await queryProcess.kill();
    this.#running.delete(queryProcess);
    if (queryProcess.usable) this.#hand(queryProcess);
    return outcome !== 'not started';
  }

  async #take(): Promise<Outcome<QueryProcess>> {
    for (let resting = this.#resting.pop(); resting !== undefined; resting = this.#resting.pop()) {
      if (resting.timer !== null) clearTimeout(resting.timer);
      if (resting.queryProcess.usable) return success(resting.queryProcess);
      await this.#discard(resting);
    }
    return await new Promise((take) => {
      this.#takers.push(take);
      if (this.#starting.size < this.#takers.length) this.#start();
    });
  }

  /** Hands a free process to the query that has waited longest for one. Without such a query it rests. */
  #hand(queryProcess: QueryProcess): void {
    const take = this.#takers.shift();
    if (take === undefined) this.#rest(queryProcess);
    else take(success(queryProcess));
  }

  #rest(queryProcess: QueryProcess): void {
    const isWarm = this.#warmCount() < this.#warmProcesses;
    let timer: NodeJS.Timeout | null = null;
    if (!isWarm) {
      timer = setTimeout(() => {
        this.#resting = this.#resting.filter((resting) => resting.queryProcess !== queryProcess);
        void queryProcess.stop();
      }, this.#limits.sql_idle_ms);
      // A resting process must not keep the service from ending.
      timer.unref();
    }
    this.#resting.push({ queryProcess, timer });
  }

  #start(): void {
    const begin_ms = performance.now();
    const start = QueryProcess.start(this.#store, this.#limits, this.#folder, this.#closing.signal)
      .then(async (started) => {
        this.#start_ms = performance.now() - begin_ms;
        if (started.ok) started.value.useless.then(() => this.#keepWarm());
        const take = this.#takers.shift();
        if (take !== undefined) return take(started);
        if (started.ok && started.value.usable && !this.#closing.signal.aborted) return this.#rest(started.value);
        this.#pauseWarming();
        if (started.ok) await started.value.stop();
      })
      .finally(() => {
        this.#starting.delete(start);
        this.#keepWarm();
      });
    this.#starting.add(start);
  }

  /** How many usable warm processes rest. */
  #warmCount(): number {
    return this.#resting.filter(({ queryProcess, timer }) => timer === null && queryProcess.usable).length;
  }

  /** Starts a process when fewer are warm than should be, counting those that run a query and may come back. */
  #keepWarm(): void {
    if (this.#closing.signal.aborted || this.#warmTimer !== null) return;
    const useless = this.#resting.filter(({ queryProcess }) => !queryProcess.usable);
    this.#resting = this.#resting.filter(({ queryProcess }) => queryProcess.usable);
    for (const resting of useless) void this.#discard(resting);
    if (useless.length > 0) this.#pauseWarming();
    // A start that no query waits for is the missing one.
    if (this.#starting.size > this.#takers.length) return;
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
    this.#start();
  }

  #pauseWarming(): void {
    const { sql_warm_pause_ms, sql_warm_pause_starts } = this.#limits;
    const pause_ms = Math.max(sql_warm_pause_ms, sql_warm_pause_starts * this.#start_ms);
    this.#warmAgainAt_ms = performance.now() + pause_ms;
  }

  async #discard({ queryProcess, timer }: Resting): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    await queryProcess.stop();
  }
}
