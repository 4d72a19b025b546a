/**
 * The store: the one owner of the telemetry tables. An acknowledged row is durable, and counts once.
 *
 *     ingest ─┐                                     ┌─ followers (query processes' copies)
 *     dumps  ─┼─► Writer ─► one transaction ─► disk ┤
 *     sweeps ─┘                                     └─ answers
 */
import * as v from 'valibot';
import {
  batchError,
  countRows,
  describeIssues,
  EventBatch,
  failure,
  type Outcome,
  type Row,
  StoreDumpRequest,
  success,
} from '../contract/index.ts';
import { type Database, databaseBytes, openDatabase } from './database.ts';
import { dumpRows } from './dump-rows.ts';
import type { TelemetryLimits } from './limits.ts';
import { Producers } from './producers.ts';
import { sweepStatements } from './retention.ts';
import { type Follower, Writer } from './writer.ts';

/** A body can be wrong in a million places, and an issue takes more memory than what it is about. */
const FIRST_ISSUE = { abortEarly: true } as const;

export interface StoreHealth {
  /** Whether the last commit succeeded and the data file is usable. */
  readonly ok: boolean;
  /** Why not. */
  readonly failure: string | null;
  readonly rows_stored: number;
  readonly batches_stored: number;
  readonly duplicate_batches: number;
  readonly commits: number;
  readonly failed_commits: number;
  readonly writes_waiting: number;
  readonly producers: number;
  /** Rows that producers say they had to drop, over the life of the file. */
  readonly lost_rows: number;
  readonly database_bytes: number;
}

/** A copy of the data file may be taken at `path`, by another process, until `release` is called. */
export interface CopyLease {
  readonly path: string;
  release(): Promise<void>;
}

export class Store {
  readonly #path: string;
  readonly #writer: Writer;
  readonly #producers: Producers;
  readonly #limits: TelemetryLimits;
  /** The last lease, so that leases follow one another: a checkpoint must not run under somebody's copy. */
  #lease: Promise<void> = Promise.resolve();

  private constructor(database: Database, producers: Producers, limits: TelemetryLimits) {
    this.#path = database.path;
    this.#producers = producers;
    this.#limits = limits;
    this.#writer = new Writer(database, producers, limits);
  }

  /** Opens the store of a data directory; see `openDatabase` for the failures. */
  static async open(data_dir: string, limits: TelemetryLimits): Promise<Outcome<Store>> {
    const opened = await openDatabase(data_dir, limits);
    if (!opened.ok) return opened;
    try {
      const producers = new Producers();
      await producers.load(opened.value.connection);
      return success(new Store(opened.value, producers, limits));
    } catch (error) {
      opened.value.close();
      throw error;
    }
  }

  /**
   * Appends one batch. Answers after the commit, with the batch's number.
   * @returns failure `bad_request` (naming the field), or `service_unavailable` (send it again)
   */
  async ingest(body: unknown): Promise<Outcome<{ acked: number }>> {
    const parsed = v.safeParse(EventBatch, body, FIRST_ISSUE);
    if (!parsed.success) return failure('bad_request', `event batch: ${describeIssues(parsed.issues)}`);
    const batch = parsed.output;
    const error = batchError(batch);
    if (error !== null) return failure('bad_request', `event batch: ${error}`);
    const { producer, seq, lost_rows, tables } = batch;
    const stored = await this.#writer.write({ tables, rows: countRows(batch), mark: { producer, seq, lost_rows } });
    return stored.ok ? success({ acked: seq }) : stored;
  }

  /**
   * Stores a captured dump in the four py-spy tables, in one transaction.
   * @returns failure `bad_request` (naming the field, or too many rows), or `service_unavailable`
   */
  async storeDump(body: unknown): Promise<Outcome<{ dump_id: string }>> {
    const parsed = v.safeParse(StoreDumpRequest, body, FIRST_ISSUE);
    if (!parsed.success) return failure('bad_request', `dump: ${describeIssues(parsed.issues)}`);
    const tables = dumpRows(parsed.output, Date.now() * 1000);
    const rows = Object.values(tables).reduce((sum, tableRows: readonly Row[]) => sum + tableRows.length, 0);
    const max = this.#limits.dump_rows_max;
    if (rows > max)
      return failure('bad_request', `dump: ${rows} threads, frames and locals, at most ${max} are stored`);
    const stored = await this.#writer.write({ tables, rows, mark: null });
    return stored.ok ? success({ dump_id: parsed.output.dump_id }) : stored;
  }

  /** Deletes what is over its bound at `now_ms`. Rejects with what DuckDB said, having deleted nothing. */
  sweep(now_ms: number): Promise<void> {
    return this.#writer.alone(async (connection) => {
      const statements = await sweepStatements(connection, this.#limits, now_ms * 1000);
      const excess = this.#producers.excess(this.#limits.producers_max);
      const internal = excess.length === 0 ? [] : this.#producers.forgetSql(excess);
      await this.#writer.runStatements(statements, internal);
      this.#producers.forgotten(excess);
    });
  }

  /**
   * Lends the data file for copying, and tells `follower` every change that the copy will not have.
   *
   * Everything committed so far is moved into the data file, and checkpoints are put off until the lease is released:
   * commits go on meanwhile, into the log, which leaves what the copier reads as it is. Lessees wait for one another.
   */
  async lend(follower: Follower): Promise<CopyLease> {
    const before = this.#lease;
    let free = (): void => undefined;
    this.#lease = new Promise((resolve) => {
      free = resolve;
    });
    await before;
    try {
      await this.#writer.alone(async (connection) => {
        await connection.run('CHECKPOINT');
        await connection.run(`SET checkpoint_threshold = '1TiB'`);
        this.#writer.follow(follower);
      });
    } catch (error) {
      free();
      throw error;
    }
    const release = async (): Promise<void> => {
      try {
        await this.#writer.alone(async (connection) => {
          await connection.run(`SET checkpoint_threshold = '${this.#limits.owner_wal_mib}MiB'`);
        });
      } finally {
        free();
      }
    };
    return { path: this.#path, release };
  }

  get path(): string {
    return this.#path;
  }

  unfollow(follower: Follower): void {
    this.#writer.unfollow(follower);
  }

  async health(): Promise<StoreHealth> {
    const { counts } = this.#writer;
    const { producers, lost_rows } = this.#producers.totals();
    return {
      ok: this.#writer.failure === null,
      failure: this.#writer.failure,
      rows_stored: counts.rows,
      batches_stored: counts.batches,
      duplicate_batches: counts.duplicates,
      commits: counts.commits,
      failed_commits: counts.failed_commits,
      writes_waiting: this.#writer.writesWaiting,
      producers,
      lost_rows,
      database_bytes: await databaseBytes(this.#path),
    };
  }

  /** Finishes what waits, moves everything into the data file and gives the file up. */
  async close(): Promise<void> {
    await this.#writer.close();
  }
}
