/** What a query needs of DuckDB, made while nobody waits for it. */
import type { DuckDBConnection, DuckDBInstance, DuckDBPreparedStatement } from '@duckdb/node-api';

/** Connections for one query each; the next is opened as soon as one is taken. */
export class SpareConnection {
  readonly #instance: DuckDBInstance;
  readonly #catalog: string;
  #next: Promise<DuckDBConnection | null> | null = null;

  constructor(instance: DuckDBInstance, catalog: string) {
    this.#instance = instance;
    this.#catalog = catalog;
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
    await connection.run(`USE ${this.#catalog}`);
    return connection;
  }
}

/** DuckDB's own parser: the tree of a text, as JSON. */
export class Parser {
  readonly #connection: DuckDBConnection;
  #statement: DuckDBPreparedStatement | null = null;

  constructor(connection: DuckDBConnection) {
    this.#connection = connection;
  }

  /** Throws what DuckDB throws. */
  async serialize(sql: string): Promise<string> {
    this.#statement ??= await this.#connection.prepare('SELECT json_serialize_sql(?::VARCHAR)');
    const statement = this.#statement;
    try {
      statement.bindVarchar(1, sql);
      const chunk = await (await statement.run()).fetchChunk();
      return String(chunk?.getColumnVector(0).getItem(0));
    } catch (error) {
      this.#statement = null;
      statement.destroySync();
      throw error;
    }
  }
}

/** The last texts that passed the check, so that who asks the same again and again does not wait for it. */
export class CheckedTexts {
  readonly #max: number;
  readonly #texts = new Map<string, string>();

  /** @param texts_max texts that are remembered; the one longest unused goes */
  constructor(texts_max: number) {
    this.#max = texts_max;
  }

  /** What to run for `sql`, if it has passed. */
  get(sql: string): string | undefined {
    const checked = this.#texts.get(sql);
    if (checked === undefined) return undefined;
    this.#texts.delete(sql);
    this.#texts.set(sql, checked);
    return checked;
  }

  add(sql: string, checked: string): void {
    this.#texts.set(sql, checked);
    const [oldest] = this.#texts.keys();
    if (this.#texts.size > this.#max && oldest !== undefined) this.#texts.delete(oldest);
  }
}
