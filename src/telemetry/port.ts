/**
 * The store as whatever is above it sees it: routes.ts, requests.ts and link.ts need this and nothing of an engine. DuckDB
 * stands behind it (core.ts); test/integration/telemetry/port/suite.ts says how whatever stands behind it must behave.
 *
 *  1. A write is answered after its commit, and a query sees every row that was acknowledged before it was sent.
 *  2. A batch counts once: one whose number is not above its producer's last is acknowledged again, and adds nothing.
 *  3. A write is there whole or not at all; so is the answer to a query.
 *  4. Queries read. Whatever else they try is refused, and one that goes over a bound dies alone.
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
  /** Deletes what is over its bound at `now_ms`, default now. Rejects having deleted nothing. */
  sweep(now_ms?: number): Promise<void>;
  /** Finishes what waits and gives everything up. To be called once. */
  close(): Promise<void>;
}
