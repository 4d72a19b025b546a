/**
 * A query process's own copy of the tables, which is what user SQL runs on.
 *
 * 1. The store's data file is copied into the process's folder and attached; nothing of it is written to a log, since the
 *    copy ends with the process.
 * 2. Then the instance is locked in: no files beyond that, no network, no extensions, no spilling to disk, a bound on
 *    memory, and no way to change any of this.
 * 3. Changes are applied as they were committed, by a connection of their own. Rows that are in no file yet cannot be moved
 *    out of memory: now and then another connection moves them into the copy's file, beside queries and changes.
 * 4. A query is checked (`check.ts`) and runs on a connection of its own, in a transaction that is read-only.
 */
import { constants, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance, type DuckDBPreparedStatement } from '@duckdb/node-api';
import { failure, messageOf, type Outcome, success } from '../../../base/index.ts';
import { Appenders } from '../../database/append.ts';
import { INTERNAL_SCHEMA, quoteText } from '../../database/ddl.ts';
import type { TelemetryLimits } from '../../limits.ts';
import type { Change } from '../../store/changes.ts';
import { readPack } from '../../store/packs.ts';
import type { Format } from '../formats.ts';
import { lossesViewSql } from '../losses-view.ts';
import { checkTree, statementParts } from './check.ts';
import { CheckedTexts, Parser, SpareConnection } from './connections.ts';
import { readResult } from './read-result.ts';
import { VIEWS, viewDdl } from './views.ts';

const CATALOG = 'telemetry';

export class StoreCopy {
  readonly #applier: DuckDBConnection;
  readonly #parser: Parser;
  readonly #checked: CheckedTexts;
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
    this.#spare = new SpareConnection(instance, CATALOG);
    this.#applier = applier;
    this.#appenders = new Appenders(applier, CATALOG);
    this.#checkpointer = checkpointer;
    this.#parser = new Parser(parser);
    this.#checked = new CheckedTexts(limits.sql_checked_texts_max);
    this.#folder = folder;
    this.#limits = limits;
  }

  static async open(source_path: string, folder: string, limits: TelemetryLimits): Promise<StoreCopy> {
    const path = join(folder, 'copy.duckdb');
    // A reflink where the file system has them: then the copy costs nothing, however large the file is.
    await copyFile(source_path, path, constants.COPYFILE_FICLONE);
    const instance = await DuckDBInstance.create(':memory:', {
      threads: '2',
      memory_limit: `${limits.sql_memory_mib}MiB`,
      // It would do by itself, within the COMMIT that finds it due, what is done beside queries and changes here.
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
    // So that the catalogue shows the contract's tables and the views of them, and nothing else.
    await applier.run(`DROP SCHEMA ${INTERNAL_SCHEMA} CASCADE`);
    for (const view of VIEWS) await applier.run(viewDdl(view));
    await applier.run(lossesViewSql([]));
    await applier.run(`SET GLOBAL TimeZone = 'UTC'`);
    await applier.run('SET GLOBAL enable_external_access = false');
    await applier.run('SET GLOBAL lock_configuration = true');
    return new StoreCopy(instance, applier, await instance.connect(), parser, folder, limits);
  }

  /** Applies changes in one transaction. Throws when that fails, and then the copy is of no more use. */
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

  /** Moves what was applied into the copy's file when it is much; nobody waits for it. */
  async #checkpoint(): Promise<void> {
    const { copy_checkpoint_rows, copy_checkpoint_bytes } = this.#limits;
    const isMuch =
      this.#rowsSinceCheckpoint >= copy_checkpoint_rows || this.#bytesSinceCheckpoint >= copy_checkpoint_bytes;
    if (this.#isCheckpointing || !isMuch) return;
    this.#isCheckpointing = true;
    this.#rowsSinceCheckpoint = 0;
    this.#bytesSinceCheckpoint = 0;
    // One that fails is made up for by the next; if none succeeds, a change finds no memory, and the process ends.
    await this.#checkpointer.run(`CHECKPOINT ${CATALOG}`).catch(() => undefined);
    this.#isCheckpointing = false;
  }

  /**
   * Checks and runs one query.
   * @param format of the answer, default JSON
   * @returns the bytes of the answer, or `bad_request` for everything that is the query's own fault
   */
  async query(sql: string, format: Format = 'json'): Promise<Outcome<Uint8Array>> {
    const checked = await this.#check(sql);
    if (!checked.ok) return checked;
    try {
      return await this.runUnchecked(checked.value, format);
    } catch (error) {
      const message = messageOf(error);
      if (/^(FATAL|INTERNAL)/.test(message)) throw new Error(this.#withoutPaths(message));
      return failure('bad_request', this.#withoutPaths(message));
    }
  }

  /** Runs what the check would have refused, too: the wall behind it. Throws what DuckDB throws. */
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

  /** @returns the statement to run, put together from what was checked */
  async #check(sql: string): Promise<Outcome<string>> {
    // What the check says hangs on the text alone.
    const known = this.#checked.get(sql);
    if (known !== undefined) return success(known);
    const parts = statementParts(sql, this.#limits);
    if (!parts.ok) return parts;
    const { head, query } = parts.value;
    try {
      const checked = checkTree(await this.#parser.serialize(query), this.#limits);
      if (!checked.ok) return checked;
      this.#checked.add(sql, head + query);
      return success(head + query);
    } catch (error) {
      return failure('bad_request', `sql: cannot be parsed: ${this.#withoutPaths(messageOf(error))}`);
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
  #withoutPaths(message: string): string {
    if (message.startsWith('Out of Memory')) {
      return `${message.split('\n')[0]}; a query may use ${this.#limits.sql_memory_mib} MiB`;
    }
    return (message.split(/\n+Stack Trace:/)[0] ?? '').replaceAll(this.#folder, '').trim();
  }
}
