/**
 * A query process's own copy of the store, on which user SQL runs.
 *
 * 1. The store's data file is copied into the process's folder and attached, without a log, since the copy ends with the
 *    process.
 * 2. Then the DuckDB instance is locked in: no other files, no network, no extensions, no spilling to disk, a bound on
 *    memory, and no way to change any of this.
 * 3. A connection of its own applies changes in the order of their commits. DuckDB cannot page out rows that are in no file
 *    yet, so another connection moves them into the copy's file now and then, beside queries and changes.
 * 4. A query is checked (check.ts) and runs on a connection of its own, in a read-only transaction.
 */
import { constants, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance, type DuckDBPreparedStatement } from '@duckdb/node-api';
import { failure, type Outcome } from '../../../base/index.ts';
import { Appenders } from '../../database/append.ts';
import { CATALOG, INTERNAL_SCHEMA, quoteText } from '../../database/ddl.ts';
import { type EngineError, readEngineError } from '../../database/engine-error.ts';
import type { TelemetryLimits } from '../../limits.ts';
import type { Change } from '../../store/changes.ts';
import { readPack } from '../../store/packs.ts';
import type { Format } from '../formats.ts';
import { lossesViewSql } from '../losses-view.ts';
import { StatementCheck } from './check.ts';
import { readResult } from './read-result.ts';
import { VIEWS, viewDdl } from './views.ts';

/** `details.reason` of a query that needed more memory than it may have. */
export const OUT_OF_MEMORY = 'out_of_memory';

export class StoreCopy {
  readonly #applier: DuckDBConnection;
  readonly #check: StatementCheck;
  readonly #folder: string;
  readonly #limits: TelemetryLimits;
  readonly #appenders: Appenders;
  readonly #checkpointer: DuckDBConnection;
  readonly #spare: SpareConnection;
  #rowsSinceCheckpoint = 0;
  #bytesSinceCheckpoint = 0;
  #isCheckpointing = false;

  private constructor(
    instance: DuckDBInstance,
    applier: DuckDBConnection,
    checkpointer: DuckDBConnection,
    parser: DuckDBConnection,
    folder: string,
    limits: TelemetryLimits,
  ) {
    this.#spare = new SpareConnection(instance);
    this.#applier = applier;
    this.#appenders = new Appenders(applier, CATALOG);
    this.#checkpointer = checkpointer;
    this.#check = new StatementCheck(parser, limits);
    this.#folder = folder;
    this.#limits = limits;
  }

  static async open(source_path: string, folder: string, limits: TelemetryLimits): Promise<StoreCopy> {
    const path = join(folder, 'copy.duckdb');
    // Where the file system has reflinks, the copy costs nothing, however large the file is.
    await copyFile(source_path, path, constants.COPYFILE_FICLONE);
    const instance = await DuckDBInstance.create(':memory:', {
      threads: '2',
      memory_limit: `${limits.sql_memory_mib}MiB`,
      // DuckDB would checkpoint within a COMMIT; `#checkpoint` does it beside queries and changes.
      checkpoint_threshold: '1TiB',
      temp_directory: '',
      home_directory: folder,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      allow_community_extensions: 'false',
      allow_persistent_secrets: 'false',
    });
    const parser = await instance.connect();
    const applier = await instance.connect();
    await applier.run(`ATTACH ${quoteText(path)} AS ${CATALOG} (RECOVERY_MODE no_wal_writes)`);
    await applier.run(`USE ${CATALOG}`);
    // The catalogue shows the contract's tables and the views of them, and nothing else.
    await applier.run(`DROP SCHEMA ${INTERNAL_SCHEMA} CASCADE`);
    for (const view of VIEWS) await applier.run(viewDdl(view));
    await applier.run(lossesViewSql([]));
    await applier.run(`SET GLOBAL TimeZone = 'UTC'`);
    await applier.run('SET GLOBAL enable_external_access = false');
    await applier.run('SET GLOBAL lock_configuration = true');
    return new StoreCopy(instance, applier, await instance.connect(), parser, folder, limits);
  }

  /** Applies changes in one transaction. Throws when that fails; the copy is unusable then. */
  async apply(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return;
    await this.#applier.run('BEGIN');
    for (const change of changes) {
      this.#rowsSinceCheckpoint += change.rows;
      this.#bytesSinceCheckpoint += change.bytes;
      if (change.kind === 'insert') {
        for (const bytes of change.packs) await this.#append(bytes);
      } else {
        this.#appenders.flush();
        for (const statement of change.sql) await this.#applier.run(statement);
      }
    }
    this.#appenders.flush();
    await this.#applier.run('COMMIT');
    void this.#checkpoint();
  }

  async #append(bytes: Uint8Array): Promise<void> {
    const pack = readPack(bytes);
    if (!pack.ok) throw new Error(pack.failure.message);
    for (const table of pack.value.tables) await this.#appenders.append(table);
  }

  /** Moves applied rows into the copy's file when there are many, in the background. */
  async #checkpoint(): Promise<void> {
    const { copy_checkpoint_rows, copy_checkpoint_bytes } = this.#limits;
    const isMuch =
      this.#rowsSinceCheckpoint >= copy_checkpoint_rows || this.#bytesSinceCheckpoint >= copy_checkpoint_bytes;
    if (this.#isCheckpointing || !isMuch) return;
    this.#isCheckpointing = true;
    this.#rowsSinceCheckpoint = 0;
    this.#bytesSinceCheckpoint = 0;
    // The next one makes up for one that fails. If none succeeds, a change runs out of memory and the process ends.
    await this.#checkpointer.run(`CHECKPOINT ${CATALOG}`).catch(() => undefined);
    this.#isCheckpointing = false;
  }

  /**
   * Checks and runs one query.
   * @param format of the answer, default JSON
   * @returns the bytes of the answer; `bad_request` for every fault of the query, with the reason `OUT_OF_MEMORY` if it was that
   * @throws Error when DuckDB itself fails, after which the process cannot be trusted
   */
  async query(sql: string, format: Format = 'json'): Promise<Outcome<Uint8Array>> {
    let checked: Outcome<string>;
    try {
      checked = await this.#check.check(sql);
    } catch (error) {
      return failure('bad_request', `sql: cannot be parsed: ${this.#shown(readEngineError(error))}`);
    }
    if (!checked.ok) return checked;
    try {
      return await this.runUnchecked(checked.value, format);
    } catch (error) {
      const engineError = readEngineError(error);
      if (engineError.isEngineFault) throw new Error(this.#shown(engineError), { cause: error });
      const details = engineError.isOutOfMemory ? { reason: OUT_OF_MEMORY } : undefined;
      return failure('bad_request', this.#shown(engineError), details);
    }
  }

  /** Runs a statement that the check might have refused, behind the second wall alone. Throws what DuckDB throws. */
  async runUnchecked(sql: string, format: Format = 'json'): Promise<Outcome<Uint8Array>> {
    const connection = await this.#spare.take();
    let statement: DuckDBPreparedStatement | undefined;
    try {
      await connection.run('BEGIN TRANSACTION READ ONLY');
      statement = await connection.prepare(sql);
      return await this.#read(statement, format);
    } finally {
      statement?.destroySync();
      connection.closeSync();
      this.#spare.prepare();
    }
  }

  async #read(statement: DuckDBPreparedStatement, format: Format): Promise<Outcome<Uint8Array>> {
    const names = Array.from({ length: statement.columnCount }, (_, index) => statement.columnName(index));
    const seen = new Set<string>();
    for (const name of names) {
      if (seen.has(name)) {
        return failure('bad_request', `sql: two columns are named ${JSON.stringify(name)}; rename one with AS`);
      }
      seen.add(name);
    }
    return await readResult(await statement.stream(), names, format, this.#limits);
  }

  /** DuckDB's message as a user may see it: without the copy's folder, native stack traces, and advice nobody can follow. */
  #shown({ message, isOutOfMemory }: EngineError): string {
    const shown = (message.split(/\n+Stack Trace:/)[0] ?? '').replaceAll(this.#folder, '').trim();
    return isOutOfMemory ? `${shown.split('\n')[0]}; a query may use ${this.#limits.sql_memory_mib} MiB` : shown;
  }
}

/** Connections for one query each; the next is opened as soon as one is taken. */
class SpareConnection {
  readonly #instance: DuckDBInstance;
  #next: Promise<DuckDBConnection | null> | null = null;

  constructor(instance: DuckDBInstance) {
    this.#instance = instance;
  }

  /** A connection of its own, that the caller closes. Throws what DuckDB throws. */
  async take(): Promise<DuckDBConnection> {
    const ready = this.#next;
    this.#next = null;
    return (await ready) ?? (await this.#open());
  }

  /** To be called when there is time. */
  prepare(): void {
    this.#next ??= this.#open().catch(() => null);
  }

  async #open(): Promise<DuckDBConnection> {
    const connection = await this.#instance.connect();
    await connection.run(`USE ${CATALOG}`);
    return connection;
  }
}
