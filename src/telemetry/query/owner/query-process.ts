/**
 * One query process, as the owner sees it; messages.ts has their protocol.
 *
 * The process is killed, never asked to stop: DuckDB does not reliably interrupt a statement. Changes that are committed while
 * it is busy wait in its backlog and are sent before its next query; when too many wait, the process is stale.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, type Outcome, success } from '../../../base/index.ts';
import { messageWithoutFolder } from '../../database/database.ts';
import type { TelemetryLimits } from '../../limits.ts';
import type { Change } from '../../store/changes.ts';
import type { Store } from '../../store/store.ts';
import type { Format } from '../formats.ts';
import { lossesViewSql } from '../losses-view.ts';
import type { FromQueryProcess, ToQueryProcess } from '../messages.ts';
import type { QueryAnswer } from './answer.ts';
import { Backlog } from './backlog.ts';
import { launchQueryProcess } from './launch.ts';

type Answer = (message: FromQueryProcess) => void;

export class QueryProcess {
  readonly #store: Store;
  readonly #limits: TelemetryLimits;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #useless = Promise.withResolvers<void>();
  #pending: Answer | null = null;
  readonly #backlog: Backlog;
  /** Version of the losses that were last sent to the process. */
  #lossesVersion = 0;
  /** Messages with changes that the process has not answered yet. */
  #applying = 0;
  #opened = false;
  #started = false;
  /** From a query to the last part of its answer. */
  #answering = false;
  #dead = false;
  #stale = false;
  #removed: Promise<void> | null = null;

  private constructor(store: Store, limits: TelemetryLimits, folder: string) {
    this.#store = store;
    this.#limits = limits;
    this.#folder = folder;
    this.#backlog = new Backlog(limits);
    this.#child = launchQueryProcess(folder, limits);
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => this.#end(`cannot be started: ${error.message}`, resolve));
      this.#child.once('exit', (code, signal) => this.#end(`ended (${signal ?? `exit code ${code}`})`, resolve));
    });
    this.#child.on('message', (message: FromQueryProcess) => this.#settle(message));
  }

  /**
   * Starts a process on a fresh copy of the store, in a folder below `parent_folder`.
   * @param signal aborted when the process is not needed any more: copying a large store takes seconds
   * @returns failure `service_unavailable` when it does not come up in `sql_start_timeout_ms`
   */
  static async start(
    store: Store,
    limits: TelemetryLimits,
    parent_folder: string,
    signal: AbortSignal,
  ): Promise<Outcome<QueryProcess>> {
    let queryProcess: QueryProcess;
    try {
      await mkdir(parent_folder, { recursive: true, mode: 0o700 });
      queryProcess = new QueryProcess(store, limits, await mkdtemp(join(parent_folder, 'copy-')));
    } catch (error) {
      const why = messageWithoutFolder(error, store.path);
      return failure('service_unavailable', `query process cannot be started: ${why}`);
    }
    const abandon = (): void => void queryProcess.#child.kill('SIGKILL');
    signal.addEventListener('abort', abandon, { once: true });
    if (signal.aborted) abandon();
    const opened = await queryProcess.#open();
    signal.removeEventListener('abort', abandon);
    if (opened.ok) return success(queryProcess);
    await queryProcess.stop();
    return opened;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves when it can take no further query. */
  get useless(): Promise<void> {
    return this.#useless.promise;
  }

  /** Whether it can take a query, now or after the one that it is running. */
  get usable(): boolean {
    return !this.#dead && !this.#stale;
  }

  /**
   * Runs one query. The caller runs one at a time.
   * @param signal aborted when the client has gone: the process is killed
   * @returns `gateway_timeout` when it was stopped at `sql_timeout_ms`; `bad_request` when refused, or when it brought its
   *          process down, which only its use of memory can do; `internal_error` when the engine failed on it; `not started`
   *          when the process ended before it, or could not take over the changes that precede it. A process that is
   *          killed here has not ended yet: `kill` waits for that
   */
  async run(sql: string, format: Format, signal?: AbortSignal): Promise<Outcome<QueryAnswer> | 'not started'> {
    const { sql_timeout_ms, sql_process_memory_mib } = this.#limits;
    const begin_ms = performance.now();
    this.#takeLosses();
    this.#flush();
    this.#answering = true;
    // An abandoned query would hold its process until its time limit.
    const abandon = (): void => this.#strike();
    signal?.addEventListener('abort', abandon, { once: true });
    if (signal?.aborted) abandon();
    this.#started = false;
    let answer = await this.#ask({ kind: 'query', sql, format }, sql_timeout_ms);
    const parts: Uint8Array[] = [];
    let missing_bytes = 0;
    if (answer !== 'timeout' && answer.kind === 'rows') {
      parts.push(answer.part);
      missing_bytes = answer.size_bytes - answer.part.length;
    }
    while (missing_bytes > 0) {
      answer = await this.#ask({ kind: 'next' }, sql_timeout_ms - (performance.now() - begin_ms));
      if (answer === 'timeout' || answer.kind !== 'part' || answer.part.length === 0) break;
      parts.push(answer.part);
      missing_bytes -= answer.part.length;
    }
    signal?.removeEventListener('abort', abandon);
    this.#answering = false;
    const isWhole = parts.length > 0 && missing_bytes === 0;
    if (answer === 'timeout') {
      this.#strike();
      const message = `sql: stopped at its time limit of ${sql_timeout_ms} ms; ask for less, or over fewer rows`;
      return failure('gateway_timeout', message, { limit_ms: sql_timeout_ms });
    }
    if (signal?.aborted && !isWhole) return failure('gateway_timeout', 'sql: stopped, since its client went away');
    this.#push();
    if (isWhole) return success({ format, size_bytes: parts.reduce((sum, part) => sum + part.length, 0), parts });
    if (answer.kind === 'refused') return failure('bad_request', answer.message);
    this.#strike();
    if (!this.#started) return 'not started';
    if (answer.kind === 'failed' && answer.reason === 'engine') {
      return failure('internal_error', `sql: the engine failed on this query: ${answer.message}`);
    }
    const limit = `most likely it needed more than ${sql_process_memory_mib} MiB of memory`;
    return failure('bad_request', `sql: the query brought its process down; ${limit}`);
  }

  /** Kills the process and waits for its end, not for the removal of its copy, which takes a while when it is large. */
  async kill(): Promise<void> {
    this.#strike();
    await this.#ended;
    this.#removed ??= rm(this.#folder, { recursive: true, force: true }).catch(() => undefined);
  }

  /** Kills the process, and waits for its end and the removal of its copy. */
  async stop(): Promise<void> {
    await this.kill();
    await this.#removed;
  }

  /** Kills the process without waiting for its end. */
  #strike(): void {
    this.#child.kill('SIGKILL');
    this.#giveUp();
  }

  async #open(): Promise<Outcome<null>> {
    const lease = await this.#store
      .lend(this.#follow)
      .catch((error: unknown) => messageWithoutFolder(error, this.#store.path));
    if (typeof lease === 'string') return failure('service_unavailable', `telemetry cannot be copied: ${lease}`);
    const { sql_start_timeout_ms } = this.#limits;
    const answer = await this.#ask(
      { kind: 'open', source_path: lease.path, folder: this.#folder, limits: this.#limits },
      sql_start_timeout_ms,
    );
    // A process that is still copying must have ended before the lease does.
    if (answer === 'timeout') await this.stop();
    await lease.release().catch(() => undefined);
    if (answer === 'timeout') {
      return failure('service_unavailable', `query process was not ready within ${sql_start_timeout_ms} ms`);
    }
    if (answer.kind === 'opened') {
      this.#opened = true;
      return success(null);
    }
    return failure(
      'service_unavailable',
      `query process ${answer.kind === 'failed' ? messageWithoutFolder(answer.message, this.#store.path) : 'broke its protocol'}`,
    );
  }

  readonly #follow = (change: Change | 'lost'): void => {
    if (this.#dead || this.#stale) return;
    if (change === 'lost') {
      this.#giveUp();
      // The file changed while it was being copied.
      if (!this.#opened) this.#child.kill('SIGKILL');
      return;
    }
    if (this.#backlog.add(change)) this.#push();
    else this.#giveUp();
  };

  /** Stops following the store: the next query goes to another process. */
  #giveUp(): void {
    this.#stale = true;
    this.#useless.resolve();
    this.#backlog.take();
    this.#store.unfollow(this.#follow);
  }

  /** Brings a process at rest up to date, so that little is left to do before its next query. */
  #push(): void {
    const isAtRest = this.#opened && this.#pending === null && this.#applying === 0 && !this.#answering;
    if (isAtRest) this.#flush();
  }

  /** Losses change with nearly every batch of a producer that has any, so a process is sent them only with a query. */
  #takeLosses(): void {
    const { lossesVersion } = this.#store;
    if (lossesVersion === this.#lossesVersion || this.#stale) return;
    this.#lossesVersion = lossesVersion;
    const sql = [lossesViewSql(this.#store.losses())];
    this.#backlog.add({ kind: 'statements', rows: 0, bytes: 0, sql });
  }

  #flush(): void {
    if (this.#backlog.isEmpty || this.#dead) return;
    this.#applying += 1;
    this.#send({ kind: 'changes', changes: this.#backlog.take() });
  }

  #ask(message: ToQueryProcess, timeout_ms: number): Promise<FromQueryProcess | 'timeout'> {
    return new Promise((resolve) => {
      if (this.#dead) {
        resolve({ kind: 'failed', reason: 'ended', message: 'has ended' });
        return;
      }
      const timer = setTimeout(() => {
        this.#pending = null;
        resolve('timeout');
      }, timeout_ms);
      this.#pending = (answer) => {
        clearTimeout(timer);
        this.#pending = null;
        resolve(answer);
      };
      this.#send(message);
    });
  }

  #send(message: ToQueryProcess): void {
    // When the channel is closed the process has ended, and its exit settles what is pending.
    this.#child.send(message, () => undefined);
  }

  #settle(message: FromQueryProcess): void {
    switch (message.kind) {
      case 'started':
        this.#started = true;
        return;
      case 'applied':
        this.#applying -= 1;
        this.#push();
        return;
      case 'spent':
        this.#giveUp();
        return;
      case 'failed':
        this.#giveUp();
        this.#pending?.(message);
        return;
      case 'opened':
      case 'rows':
      case 'part':
      case 'refused':
        this.#pending?.(message);
    }
  }

  #end(how: string, ended: () => void): void {
    this.#dead = true;
    this.#useless.resolve();
    this.#backlog.take();
    this.#store.unfollow(this.#follow);
    this.#pending?.({ kind: 'failed', reason: 'ended', message: how });
    ended();
  }
}
