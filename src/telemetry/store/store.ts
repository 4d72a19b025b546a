/**
 * The store: the one owner of the telemetry tables. An acknowledged row is durable, and counts once.
 *
 *     ingest ─┐                                     ┌─ followers (query processes' copies)
 *     dumps  ─┼─► Writer ─► one transaction ─► disk ┤
 *     sweeps ─┘                                     └─ answers
 */
import { dirname } from 'node:path';
import pLimit from 'p-limit';
import * as v from 'valibot';
import { countRows, failure, messageOf, type Outcome, SILENT, success, type WarningLog } from '../../base/index.ts';
import { describeIssues, EventBatch, StoreDumpRequest } from '../../contract/index.ts';
import { TEXT_LAYOUT } from '../database/append.ts';
import { databaseBytes } from '../database/database.ts';
import { checkTextLayout } from '../database/text-layout.ts';
import type { TelemetryLimits } from '../limits.ts';
import { type OpenedStore, openStoreFiles } from '../segments/recover.ts';
import type { Sealed, Segments } from '../segments/segments.ts';
import type { Follower } from './changes.ts';
import { DiskGuard } from './disk.ts';
import { dumpRows } from './dump-rows.ts';
import type { StoreHealth } from './health.ts';
import { Maintenance } from './maintenance.ts';
import { packRows, packsOf } from './packs.ts';
import { type Loss, Producers } from './producers.ts';
import { Writer } from './writer.ts';

/** A body can be wrong in a million places, and each issue takes more memory than the place itself. */
const FIRST_ISSUE = { abortEarly: true } as const;

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
  /** The last lease. Leases follow one another, since each begins with a checkpoint, which must not run during a copy. */
  #lease: Promise<void> = Promise.resolve();
  /**
   * Batches are unpacked one at a time, in the order in which they came: so that a small one does not overtake a large one of
   * the same producer, and what is unpacked is never much more than what waits for its commit.
   */
  readonly #unpacking = pLimit(1);

  readonly #segments: Segments;
  readonly #disk: DiskGuard;
  readonly #maintenance: Maintenance;

  private constructor(
    { database, segments }: OpenedStore,
    producers: Producers,
    limits: TelemetryLimits,
    log: WarningLog,
  ) {
    this.#path = database.path;
    this.#producers = producers;
    this.#limits = limits;
    this.#segments = segments;
    this.#disk = new DiskGuard(dirname(database.path), limits);
    this.#writer = new Writer(database, producers, limits, () => this.#disk.problem());
    this.#maintenance = new Maintenance({
      path: database.path,
      writer: this.#writer,
      producers,
      segments,
      disk: this.#disk,
      limits,
      log,
    });
  }

  /**
   * Opens the store of a data directory; see `openStoreFiles` for the failures, and for what is done about a data file that
   * cannot be used. Nothing is opened, with `internal_error`, when DuckDB would read other texts than are written.
   * @param layout of texts; another one than the default is for tests
   */
  static async open(
    data_dir: string,
    limits: TelemetryLimits,
    log: WarningLog = SILENT,
    layout = TEXT_LAYOUT,
  ): Promise<Outcome<Store>> {
    const tried = await checkTextLayout(layout);
    if (!tried.ok) return tried;
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
      await store.sweep().catch((error) => log.warn(`retention sweep failed: ${messageOf(error)}`));
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
    const written = await this.#unpacking(async () => {
      const packs = await packsOf(parsed.output, this.#limits);
      if (!packs.ok) return failure('bad_request', `event batch: ${packs.failure.message}`);
      // Not waited for here: the next batch is unpacked while this one is committed.
      return success({
        commit: this.#writer.write({ packs: packs.value, mark: { producer, source, seq, lost_rows } }),
      });
    });
    if (!written.ok) return written;
    const done = await written.value.commit;
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
    const packs = await packRows(tables, this.#limits);
    if (!packs.ok) return failure('bad_request', `dump: ${packs.failure.message}`);
    const stored = await this.#writer.write({ packs: packs.value, mark: null });
    return stored.ok ? success({ dump_id: parsed.output.dump_id }) : stored;
  }

  /** See maintenance.ts. */
  seal(all?: boolean): Promise<Sealed> {
    return this.#maintenance.seal(all);
  }

  sweep(given_ms?: number): Promise<void> {
    return this.#maintenance.sweep(given_ms);
  }

  get isSealDue(): boolean {
    return this.#maintenance.isSealDue;
  }

  get isSweepDue(): boolean {
    return this.#maintenance.isSweepDue;
  }

  /**
   * Lends the data file for copying, and calls `follower` with every change that the copy will lack.
   *
   * Everything committed so far is moved into the data file, and checkpoints are held off until the lease is released.
   * Commits continue meanwhile, into the log, and leave the file unchanged. Leases wait for one another.
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
      unsealed_rows: this.#maintenance.unsealedRows,
      ...this.#segments.totals,
      disk_free_bytes: this.#disk.freeBytes,
    };
  }

  /** Grows whenever `losses` would return something else. */
  get lossesVersion(): number {
    return this.#producers.lossesVersion;
  }

  /** Rows that producers had to drop. */
  losses(): Loss[] {
    return this.#producers.losses(this.#limits.losses_shown_max);
  }

  /** Seals the committed rows, finishes the writes that wait, moves everything into the data file and closes it. */
  async close(): Promise<void> {
    await this.#maintenance.close();
    await this.#writer.close();
  }
}
