/**
 * Checkpoints: moving committed rows from the log into the data file.
 *
 * 1. DuckDB would checkpoint within the COMMIT that finds the log too long, and the clients of that commit would wait. So
 *    DuckDB's own threshold is out of reach here, and a connection of its own runs the checkpoint after the answers, as soon
 *    as `owner_wal_mib` were committed since the last: not much, since the next commit waits for it. (The commit could begin
 *    beside it, but would wait for the lock of its table, and block this process meanwhile.)
 * 2. At `owner_wal_max_mib` in the log, commits wait, whatever holds checkpoints off: memory, and a start after a crash, must
 *    be able to take the log.
 * 3. While the data file is being copied, checkpoints are held off: commits go into the log and leave the file unchanged.
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

  /** @param onError called with the error of a checkpoint that nobody waits for */
  static async open(
    database: Database,
    limits: TelemetryLimits,
    onError: (error: unknown) => void,
  ): Promise<Checkpoints> {
    await database.connection.run(`SET checkpoint_threshold = '1TiB'`);
    return new Checkpoints(await database.connectOwn(), limits, onError);
  }

  /** Notes a commit, and begins a checkpoint in the background when one is due. */
  committed(bytes: number): void {
    this.#logBytes += bytes + COMMIT_BYTES;
    if (this.#logBytes >= this.#limits.owner_wal_mib * MIB) this.begin();
  }

  /** Begins a checkpoint in the background, unless one is under way, held off, or has just failed. */
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

  /** Whether checkpoints are held off because the data file is being copied. */
  get isHeld(): boolean {
    return this.#held !== null;
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Waits until a commit may begin. It may after a checkpoint that failed: the commit itself reports what is wrong. */
  async room(): Promise<void> {
    await this.#running;
    if (this.#logBytes < this.#limits.owner_wal_max_mib * MIB) return;
    await this.#held?.over;
    this.begin();
    await this.#running;
  }

  /**
   * Moves everything into the data file, and holds checkpoints off from then on. Not to be called while they are held off,
   * nor beside a commit.
   * @returns allows checkpoints again
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

  /** Allows checkpoints again, waits for the one under way, and closes the connection. */
  async close(): Promise<void> {
    this.#notBefore_ms = Number.POSITIVE_INFINITY;
    this.#held?.end();
    await this.#running;
    this.#connection.closeSync();
  }
}
