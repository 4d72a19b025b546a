/**
 * Checkpoints: moving what was committed from the log into the data file.
 *
 * 1. DuckDB would do it within the COMMIT that finds the log too long, and whoever waits for that commit would wait for it. So
 *    its own threshold is out of reach here, and a connection of its own does it after the commit was answered, as soon as
 *    `owner_wal_mib` were committed since the last: little, since the next commit waits for it. (It could begin beside it, but
 *    would then wait for the lock of its table, and this process with it.)
 * 2. At `owner_wal_max_mib` in the log, commits wait whatever holds checkpoints off: that is what memory and a start after a
 *    crash must take.
 * 3. While somebody holds them off, to copy the data file, there are none: commits go into the log, which leaves the file as
 *    it is.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Database } from '../database/database.ts';
import type { TelemetryLimits } from '../limits.ts';

const MIB = 2 ** 20;
/** What a commit adds to the log besides its rows, bytes. */
const COMMIT_BYTES = 1_024;

export class Checkpoints {
  readonly #connection: DuckDBConnection;
  readonly #limits: TelemetryLimits;
  readonly #onError: (error: unknown) => void;
  /** Committed since the last one began, bytes. */
  #logBytes = 0;
  #running: Promise<void> | null = null;
  /** Null while nobody holds them off. */
  #held: { readonly over: Promise<void>; readonly end: () => void } | null = null;
  #notBefore_ms = 0;

  private constructor(connection: DuckDBConnection, limits: TelemetryLimits, onError: (error: unknown) => void) {
    this.#connection = connection;
    this.#limits = limits;
    this.#onError = onError;
  }

  /** @param onError told why one failed that nobody waits for */
  static async open(
    database: Database,
    limits: TelemetryLimits,
    onError: (error: unknown) => void,
  ): Promise<Checkpoints> {
    await database.connection.run(`SET checkpoint_threshold = '1TiB'`);
    return new Checkpoints(await database.connectOwn(), limits, onError);
  }

  /** Notes a commit, and begins a checkpoint when one is due. Nobody waits for it. */
  committed(bytes: number): void {
    this.#logBytes += bytes + COMMIT_BYTES;
    if (this.#logBytes >= this.#limits.owner_wal_mib * MIB) this.begin();
  }

  /** Begins one, unless one is under way, held off, or has just failed. Nobody waits for it. */
  begin(): void {
    if (this.#running !== null || this.#held !== null || performance.now() < this.#notBefore_ms) return;
    const bytes = this.#logBytes;
    this.#logBytes = 0;
    this.#running = this.#connection
      .run('CHECKPOINT')
      .then(() => undefined)
      .catch((error: unknown) => {
        this.#logBytes += bytes;
        this.#notBefore_ms = Math.max(this.#notBefore_ms, performance.now() + this.#limits.reopen_interval_ms);
        this.#onError(error);
      })
      .finally(() => {
        this.#running = null;
      });
  }

  /** Whether somebody copies the data file. */
  get isHeld(): boolean {
    return this.#held !== null;
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Waits until a commit may begin. After a checkpoint that failed it may: what fails is told by the commits. */
  async room(): Promise<void> {
    await this.#running;
    if (this.#logBytes < this.#limits.owner_wal_max_mib * MIB) return;
    await this.#held?.over;
    this.begin();
    await this.#running;
  }

  /**
   * Moves everything into the data file, and holds checkpoints off from then on. Not to be called while they are, nor beside
   * a commit.
   * @returns to be called when they may come again
   */
  async hold(): Promise<() => void> {
    await this.#running;
    await this.#connection.run('CHECKPOINT');
    this.#logBytes = 0;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      if (this.#held?.over === over) this.#held = null;
      resolve();
      this.committed(0);
    };
    this.#held = { over, end };
    return end;
  }

  /** Ends what holds them off, waits for the one under way, and gives the connection up. */
  async close(): Promise<void> {
    this.#notBefore_ms = Number.POSITIVE_INFINITY;
    this.#held?.end();
    await this.#running;
    this.#connection.closeSync();
  }
}
