/**
 * The one writer of the store.
 *
 * 1. Writes wait in one line. The writer takes as many as fit one commit, appends their rows, notes the producers' numbers
 *    and commits: one transaction, one sync of the disk, however many were waiting. Each is answered after that.
 * 2. A batch whose number is not above its producer's last adds nothing and is answered like the first (it counts once).
 * 3. When a commit fails it is rolled back and its writes are tried one by one, so that one cannot fail the others.
 * 4. Other work (sweeps, checkpoints) waits in the same line and runs alone, between transactions.
 * 5. After a commit, and before anybody is answered, followers are told what changed: who has seen an answer sees the rows.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { failure, findTable, type Outcome, type Row, success } from '../contract/index.ts';
import { appendRows, type TableRows } from './append.ts';
import { messageOf } from './database.ts';
import type { TelemetryLimits } from './limits.ts';
import type { ProducerMark, ProducerState, Producers } from './producers.ts';

/** What one commit changed, enough to bring a copy of the store up to date. */
export type Change =
  | { readonly kind: 'insert'; readonly rows: number; readonly tables: TableRows }
  | { readonly kind: 'statements'; readonly rows: number; readonly sql: readonly string[] };

export type Follower = (change: Change) => void;

export interface Write {
  readonly tables: TableRows;
  readonly rows: number;
  /** The batch's place among its producer's batches; null for rows that belong to no producer. */
  readonly mark: ProducerMark | null;
}

type Waiting =
  | { readonly kind: 'write'; readonly write: Write; readonly answer: (outcome: Outcome<null>) => void }
  | { readonly kind: 'alone'; readonly run: () => Promise<void> };
type WaitingWrite = Extract<Waiting, { kind: 'write' }>;

export class Writer {
  readonly #connection: DuckDBConnection;
  readonly #producers: Producers;
  readonly #limits: TelemetryLimits;
  readonly #followers = new Set<Follower>();
  readonly #line: Waiting[] = [];
  #writesWaiting = 0;
  #running: Promise<void> | null = null;
  #closed = false;
  #brokenBy: string | null = null;
  readonly counts = { commits: 0, batches: 0, duplicates: 0, rows: 0, failed_commits: 0 };

  constructor(connection: DuckDBConnection, producers: Producers, limits: TelemetryLimits) {
    this.#connection = connection;
    this.#producers = producers;
    this.#limits = limits;
  }

  get writesWaiting(): number {
    return this.#writesWaiting;
  }

  /** Why nothing can be written any more, or null: DuckDB gives a database up after some failures of the disk. */
  get brokenBy(): string | null {
    return this.#brokenBy;
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
      this.#line.push({ kind: 'alone', run: () => work(this.#connection).then(resolve, reject) });
      this.#wake();
    });
  }

  /** One transaction of statements, told to the followers. Only inside `alone`. */
  async runStatements(sql: readonly string[], internalSql: readonly string[] = []): Promise<void> {
    if (sql.length + internalSql.length === 0) return;
    await this.#transaction(async () => {
      for (const statement of [...sql, ...internalSql]) await this.#connection.run(statement);
    });
    if (sql.length > 0) this.#tell({ kind: 'statements', rows: sql.length, sql });
  }

  /** Takes nothing more and resolves when what waits is done. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#running !== null) await this.#running;
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
      if (next.kind === 'alone') {
        this.#line.shift();
        await next.run();
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
    const error = await this.#commit(group.map((waiting) => waiting.write));
    if (error === null || group.length === 1) {
      for (const waiting of group) this.#answer(waiting, error);
      return;
    }
    for (const waiting of group) this.#answer(waiting, await this.#commit([waiting.write]));
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
        return messageOf(error);
      }
      this.#producers.committed(states);
      this.counts.commits += 1;
      this.counts.rows += rows;
      if (rows > 0) this.#tell({ kind: 'insert', rows, tables });
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
      if (/FATAL|database has been invalidated/i.test(messageOf(error))) this.#brokenBy = messageOf(error);
      throw error;
    }
  }

  #tell(change: Change): void {
    for (const follower of this.#followers) follower(change);
  }
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
