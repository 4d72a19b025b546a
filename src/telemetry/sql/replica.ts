/**
 * A query process's own copy of the tables, which is what user SQL runs on.
 *
 * 1. The store's data file is copied into the process's folder and attached; nothing of it is written to a log, since the
 *    copy ends with the process.
 * 2. Then the instance is locked in: no files beyond that, no network, no extensions, no spilling to disk, a bound on
 *    memory, and no way to change any of this.
 * 3. Changes are applied as they were committed, by a connection of their own.
 * 4. A query is checked (`check.ts`) and runs on a connection of its own, in a transaction that is read-only.
 */
import { constants, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance, type DuckDBPreparedStatement } from '@duckdb/node-api';
import { failure, findTable, type Outcome, success } from '../../contract/index.ts';
import { appendRows } from '../append.ts';
import { messageOf } from '../database.ts';
import { INTERNAL_SCHEMA, quoteText } from '../ddl.ts';
import type { TelemetryLimits } from '../limits.ts';
import type { Change } from '../writer.ts';
import { checkTree, statementParts } from './check.ts';
import { renderRows } from './render.ts';

const CATALOG = 'telemetry';

export class Replica {
  readonly #instance: DuckDBInstance;
  readonly #applier: DuckDBConnection;
  readonly #parser: DuckDBConnection;
  readonly #folder: string;
  readonly #limits: TelemetryLimits;
  #rowsSinceCheckpoint = 0;
  #charsSinceCheckpoint = 0;

  private constructor(
    instance: DuckDBInstance,
    applier: DuckDBConnection,
    parser: DuckDBConnection,
    folder: string,
    limits: TelemetryLimits,
  ) {
    this.#instance = instance;
    this.#applier = applier;
    this.#parser = parser;
    this.#folder = folder;
    this.#limits = limits;
  }

  static async open(source_path: string, folder: string, limits: TelemetryLimits): Promise<Replica> {
    const path = join(folder, 'replica.duckdb');
    // A reflink where the file system has them: then the copy costs nothing, however large the file is.
    await copyFile(source_path, path, constants.COPYFILE_FICLONE);
    const instance = await DuckDBInstance.create(':memory:', {
      threads: '2',
      memory_limit: `${limits.sql_memory_mib}MiB`,
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
    // So that the catalogue shows the contract's tables and nothing else.
    await applier.run(`DROP SCHEMA ${INTERNAL_SCHEMA} CASCADE`);
    await applier.run(`SET GLOBAL TimeZone = 'UTC'`);
    await applier.run('SET GLOBAL enable_external_access = false');
    await applier.run('SET GLOBAL lock_configuration = true');
    return new Replica(instance, applier, parser, folder, limits);
  }

  async apply(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return;
    await this.#applier.run('BEGIN');
    for (const change of changes) {
      this.#rowsSinceCheckpoint += change.rows;
      this.#charsSinceCheckpoint += change.chars;
      if (change.kind === 'statements') {
        for (const statement of change.sql) await this.#applier.run(statement);
        continue;
      }
      for (const [name, rows] of Object.entries(change.tables)) {
        const table = findTable(name);
        if (table !== undefined) await appendRows(this.#applier, table, rows, CATALOG);
      }
    }
    await this.#applier.run('COMMIT');
    const { replica_checkpoint_rows, replica_checkpoint_chars } = this.#limits;
    if (
      this.#rowsSinceCheckpoint >= replica_checkpoint_rows ||
      this.#charsSinceCheckpoint >= replica_checkpoint_chars
    ) {
      // Rows that are in no file yet cannot be moved out of memory.
      await this.#applier.run(`CHECKPOINT ${CATALOG}`);
      this.#rowsSinceCheckpoint = 0;
      this.#charsSinceCheckpoint = 0;
    }
  }

  /**
   * Checks and runs one query.
   * @returns the JSON text of the answer, or `bad_request` for everything that is the query's own fault
   */
  async query(sql: string): Promise<Outcome<string>> {
    const checked = await this.#check(sql);
    if (!checked.ok) return checked;
    try {
      return await this.runUnchecked(checked.value);
    } catch (error) {
      const message = messageOf(error);
      if (/^(FATAL|INTERNAL)/.test(message)) throw new Error(this.#withoutPaths(message));
      return failure('bad_request', this.#withoutPaths(message));
    }
  }

  /** Runs what the check would have refused, too: the wall behind it. Throws what DuckDB throws. */
  async runUnchecked(sql: string): Promise<Outcome<string>> {
    const connection = await this.#instance.connect();
    let statement: DuckDBPreparedStatement | undefined;
    try {
      await connection.run(`USE ${CATALOG}`);
      await connection.run('BEGIN TRANSACTION READ ONLY');
      statement = await connection.prepare(sql);
      return await this.#read(statement);
    } finally {
      statement?.destroySync();
      connection.closeSync();
    }
  }

  /** @returns the statement to run, put together from what was checked */
  async #check(sql: string): Promise<Outcome<string>> {
    const parts = statementParts(sql, this.#limits);
    if (!parts.ok) return parts;
    const { head, query } = parts.value;
    try {
      const reader = await this.#parser.runAndReadAll('SELECT json_serialize_sql(?::VARCHAR)', [query]);
      const checked = checkTree(String(reader.getRows()[0]?.[0]), this.#limits);
      return checked.ok ? success(head + query) : checked;
    } catch (error) {
      return failure('bad_request', `sql: cannot be parsed: ${this.#withoutPaths(messageOf(error))}`);
    }
  }

  async #read(statement: DuckDBPreparedStatement): Promise<Outcome<string>> {
    const { sql_rows_max, sql_result_max_chars } = this.#limits;
    const names = Array.from({ length: statement.columnCount }, (_, index) => statement.columnName(index));
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) {
      return failure('bad_request', `sql: two columns are named ${JSON.stringify(twice)}; rename one with AS`);
    }
    const result = await statement.stream();
    const parts: string[] = [];
    let chars = 0;
    for (
      let chunk = await result.fetchChunk();
      chunk !== null && chunk.rowCount > 0;
      chunk = await result.fetchChunk()
    ) {
      for (const row of renderRows(chunk, names)) {
        if (parts.length >= sql_rows_max) {
          return failure('bad_request', `sql: the result has more than ${sql_rows_max} rows; add a LIMIT`);
        }
        chars += row.length + 1;
        if (chars > sql_result_max_chars) {
          return failure('bad_request', `sql: the result is longer than ${sql_result_max_chars} characters of JSON`);
        }
        parts.push(row);
      }
    }
    const columns = names.map((name, index) => ({ name, type: String(result.columnType(index)) }));
    return success(`{"rows":[${parts.join(',')}],"columns":${JSON.stringify(columns)}}`);
  }

  /** DuckDB's message as a user may see it: without the copy's folder, native stack traces, and advice nobody can follow. */
  #withoutPaths(message: string): string {
    if (message.startsWith('Out of Memory')) {
      return `${message.split('\n')[0]}; a query may use ${this.#limits.sql_memory_mib} MiB`;
    }
    return (message.split(/\n+Stack Trace:/)[0] ?? '').replaceAll(this.#folder, '').trim();
  }
}
