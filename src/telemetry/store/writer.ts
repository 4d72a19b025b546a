/**
 * The one writer of the store.
 *
 * 1. Writes wait in one queue. The writer takes as many as fit one commit, appends their rows, notes the producers' numbers
 *    and commits: one transaction and one sync of the disk, however many were waiting. Then it answers each.
 * 2. A batch whose number is not above its producer's last adds nothing and is answered like the first (it counts once).
 * 3. When a commit fails it is rolled back, and its writes are tried one by one, so that one cannot fail the others.
 * 4. Other work (sweeps, checkpoints) waits in the same queue and runs alone, between transactions.
 * 5. After a commit and before its answers, followers receive the change: a client that has its answer can query the rows.
 * 6. Between commits, committed rows are moved from the log into the data file (checkpoints.ts).
 * 7. After some failures of the disk DuckDB gives a database up until it is opened again. The next work opens it, at most
 *    once per `reopen_interval_ms`. Only the file knows whether it holds the failed commit, so the producers' numbers are
 *    read again and followers start over.
 */

import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import { failure, messageOf, type Outcome } from '../../base/index.ts';
import { Appenders } from '../database/append.ts';
import { type Database, messageWithoutFolder, type OtherConnection, openDatabase } from '../database/database.ts';
import { CATALOG } from '../database/ddl.ts';
import { readEngineError } from '../database/engine-error.ts';
import { Memory } from '../database/memory.ts';
import type { TelemetryLimits } from '../limits.ts';
import type { Change, Follower } from './changes.ts';
import { Checkpoints } from './checkpoints.ts';
import { countPacks, type Pack } from './packs.ts';
import type { ProducerState, Producers } from './producers.ts';
import { type WaitingWrite, type Write, WriteLine } from './write-line.ts';

export class Writer {
  /** Null while it could not be opened again. */
  #database: Database | null;
  readonly #path: string;
  readonly #producers: Producers;
  readonly #limits: TelemetryLimits;
  readonly #problem: () => Promise<string | null>;
  readonly #followers = new Set<Follower>();
  readonly #line: WriteLine;
  #appenders: Appenders | null = null;
  #checkpoints: Checkpoints | null = null;
  #running: Promise<void> | null = null;
  #closed = false;
  /** Why DuckDB has given the database up; null while it has not. */
  #brokenBy: string | null = null;
  #reopenAt_ms = 0;
  /** Why the last commit failed; null when it did not. */
  #failedBy: string | null = null;
  #rowsSinceOpened = 0;
  readonly #memory: Memory;
  /** Memory limit that DuckDB has now, MiB. */
  #memory_mib: number;
  readonly counts = { commits: 0, batches: 0, duplicates: 0, rows: 0, failed_commits: 0 };

  /**
   * The writer owns the database from here on.
   * @param problem gives the reason why nothing may be written now, or null; called before every commit. Default: null
   */
  constructor(
    database: Database,
    producers: Producers,
    limits: TelemetryLimits,
    problem: () => Promise<string | null> = async () => null,
  ) {
    this.#problem = problem;
    this.#database = database;
    this.#path = database.path;
    this.#producers = producers;
    this.#limits = limits;
    this.#line = new WriteLine(limits);
    this.#memory = new Memory(limits);
    this.#memory_mib = database.memory_mib;
    this.#memory.opened(database.memory_mib);
  }

  get writesWaiting(): number {
    return this.#line.writes;
  }

  /** Why nothing can be written, or could not when it was last tried; null otherwise. */
  get failure(): string | null {
    return this.#brokenBy ?? this.#failedBy;
  }

  follow(follower: Follower): void {
    this.#followers.add(follower);
  }

  unfollow(follower: Follower): void {
    this.#followers.delete(follower);
  }

  /** @returns success after the commit; `service_unavailable` when the queue is full or the commit failed */
  write(write: Write): Promise<Outcome<null>> {
    if (this.#closed) return Promise.resolve(failure('service_unavailable', 'telemetry is closing'));
    const stored = this.#line.addWrite(write);
    this.#wake();
    return stored;
  }

  /**
   * Runs `work` between transactions, alone on the connection; `connect` gives it another one, which may outlive it. Rejects
   * with what `work` threw.
   */
  alone<T>(work: (connection: DuckDBConnection, connect: () => Promise<OtherConnection>) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('telemetry is closing'));
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          resolve(await work(this.#connection, () => this.#connect()));
        } catch (error) {
          this.#note(error);
          reject(error);
        }
      };
      this.#line.addWork({ kind: 'alone', run, refuse: reject });
      this.#wake();
    });
  }

  /** Runs statements in one transaction, and hands `sql` on to the followers. Only inside `alone`. */
  async runStatements(sql: readonly string[], internalSql: readonly string[] = []): Promise<void> {
    if (sql.length + internalSql.length === 0) return;
    await this.#transaction(async () => {
      for (const statement of [...sql, ...internalSql]) await this.#connection.run(statement);
    });
    const bytes = sql.reduce((sum, statement) => sum + statement.length, 0);
    // Deleted rows free their space only then.
    this.#checkpoints?.begin();
    if (sql.length > 0) this.#notify({ kind: 'statements', rows: sql.length, bytes, sql });
  }

  /** Resolves when no checkpoint is under way. */
  async checkpointed(): Promise<void> {
    await this.#checkpoints?.idle();
  }

  /**
   * Moves everything committed so far into the data file, which stays unchanged until the returned function is called. Not to
   * be called again before that.
   * @param follower called with every change from then on
   */
  lend(follower: Follower): Promise<() => void> {
    return this.alone(async () => {
      const release = await (await this.#openCheckpoints()).hold();
      this.follow(follower);
      return release;
    });
  }

  /** Gives DuckDB so much memory on top of its own, MiB, until the next call. */
  useExtraMemory(mib: number): Promise<void> {
    this.#memory.extra_mib = mib;
    return this.alone(() => this.#setMemory());
  }

  /**
   * Opens the data file anew when `owner_renew_rows` were committed since it was opened, unless it is being read or copied or
   * has been moved away. While it is open, DuckDB keeps 256 KiB for each row group that several commits have filled.
   */
  renew(): Promise<void> {
    return this.alone(async () => {
      const database = this.#database;
      if (database === null || this.#rowsSinceOpened < this.#limits.owner_renew_rows) return;
      if (database.others > 0 || this.#checkpoints?.isHeld === true || !(await database.isInPlace())) return;
      await this.#closeCheckpoints();
      this.#closeAppenders();
      await this.#connection.run('CHECKPOINT');
      this.#rowsSinceOpened = 0;
      try {
        await database.renew();
      } catch (error) {
        this.#brokenBy = messageWithoutFolder(error, this.#path);
        throw error;
      }
    });
  }

  async #setMemory(): Promise<void> {
    const { mib } = this.#memory;
    if (mib === this.#memory_mib) return;
    // Setting it fails while DuckDB holds more than that. The next commit tries again.
    const isSet = await this.#connection.run(`SET memory_limit = '${mib}MiB'`).then(
      () => true,
      () => false,
    );
    if (isSet) this.#memory_mib = mib;
  }

  /** Accepts nothing more, finishes the queue, moves everything into the data file and closes it. */
  async close(): Promise<void> {
    this.#closed = true;
    // A copy that is still being made holds checkpoints off, and the waiting commits must not wait for it.
    await this.#closeCheckpoints();
    while (this.#running !== null) await this.#running;
    await this.#closeCheckpoints();
    if (this.#brokenBy === null) await this.#connection.run('CHECKPOINT').catch(() => undefined);
    await this.#giveUpDatabase();
  }

  get #connection(): DuckDBConnection {
    if (this.#database === null) throw new Error('the data file is not open');
    return this.#database.connection;
  }

  #connect(): Promise<OtherConnection> {
    if (this.#database === null) throw new Error('the data file is not open');
    return this.#database.connect();
  }

  async #openCheckpoints(): Promise<Checkpoints> {
    if (this.#database === null) throw new Error('the data file is not open');
    this.#checkpoints ??= await Checkpoints.open(this.#database, this.#limits, (error) => this.#note(error));
    return this.#checkpoints;
  }

  async #closeCheckpoints(): Promise<void> {
    const checkpoints = this.#checkpoints;
    this.#checkpoints = null;
    await checkpoints?.close();
  }

  async #giveUpDatabase(): Promise<void> {
    await this.#closeCheckpoints();
    this.#closeAppenders();
    this.#database?.close();
    this.#database = null;
  }

  #closeAppenders(): void {
    this.#appenders?.close();
    this.#appenders = null;
  }

  #wake(): void {
    this.#running ??= this.#work().finally(() => {
      this.#running = null;
      if (this.#line.next !== null) this.#wake();
    });
  }

  async #work(): Promise<void> {
    // Requests that arrive in the same turn of the loop share the first commit.
    await nextTurn();
    for (let { next } = this.#line; next !== null; next = this.#line.next) {
      if (this.#brokenBy !== null) await this.#reopen();
      if (next.kind === 'alone') {
        this.#line.shift();
        if (this.#brokenBy === null) await next.run();
        else next.refuse(new Error(this.#brokenBy));
      } else {
        await this.#commitTogether(this.#line.takeGroup());
      }
    }
  }

  async #commitTogether(group: readonly WaitingWrite[]): Promise<void> {
    const refused = this.#brokenBy ?? (await this.#problem().catch(messageOf));
    const error = refused ?? (await this.#commit(group));
    if (error === null || refused !== null || group.length === 1) {
      for (const waiting of group) this.#line.answer(waiting, error);
      return;
    }
    for (const waiting of group) this.#line.answer(waiting, this.#brokenBy ?? (await this.#commit([waiting])));
  }

  async #reopen(): Promise<void> {
    if (performance.now() < this.#reopenAt_ms) return;
    this.#reopenAt_ms = performance.now() + this.#limits.reopen_interval_ms;
    if (this.#database !== null && this.#database.others > 0) {
      // Their data is gone, and while they are open the file is not free.
      this.#database.interruptOthers();
      return;
    }
    await this.#giveUpDatabase();
    const opened = await openDatabase(dirname(this.#path), this.#limits);
    if (!opened.ok) {
      this.#brokenBy = messageWithoutFolder(opened.failure.message, this.#path);
      return;
    }
    this.#database = opened.value;
    this.#rowsSinceOpened = 0;
    this.#memory_mib = opened.value.memory_mib;
    this.#memory.opened(opened.value.memory_mib);
    try {
      await this.#producers.load(this.#connection);
    } catch (error) {
      this.#brokenBy = messageWithoutFolder(error, this.#path);
      return;
    }
    this.#brokenBy = null;
    this.#failedBy = null;
    for (const follower of [...this.#followers]) follower('lost');
  }

  /** Commits the writes that are new. @returns why that failed, with nothing changed; null when it did not */
  async #commit(group: readonly WaitingWrite[]): Promise<string | null> {
    const now_us = Date.now() * 1000;
    const states = new Map<string, ProducerState>();
    const fresh = group.filter(({ write: { mark }, rows }) => {
      if (mark === null) return true;
      const before = states.get(mark.producer) ?? this.#producers.get(mark.producer);
      if (before !== undefined && mark.seq <= before.last_seq) return false;
      states.set(mark.producer, this.#producers.next(before, mark, rows, now_us));
      return true;
    });
    if (fresh.length > 0) {
      const packs = fresh.flatMap(({ write }) => write.packs);
      const { rows, bytes } = countPacks(packs);
      try {
        await this.#transaction(async () => {
          await this.#append(packs);
          const upsert = this.#producers.upsertSql(states);
          if (upsert !== null) await this.#connection.run(upsert);
        });
      } catch (error) {
        this.counts.failed_commits += 1;
        this.#failedBy = messageWithoutFolder(error, this.#path);
        return this.#failedBy;
      }
      this.#failedBy = null;
      this.#checkpoints?.committed(bytes);
      this.#producers.committed(states);
      this.counts.commits += 1;
      this.counts.rows += rows;
      this.#rowsSinceOpened += rows;
      if (rows > 0) this.#notify({ kind: 'insert', rows, bytes, packs: packs.map((pack) => pack.bytes) });
    }
    this.counts.batches += fresh.length;
    this.counts.duplicates += group.length - fresh.length;
    return null;
  }

  async #append(packs: readonly Pack[]): Promise<void> {
    this.#appenders ??= new Appenders(this.#connection, CATALOG);
    try {
      for (const { tables } of packs) for (const table of tables) await this.#appenders.append(table);
      this.#appenders.flush();
    } catch (error) {
      this.#appenders.close();
      throw error;
    }
  }

  async #transaction(work: () => Promise<void>): Promise<void> {
    try {
      const checkpoints = await this.#openCheckpoints();
      await checkpoints.room();
      await this.#setMemory();
      await this.#connection.run('BEGIN');
      await work();
      await this.#connection.run('COMMIT');
    } catch (error) {
      // A failed COMMIT has ended the transaction already, and then there is nothing to roll back.
      await this.#connection.run('ROLLBACK').catch(() => undefined);
      this.#note(error);
      throw error;
    }
  }

  #note(error: unknown): void {
    const { isOutOfMemory, isDatabaseLost } = readEngineError(error);
    if (isOutOfMemory) this.#memory.failed();
    if (isDatabaseLost) this.#brokenBy = messageWithoutFolder(error, this.#path);
  }

  #notify(change: Change): void {
    for (const follower of this.#followers) follower(change);
  }
}
