/**
 * A hub's state in SQLite: a row per host, a row per node, and a row per frame of a state that is not whole yet. Each table
 * is its own primary key, so that what is written is counted once.
 */
import type { HubKeeper, KeptHost, KeptNode, StageStep } from './keeper.ts';

/** The part of a database's API that is needed: one statement at a time, run at once, with rows that can be iterated. */
export interface Sql {
  exec(query: string, ...values: (string | number | null)[]): Iterable<Readonly<Record<string, unknown>>>;
  /** Runs `run`, and undoes what it wrote when it throws. Not nested. */
  transaction<T>(run: () => T): T;
}

/** Grows by one with each change of the tables below. */
const SCHEMA_VERSION = 1;

const TABLES = [
  `CREATE TABLE hub_hosts (key TEXT PRIMARY KEY, name TEXT NOT NULL, identity TEXT NOT NULL, addr TEXT,
    size INTEGER NOT NULL, heard_at_ms INTEGER NOT NULL, is_linked INTEGER NOT NULL) WITHOUT ROWID`,
  `CREATE TABLE hub_nodes (host TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (host, key)) WITHOUT ROWID`,
  `CREATE TABLE hub_stage (host TEXT NOT NULL, step INTEGER NOT NULL, nodes TEXT NOT NULL, removed TEXT NOT NULL,
    PRIMARY KEY (host, step)) WITHOUT ROWID`,
] as const;

export class SqliteKeeper implements HubKeeper {
  readonly #sql: Sql;

  /**
   * Makes the tables when they are missing.
   *
   * @throws Error when the database was written by a release that knows more.
   */
  constructor(sql: Sql) {
    this.#sql = sql;
    sql.transaction(() => this.#prepare());
  }

  hosts(): readonly KeptHost[] {
    return this.#all('SELECT * FROM hub_hosts', [], (row) => ({
      key: String(row.key),
      name: String(row.name),
      identity: String(row.identity),
      addr: row.addr === null ? null : String(row.addr),
      size: Number(row.size),
      heard_at_ms: Number(row.heard_at_ms),
      isLinked: row.is_linked === 1,
    }));
  }

  nodes(host: string): readonly KeptNode[] {
    return this.#all('SELECT key, text FROM hub_nodes WHERE host = ?', [host], ({ key, text }) => ({
      key: String(key),
      text: String(text),
    }));
  }

  stages(): readonly string[] {
    return this.#all('SELECT DISTINCT host FROM hub_stage', [], ({ host }) => String(host));
  }

  staged(host: string): readonly StageStep[] {
    const query = 'SELECT nodes, removed FROM hub_stage WHERE host = ? ORDER BY step';
    return this.#all(query, [host], ({ nodes, removed }) => ({
      nodes: String(nodes),
      removed: JSON.parse(String(removed)),
    }));
  }

  keepHost({ key, name, identity, addr, size, heard_at_ms, isLinked }: KeptHost): void {
    const query = 'INSERT OR REPLACE INTO hub_hosts VALUES (?, ?, ?, ?, ?, ?, ?)';
    this.#sql.exec(query, key, name, identity, addr, size, heard_at_ms, isLinked ? 1 : 0);
  }

  replaceNodes(host: KeptHost, put: readonly KeptNode[], removed: readonly string[]): void {
    this.#sql.transaction(() => {
      this.#change(host.key, put, removed);
      this.clearStage(host.key);
      this.keepHost(host);
    });
  }

  changeNodes(host: string, put: readonly KeptNode[], removed: readonly string[], changed: KeptHost | null): void {
    this.#sql.transaction(() => {
      this.#change(host, put, removed);
      if (changed !== null) this.keepHost(changed);
    });
  }

  stage(host: string, { nodes, removed }: StageStep): void {
    const query = `INSERT INTO hub_stage
      SELECT ?1, coalesce(max(step), 0) + 1, ?2, ?3 FROM hub_stage WHERE host = ?1`;
    this.#sql.exec(query, host, nodes, JSON.stringify(removed));
  }

  clearStage(host: string): void {
    this.#sql.exec('DELETE FROM hub_stage WHERE host = ?', host);
  }

  forget(host: string): void {
    this.#sql.transaction(() => {
      this.#sql.exec('DELETE FROM hub_nodes WHERE host = ?', host);
      this.clearStage(host);
      this.#sql.exec('DELETE FROM hub_hosts WHERE key = ?', host);
    });
  }

  #change(host: string, put: readonly KeptNode[], removed: readonly string[]): void {
    for (const key of removed) this.#sql.exec('DELETE FROM hub_nodes WHERE host = ? AND key = ?', host, key);
    for (const { key, text } of put)
      this.#sql.exec('INSERT OR REPLACE INTO hub_nodes VALUES (?, ?, ?)', host, key, text);
  }

  #all<T>(query: string, values: string[], read: (row: Readonly<Record<string, unknown>>) => T): readonly T[] {
    return Array.from(this.#sql.exec(query, ...values), read);
  }

  #prepare(): void {
    this.#sql.exec('CREATE TABLE IF NOT EXISTS hub_schema (version INTEGER PRIMARY KEY)');
    const [version] = this.#all('SELECT version FROM hub_schema', [], (row) => Number(row.version));
    if (version === SCHEMA_VERSION) return;
    if (version !== undefined) {
      throw new Error(
        `the hub's tables have version ${version}, and this release reads ${SCHEMA_VERSION}: run a newer one`,
      );
    }
    for (const table of TABLES) this.#sql.exec(table);
    this.#sql.exec('INSERT INTO hub_schema VALUES (?)', SCHEMA_VERSION);
  }
}
