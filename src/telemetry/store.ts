/**
 * The store: the one owner of the telemetry tables. An acknowledged row is durable, and counts once.
 *
 *     ingest ─┐                                     ┌─ followers (query processes' copies)
 *     dumps  ─┼─► Writer ─► one transaction ─► disk ┤
 *     sweeps ─┘                                     └─ answers
 */
import { dirname } from 'node:path';
import * as v from 'valibot';
import {
  countRows,
  describeIssues,
  EventBatch,
  failure,
  type Outcome,
  StoreDumpRequest,
  success,
} from '../contract/index.ts';
import { databaseBytes, messageOf, messageWithoutFolder } from './database.ts';
import { DiskGuard } from './disk.ts';
import { dumpRows } from './dump-rows.ts';
import type { TelemetryLimits } from './limits.ts';
import type { Log } from './log.ts';
import { packRows, packsOf } from './packs.ts';
import type { StoreHealth } from './port.ts';
import { type Loss, Producers } from './producers.ts';
import { sweepStatements } from './retention.ts';
import { readFloors } from './segments/floors.ts';
import { type OpenedStore, openStoreFiles } from './segments/recover.ts';
import { lastSealedRow, readCounts, sealedRowsSql } from './segments/sealing.ts';
import type { Alone, Sealed, Segments } from './segments/segments.ts';
import { type Follower, Writer } from './writer.ts';

/** A body can be wrong in a million places, and an issue takes more memory than what it is about. */
const FIRST_ISSUE = { abortEarly: true } as const;

/** A copy of the data file may be taken at `path`, by another process, until `release` is called. */
export interface CopyLease {
  readonly path: string;
  release(): Promise<void>;
}

const NOTHING_UNSEALED = { rows: 0, bytes: 0, since_ms: 0 };

export class Store {
  readonly #path: string;
  readonly #writer: Writer;
  readonly #producers: Producers;
  readonly #limits: TelemetryLimits;
  /** The last lease, so that leases follow one another: a checkpoint must not run under somebody's copy. */
  #lease: Promise<void> = Promise.resolve();
  /** The last batch that is being unpacked. */
  #unpacking: Promise<void> = Promise.resolve();

  readonly #segments: Segments;
  readonly #disk: DiskGuard;
  readonly #log: Log;
  /** The last sealing or sweep: they follow one another. */
  #upkeep: Promise<unknown> = Promise.resolve();
  #isClosing = false;
  #unsealed: { rows: number; bytes: number; since_ms: number } = NOTHING_UNSEALED;
  #bytesSinceSweep = 0;
  #sealNotBefore_ms = 0;

  private constructor({ database, segments }: OpenedStore, producers: Producers, limits: TelemetryLimits, log: Log) {
    this.#path = database.path;
    this.#producers = producers;
    this.#limits = limits;
    this.#segments = segments;
    this.#log = log;
    this.#disk = new DiskGuard(dirname(database.path), limits);
    this.#writer = new Writer(database, producers, limits, () => this.#disk.problem());
    this.#writer.follow((change) => {
      if (change === 'lost' || change.kind !== 'insert') return;
      const { rows, bytes, since_ms } = this.#unsealed;
      const from_ms = rows === 0 ? performance.now() : since_ms;
      this.#unsealed = { rows: rows + change.rows, bytes: bytes + change.bytes, since_ms: from_ms };
      this.#bytesSinceSweep += change.bytes;
    });
  }

  /**
   * Opens the store of a data directory; see `openStoreFiles` for the failures, and for what is done about a data file that
   * cannot be used.
   */
  static async open(
    data_dir: string,
    limits: TelemetryLimits,
    log: Log = { warn: () => undefined },
  ): Promise<Outcome<Store>> {
    const opened = await openStoreFiles(data_dir, limits, log);
    if (!opened.ok) return opened;
    const { database, isRebuilt } = opened.value;
    let store: Store;
    try {
      const producers = new Producers();
      await producers.load(database.connection);
      store = new Store(opened.value, producers, limits, log);
    } catch (error) {
      database.close();
      throw error;
    }
    if (isRebuilt) {
      await store.sweep(Date.now()).catch((error) => log.warn(`retention sweep failed: ${messageOf(error)}`));
    }
    return success(store);
  }

  /**
   * Appends one batch. Answers after the commit, with the batch's number.
   * @returns failure `bad_request` (naming the field), or `service_unavailable` (send it again)
   */
  async ingest(body: unknown): Promise<Outcome<{ acked: number }>> {
    const parsed = v.safeParse(EventBatch, body, FIRST_ISSUE);
    if (!parsed.success) return failure('bad_request', `event batch: ${describeIssues(parsed.issues)}`);
    const { producer, source, seq, lost_rows } = parsed.output;
    // In the order in which they came, and one after the other: so that a small batch does not overtake a large one of the
    // same producer, and what is unpacked is never much more than what waits for its commit.
    const before = this.#unpacking;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#unpacking = promise;
    await before;
    let stored: Promise<Outcome<null>>;
    try {
      const packs = await packsOf(parsed.output);
      if (!packs.ok) return failure('bad_request', `event batch: ${packs.failure.message}`);
      stored = this.#writer.write({ packs: packs.value, mark: { producer, source, seq, lost_rows } });
    } finally {
      resolve();
    }
    const done = await stored;
    return done.ok ? success({ acked: seq }) : done;
  }

  /**
   * Stores a captured dump in the four py-spy tables, in one transaction.
   * @returns failure `bad_request` (naming the field, or too many rows), or `service_unavailable`
   */
  async storeDump(body: unknown): Promise<Outcome<{ dump_id: string }>> {
    const parsed = v.safeParse(StoreDumpRequest, body, FIRST_ISSUE);
    if (!parsed.success) return failure('bad_request', `dump: ${describeIssues(parsed.issues)}`);
    const tables = dumpRows(parsed.output, Date.now() * 1000);
    const rows = countRows(tables);
    const max = this.#limits.dump_rows_max;
    if (rows > max)
      return failure('bad_request', `dump: ${rows} threads, frames and locals, at most ${max} are stored`);
    const packs = await packRows(tables);
    if (!packs.ok) return failure('bad_request', `dump: ${packs.failure.message}`);
    const stored = await this.#writer.write({ packs: packs.value, mark: null });
    return stored.ok ? success({ dump_id: parsed.output.dump_id }) : stored;
  }

  /**
   * Puts every row that is in no segment yet into one (segments/segments.ts), beside the commits. Rejects with what the disk
   * or DuckDB said; the rows stay where they are then.
   * @param all every row there is, into one segment that replaces the others. Default: when there are too many
   */
  seal(all = this.#segments.totals.segments >= this.#limits.segments_max): Promise<Sealed> {
    return this.#inTurn(() => this.#seal(all));
  }

  /** Whether enough rows have come, or the oldest has waited long enough, for the next sealing. */
  get isSealDue(): boolean {
    const { rows, bytes, since_ms } = this.#unsealed;
    const { seal_rows_max, seal_max_bytes, seal_interval_ms } = this.#limits;
    if (rows === 0 || performance.now() < this.#sealNotBefore_ms) return false;
    return rows >= seal_rows_max || bytes >= seal_max_bytes || performance.now() - since_ms >= seal_interval_ms;
  }

  /** Whether so much has come since the last sweep that the next one should not wait for its time. */
  get isSweepDue(): boolean {
    return this.#bytesSinceSweep >= this.#limits.sweep_after_bytes;
  }

  /**
   * Seals, then deletes what is over its bound at `now_ms`, then the segments' files that hold nothing else. Rejects with what
   * DuckDB said, having deleted nothing.
   */
  sweep(now_ms: number): Promise<void> {
    return this.#inTurn(async () => {
      // What cannot be sealed, because the disk is full, may be deleted all the same: it is over its bound.
      await this.#seal(false).catch((error) => this.#log.warn(`sealing failed: ${this.#said(error)}`));
      const bytes = this.#bytesSinceSweep;
      const floors = await this.#writer.alone(async (connection) => {
        await this.#segments.catchUp(connection);
        const deletions = await sweepStatements(connection, this.#limits, this.#segments.rowBytes(), now_ms * 1000);
        const excess = this.#producers.excess(this.#limits.producers_max);
        const internal = excess.length === 0 ? [] : this.#producers.forgetSql(excess);
        const tables = [...new Set(deletions.map((deletion) => deletion.table))];
        for (const [table, count] of await readCounts(connection, tables)) {
          internal.push(sealedRowsSql(table, await lastSealedRow(connection, table, count)));
        }
        await this.#writer.runStatements(
          deletions.map((deletion) => deletion.sql),
          internal,
        );
        this.#producers.forgotten(excess);
        return await readFloors(connection, this.#segments.manifest);
      });
      this.#bytesSinceSweep -= bytes;
      await this.#segments.prune(floors);
      // Until then, what was deleted takes room.
      await this.#writer.checkpointed();
    });
  }

  async #seal(all: boolean): Promise<Sealed> {
    const problem = await this.#disk.problem();
    if (problem !== null) throw new Error(problem);
    const alone: Alone = (work) => this.#writer.alone(work);
    const { seal_memory_mib } = this.#limits;
    const before = this.#unsealed;
    // Rows that are committed while the sealing begins are counted again, which only brings the next one forward.
    this.#unsealed = NOTHING_UNSEALED;
    try {
      await this.#writer.useExtraMemory(seal_memory_mib);
      return await this.#segments.seal(alone, { all });
    } catch (error) {
      const { rows, bytes } = this.#unsealed;
      this.#unsealed = { rows: rows + before.rows, bytes: bytes + before.bytes, since_ms: before.since_ms };
      // What failed would fail again at once.
      this.#sealNotBefore_ms = performance.now() + this.#limits.seal_interval_ms;
      throw error;
    } finally {
      await this.#writer.useExtraMemory(0).catch(() => undefined);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosing) return Promise.reject(new Error('telemetry is closing'));
    const turn = this.#upkeep.then(work);
    this.#upkeep = turn.catch(() => undefined);
    return turn;
  }

  /** One line. */
  #said(error: unknown): string {
    return messageWithoutFolder(error, this.#path).split('\n')[0] ?? '';
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
      const end = await this.#writer.lend(follower);
      const release = async (): Promise<void> => {
        end();
        free();
      };
      return { path: this.#path, release };
    } catch (error) {
      free();
      throw error;
    }
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
    const failure = this.#writer.failure ?? (await this.#disk.problem());
    return {
      ok: failure === null,
      failure,
      rows_stored: counts.rows,
      batches_stored: counts.batches,
      duplicate_batches: counts.duplicates,
      commits: counts.commits,
      failed_commits: counts.failed_commits,
      writes_waiting: this.#writer.writesWaiting,
      producers,
      lost_rows,
      database_bytes: await databaseBytes(this.#path),
      unsealed_rows: this.#unsealed.rows,
      ...this.#segments.totals,
      disk_free_bytes: this.#disk.freeBytes,
    };
  }

  /** Number that grows whenever `losses` would give something else. */
  get lossesVersion(): number {
    return this.#producers.lossesVersion;
  }

  /** What producers had to drop. */
  losses(): Loss[] {
    return this.#producers.losses(this.#limits.losses_shown_max);
  }

  /** Finishes what waits, seals it, moves everything into the data file and gives the file up. */
  async close(): Promise<void> {
    const sealing = this.seal(false).catch((error) => this.#log.warn(`sealing failed: ${this.#said(error)}`));
    this.#isClosing = true;
    await sealing;
    await this.#writer.close();
  }
}
