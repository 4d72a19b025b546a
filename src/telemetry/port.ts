/**
 * The store as the HTTP routes and the link see it: they need this and no engine. DuckDB stands behind it (service/core.ts);
 * test/integration/telemetry/port/suite.ts says how any store behind it must behave.
 *
 *  1. A write is answered after its commit, and a query sees every row that was acknowledged before the query was sent.
 *  2. A batch counts once: a batch whose number is not above its producer's last is acknowledged again and adds nothing.
 *  3. A write is stored whole or not at all. An answer to a query is whole or an error.
 *  4. Queries only read. Any other statement is refused, and a query that exceeds a bound ends without harm to others.
 */
import type { Outcome } from '../base/index.ts';
import type { Format } from './query/formats.ts';
import type { QueryAnswer } from './query/owner/answer.ts';
import type { StoreHealth } from './store/health.ts';

export interface TelemetryStore {
  /**
   * Appends an event batch (contract/events.ts), checking it first.
   * @returns `bad_request` naming what is wrong with it, or `service_unavailable`: send it again
   */
  ingest(batch: unknown): Promise<Outcome<{ acked: number }>>;
  /**
   * Stores a dump (contract/query.ts) that can be found by its id from then on.
   * @returns `bad_request` naming what is wrong with it, or `service_unavailable`
   */
  storeDump(dump: unknown): Promise<Outcome<{ dump_id: string }>>;
  /**
   * Answers one read-only statement.
   * @param signal gives the query up
   * @param format of the answer, default JSON
   * @returns `bad_request` for the statement's faults and for bounds of its result, `gateway_timeout` at its time limit,
   *          `service_unavailable` when there is no room for it
   */
  query(sql: string, signal?: AbortSignal, format?: Format): Promise<Outcome<QueryAnswer>>;
  health(): Promise<StoreHealth>;
  /** Numbers of queries for `/healthz`. */
  readonly load: Readonly<Record<string, number>>;
  /** Deletes rows that exceed their bounds at `now_ms`, default now. When it rejects, nothing was deleted. */
  sweep(now_ms?: number): Promise<void>;
  /** Finishes the writes that wait and releases everything. To be called once. */
  close(): Promise<void>;
}
