/**
 * The check of a query before it runs.
 *
 * `EXPLAIN` and `EXPLAIN ANALYZE`, which DuckDB's parser does not write as JSON, are cut off first: what follows them must be
 * a query by itself, and what runs is put together from it, never the text as it came. (Two readers of one text may differ
 * about where a comment ends, and then what one of them checks is not what the other runs.) The parser's tree of the rest is
 * held against the allow-list (check-tree.ts).
 *
 * The check is the first of two walls: the process that runs the query has no access to files, network or settings either.
 */
import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api';
import { failure, type Outcome, success } from '../../../base/index.ts';
import type { TelemetryLimits } from '../../limits.ts';
import { checkTree } from './check-tree.ts';

/** Each comment can match in only one way: a choice at each would take exponential time. */
const EXPLAIN = /^(?:\s|--[^\n]*\n|\/\*(?:[^*]|\*(?!\/))*\*\/)*(explain(?:\s+analyze)?)(?=\s|\(|\/|-)/i;

export class StatementCheck {
  readonly #parser: Parser;
  readonly #checked: CheckedTexts;
  readonly #limits: TelemetryLimits;

  /** @param connection for the parser alone */
  constructor(connection: DuckDBConnection, limits: TelemetryLimits) {
    this.#parser = new Parser(connection);
    this.#checked = new CheckedTexts(limits.sql_checked_texts_max);
    this.#limits = limits;
  }

  /**
   * @returns the statement to run, put together from what was checked; `bad_request` for one that is not allowed
   * @throws what DuckDB throws when its parser fails on the text
   */
  async check(sql: string): Promise<Outcome<string>> {
    // The result depends on the text alone.
    const known = this.#checked.get(sql);
    if (known !== undefined) return success(known);
    const parts = statementParts(sql, this.#limits);
    if (!parts.ok) return parts;
    const { head, query } = parts.value;
    const allowed = checkTree(await this.#parser.serialize(query), this.#limits);
    if (!allowed.ok) return allowed;
    this.#checked.add(sql, head + query);
    return success(head + query);
  }
}

/** A statement in two parts; `head + query` is the statement again. */
interface StatementParts {
  /** `EXPLAIN`, `EXPLAIN ANALYZE`, or nothing. */
  readonly head: string;
  /** The part that the parser reads and the check is about. */
  readonly query: string;
}

/** Cuts off a leading EXPLAIN. Refuses texts that are too long or hold a NUL, before any parser reads them. */
export function statementParts(sql: string, limits: TelemetryLimits): Outcome<StatementParts> {
  if (Buffer.byteLength(sql) > limits.sql_max_bytes) {
    return failure('bad_request', `sql: longer than ${limits.sql_max_bytes} bytes`);
  }
  // The engine's interfaces end a text at NUL, so what is checked and what runs could differ.
  if (sql.includes('\0')) return failure('bad_request', 'sql: contains a NUL character');
  const [match = '', explain] = EXPLAIN.exec(sql) ?? [];
  return success({ head: explain ?? '', query: sql.slice(match.length) });
}

/** DuckDB's own parser: the tree of a text, as JSON. */
class Parser {
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

/** The texts that passed the check last, so that a client that repeats a query does not wait for the check again. */
class CheckedTexts {
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
