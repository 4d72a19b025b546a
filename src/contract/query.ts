/** `POST /v1/query`, and what the gateway hands to the telemetry service to store a dump. */
import * as v from 'valibot';
import { PySpyOk } from './pyspy.ts';

export const QueryRequest = v.object({ sql: v.string() });
export type QueryRequest = v.InferOutput<typeof QueryRequest>;

/**
 * The same on a store's link, with the `Accept` of whoever asks. A JSON answer is its text; any other form is its type in a
 * line of its own, and then its text, or base64 of its bytes where it is not one (Arrow).
 */
export const StoreQueryRequest = v.object({ ...QueryRequest.entries, accept: v.optional(v.string()) });

/**
 * `columns` (names and DuckDB types, in the order of the query) stands beside `rows`; clients of the mesh admin API read
 * `rows` alone. Integers of any width are bare JSON numbers, so a reader of 64-bit ids needs a lossless JSON parser.
 */
export const QueryResponse = v.object({
  rows: v.unknown(),
  columns: v.optional(v.array(v.object({ name: v.string(), type: v.string() }))),
});
export type QueryResponse = v.InferOutput<typeof QueryResponse>;

/** A captured dump on its way into the store. Only captures that succeeded are stored. */
export const StoreDumpRequest = v.object({
  dump_id: v.pipe(v.string(), v.uuid()),
  proc_ref: v.pipe(v.string(), v.nonEmpty()),
  result: PySpyOk,
});
export type StoreDumpRequest = v.InferOutput<typeof StoreDumpRequest>;
