/**
 * Event batches: how telemetry rows travel from whoever produced them to the store.
 *
 * 1. A producer (one run of an agent, a gateway, a proc) numbers its batches 1, 2, 3, … and keeps each until it is
 *    acknowledged.
 * 2. The store appends a batch and remembers its number in one transaction, and acknowledges after the commit. A batch
 *    whose number is not above the producer's last is acknowledged again without being appended: it counts once.
 * 3. What a producer had to drop at its bound is told in `lost_rows` of its next batch.
 * 4. Rows come as `tables`: arrays of values in the column order of the table, a `u64` or `i64` beyond the safe integers
 *    as decimal text. Or as `packed`: the same rows by columns (packed/layout.ts), zstd, base64, which is a fifth of the size and
 *    a tenth of the work. Whoever only passes a batch on looks at neither.
 */
import * as v from 'valibot';
import { UInt } from './integers.ts';

export const ROWS_PER_BATCH_MAX = 10_000;
/** Bound of the columns of one batch before compression, bytes. */
export const PACKED_MAX_BYTES = 8 * 1024 * 1024;
export const PRODUCER_SOURCE_MAX_CHARS = 200;

export const EventBatch = v.object({
  producer: v.pipe(v.string(), v.uuid()),
  /** What the producer is, for people: `agent gpu-7`, `gateway`, a proc's reference. Default: nothing is known. */
  source: v.optional(v.pipe(v.string(), v.maxLength(PRODUCER_SOURCE_MAX_CHARS))),
  seq: v.pipe(UInt, v.minValue(1)),
  lost_rows: UInt,
  /** Rows by table; checked by the store. */
  tables: v.optional(v.record(v.string(), v.array(v.unknown()))),
  packed: v.optional(v.string()),
});
export type EventBatch = v.InferOutput<typeof EventBatch>;
