/**
 * The one writer of the store.
 *
 * 1. Writes wait in one line. The writer takes as many as fit one commit, appends their rows, notes the producers' numbers
 *    and commits: one transaction, one sync of the disk, however many were waiting. Each is answered after that.
 * 2. A batch whose number is not above its producer's last adds nothing and is answered like the first (it counts once).
 * 3. When a commit fails it is rolled back and its writes are tried one by one, so that one cannot fail the others.
 * 4. Other work (sweeps, checkpoints) waits in the same line and runs alone, between transactions.
 * 5. After a commit, and before anybody is answered, followers are told what changed: who has seen an answer sees the rows.
 * 6. After some failures of the disk DuckDB gives a database up until it is opened again. The next work opens it, at most
 *    once per `reopen_interval_ms`. Whether the failed commit is in the file then, only the file knows: the producers'
 *    numbers are read again, and followers start over.
 */
import { dirname } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { failure, findTable, type Outcome, type Row, success } from '../contract/index.ts';
import { appendRows, type TableRows } from './append.ts';
import { type Database, messageOf, messageWithoutFolder, openDatabase } from './database.ts';
import type { TelemetryLimits } from './limits.ts';
import type { ProducerMark, ProducerState, Producers } from './producers.ts';

/** What one commit changed, enough to bring a copy of the store up to date. */
export type Change =
  | { readonly kind: 'insert'; readonly rows: number; readonly chars: number; readonly tables: TableRows }
  | { readonly kind: 'statements'; readonly rows: number; readonly chars: number; readonly sql: readonly string[] };

/** Told every change, in order; `lost` when there may have been one that nobody knows. */
export type Follower = (change: Change | 'lost') => void;

export interface Write {
  readonly tables: TableRows;
  readonly rows: number;
  /** The batch's place among its producer's batches; null for rows that belong to no producer. */
  readonly mark: ProducerMark | null;
}

type Waiting =
  | { readonly kind: 'write'; readonly write: Write; readonly answer: (outcome: Outcome<null>) => void }
  | { readonly kind: 'alone'; readonly run: () => Promise<void>; readonly refuse: (error: Error) => void };
type WaitingWrite = Extract<Waiting, { kind: 'write' }>;

export class Writer {
  /** Null while it could not be opened again. */
  #database: Database | null;
  readonly #path: string;
  readonly #producers: Producers;
  readonly #limits: TelemetryLimits;
  readonly #followers = new Set<Follower>();
  readonly #line: Waiting[] = [];
  #writesWaiting = 0;
  #running: Promise<void> | null = null;
  #closed = false;
  /** Why DuckDB has given the database up; null while it has not. */
  #brokenBy: string | null = null;
  #reopenAt_ms = 0;
  /** Why the last commit failed; null when it did not. */
  #failedBy: string | null = null;
  readonly counts = { commits: 0, batches: 0, duplicates: 0, rows: 0, failed_commits: 0 };

  /** The writer owns the database from here on. */
  constructor(database: Database, producers: Producers, limits: TelemetryLimits) {
    this.#database = database;
    this.#path = database.path;
    this.#producers = producers;
    this.#limits = limits;
  }

  get writesWaiting(): number {
    return this.#writesWaiting;
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

  /** @returns success after the commit; `service_unavailable` when the line is full or the commit failed */
  write(write: Write): Promise<Outcome<null>> {
    if (this.#closed) return Promise.resolve(failure('service_unavailable', 'telemetry is closing'));
    const max = this.#limits.writes_waiting_max;
    if (this.#writesWaiting >= max) {
      return Promise.resolve(failure('service_unavailable', `telemetry has ${max} writes waiting; send again later`));
    }
    return new Promise((answer) => {
      this.#writesWaiting += 1;
      this.#line.push({ kind: 'write', write, answer });
      this.#wake();
    });
  }

  /** Runs `work` between transactions, alone on the connection. Rejects with what `work` threw. */
  alone<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('telemetry is closing'));
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          resolve(await work(this.#connection));
        } catch (error) {
          this.#note(error);
          reject(error);
        }
      };
      this.#line.push({ kind: 'alone', run, refuse: reject });
      this.#wake();
    });
  }

  /** One transaction of statements, told to the followers. Only inside `alone`. */
  async runStatements(sql: readonly string[], internalSql: readonly string[] = []): Promise<void> {
    if (sql.length + internalSql.length === 0) return;
    await this.#transaction(async () => {
      for (const statement of [...sql, ...internalSql]) await this.#connection.run(statement);
    });
    const chars = sql.reduce((sum, statement) => sum + statement.length, 0);
    if (sql.length > 0) this.#tell({ kind: 'statements', rows: sql.length, chars, sql });
  }

  /** Takes nothing more, finishes what waits, moves everything into the data file and gives it up. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#running !== null) await this.#running;
    if (this.#brokenBy === null) await this.#connection.run('CHECKPOINT').catch(() => undefined);
    this.#database?.close();
    this.#database = null;
  }

  get #connection(): DuckDBConnection {
    if (this.#database === null) throw new Error('the data file is not open');
    return this.#database.connection;
  }

  #wake(): void {
    this.#running ??= this.#work().finally(() => {
      this.#running = null;
      if (this.#line.length > 0) this.#wake();
    });
  }

  async #work(): Promise<void> {
    // Requests that arrive in the same turn of the loop share the first commit.
    await new Promise((resolve) => setImmediate(resolve));
    for (let next = this.#line[0]; next !== undefined; next = this.#line[0]) {
      if (this.#brokenBy !== null) await this.#reopen();
      if (next.kind === 'alone') {
        this.#line.shift();
        if (this.#brokenBy === null) await next.run();
        else next.refuse(new Error(this.#brokenBy));
      } else {
        await this.#commitTogether(this.#takeGroup());
      }
    }
  }

  #takeGroup(): WaitingWrite[] {
    const group: WaitingWrite[] = [];
    let rows = 0;
    for (let next = this.#line[0]; next?.kind === 'write'; next = this.#line[0]) {
      if (group.length > 0 && rows + next.write.rows > this.#limits.commit_rows_max) break;
      rows += next.write.rows;
      group.push(next);
      this.#line.shift();
    }
    return group;
  }

  async #commitTogether(group: readonly WaitingWrite[]): Promise<void> {
    const error = this.#brokenBy ?? (await this.#commit(group.map((waiting) => waiting.write)));
    if (error === null || group.length === 1) {
      for (const waiting of group) this.#answer(waiting, error);
      return;
    }
    for (const waiting of group) this.#answer(waiting, this.#brokenBy ?? (await this.#commit([waiting.write])));
  }

  async #reopen(): Promise<void> {
    if (performance.now() < this.#reopenAt_ms) return;
    this.#reopenAt_ms = performance.now() + this.#limits.reopen_interval_ms;
    this.#database?.close();
    this.#database = null;
    const opened = await openDatabase(dirname(this.#path), this.#limits);
    if (!opened.ok) {
      this.#brokenBy = messageWithoutFolder(opened.failure.message, this.#path);
      return;
    }
    this.#database = opened.value;
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

  #answer(waiting: WaitingWrite, error: string | null): void {
    this.#writesWaiting -= 1;
    waiting.answer(error === null ? success(null) : failure('service_unavailable', `telemetry cannot store: ${error}`));
  }

  /** Commits the writes that are new; an error text when that failed, with nothing changed. */
  async #commit(writes: readonly Write[]): Promise<string | null> {
    const now_us = Date.now() * 1000;
    const states = new Map<string, ProducerState>();
    const fresh = writes.filter(({ mark, rows }) => {
      if (mark === null) return true;
      const before = states.get(mark.producer) ?? this.#producers.get(mark.producer);
      if (before !== undefined && mark.seq <= before.last_seq) return false;
      states.set(mark.producer, this.#producers.next(before, mark, rows, now_us));
      return true;
    });
    if (fresh.length > 0) {
      const tables = mergeTables(fresh.map((write) => write.tables));
      const rows = fresh.reduce((sum, write) => sum + write.rows, 0);
      try {
        await this.#transaction(async () => {
          for (const [name, tableRows] of Object.entries(tables)) {
            const table = findTable(name);
            if (table !== undefined) await appendRows(this.#connection, table, tableRows);
          }
          const upsert = this.#producers.upsertSql(states);
          if (upsert !== null) await this.#connection.run(upsert);
        });
      } catch (error) {
        this.counts.failed_commits += 1;
        this.#failedBy = messageWithoutFolder(error, this.#path);
        return this.#failedBy;
      }
      this.#failedBy = null;
      this.#producers.committed(states);
      this.counts.commits += 1;
      this.counts.rows += rows;
      if (rows > 0) this.#tell({ kind: 'insert', rows, chars: charsOf(tables), tables });
    }
    this.counts.batches += fresh.length;
    this.counts.duplicates += writes.length - fresh.length;
    return null;
  }

  async #transaction(work: () => Promise<void>): Promise<void> {
    try {
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
    if (!/^FATAL|database has been invalidated/i.test(messageOf(error))) return;
    this.#brokenBy = messageWithoutFolder(error, this.#path);
  }

  #tell(change: Change): void {
    for (const follower of this.#followers) follower(change);
  }
}

/** Characters of the values, near enough to bound the memory of whoever keeps them. */
function charsOf(tables: TableRows): number {
  let chars = 0;
  for (const rows of Object.values(tables)) {
    for (const row of rows) for (const value of row) chars += typeof value === 'string' ? value.length + 8 : 8;
  }
  return chars;
}

function mergeTables(parts: readonly TableRows[]): TableRows {
  const merged: Record<string, readonly Row[]> = {};
  for (const part of parts) {
    for (const [name, rows] of Object.entries(part)) {
      if (rows.length > 0) merged[name] = merged[name] === undefined ? rows : [...merged[name], ...rows];
    }
  }
  return merged;
}
