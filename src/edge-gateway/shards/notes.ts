/** Small things that a part of the gateway keeps beside its state: one text each, by name, in its own SQLite. */
import type { Sql } from '../hub/sqlite-keeper.ts';

export class Notes {
  readonly #sql: Sql;
  readonly #texts = new Map<string, string>();

  constructor(sql: Sql) {
    this.#sql = sql;
    sql.exec('CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID');
    for (const { name, text } of sql.exec('SELECT name, text FROM notes')) this.#texts.set(String(name), String(text));
  }

  get(name: string): string | null {
    return this.#texts.get(name) ?? null;
  }

  /** @param text null forgets it. */
  set(name: string, text: string | null): void {
    if (text === this.get(name)) return;
    if (text === null) {
      this.#sql.exec('DELETE FROM notes WHERE name = ?', name);
      this.#texts.delete(name);
    } else {
      this.#sql.exec('INSERT OR REPLACE INTO notes VALUES (?, ?)', name, text);
      this.#texts.set(name, text);
    }
  }
}
