/**
 * Retention: every table has a bound, by time and by bytes.
 *
 * 1. Spans and events, messages and statuses, and metric points go by age (`timestamp_us` at or before now less the window of
 *    their group), by number of rows, and by bytes: beyond the bytes of its group, the oldest rows of all its tables go,
 *    up to one time. Spans are swept before what refers to them.
 * 2. `actors` and `meshes`, which describe what the others refer to, go by number and by bytes only: first the oldest that no
 *    kept row refers to, then the oldest.
 * 3. Captures: the newest few stay whatever their age; others go by age, and beyond a number of captures, of rows and of
 *    bytes. A capture's rows go together, its row in `snapshots` last. Rows of a capture that never got its row in
 *    `snapshots` go by the age of its nodes.
 * 4. Stored dumps go whole: by age, and beyond a number of dumps, of rows and of bytes; the newest stays.
 * 5. What is left of captures and dumps that never became whole goes some time after a sweep saw it first, and at the next
 *    sweep when there is no room.
 * 6. One sweep is one transaction, and its statements delete the same rows wherever the rows are the same, so that copies of
 *    the store can repeat it.
 *
 * Bytes are those of the values before compression, by the average row of each table as it was sealed; on the disk it is
 * usually less. A window of 0 means never by age.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { TelemetryLimits } from '../limits.ts';
import { eventDeletions } from './by-age.ts';
import { ENTITY_TABLES, entityDeletions } from './by-number.ts';
import { cutoffOf, type Deletion, type RowBytes } from './deletion.ts';
import { captureDeletions, dumpDeletions, Unfinished } from './whole.ts';

export class Retention {
  readonly #limits: TelemetryLimits;
  readonly #unfinished = new Unfinished();

  constructor(limits: TelemetryLimits) {
    this.#limits = limits;
  }

  /** The statements of one sweep at `now_us`, microseconds; empty when nothing is over its bound. */
  async deletions(connection: DuckDBConnection, row_bytes: RowBytes, now_us: number): Promise<Deletion[]> {
    const limits = this.#limits;
    const groups = [
      { group: 'trace', window_ms: limits.trace_window_ms, max_bytes: limits.trace_max_bytes },
      { group: 'core', window_ms: limits.core_window_ms, max_bytes: limits.core_max_bytes },
      { group: 'metric', window_ms: limits.metric_window_ms, max_bytes: limits.metric_max_bytes },
    ] as const;
    const deletions: Deletion[] = [];
    for (const { group, window_ms, max_bytes } of groups) {
      const cutoff = cutoffOf(now_us, window_ms);
      deletions.push(...(await eventDeletions(connection, { group, cutoff, max_bytes }, limits, row_bytes)));
    }
    for (const table of ENTITY_TABLES) {
      deletions.push(...(await entityDeletions(connection, table, limits, row_bytes)));
    }
    return [
      ...deletions,
      ...(await captureDeletions(connection, this.#unfinished, limits, row_bytes, now_us)),
      ...(await dumpDeletions(connection, this.#unfinished, limits, row_bytes, now_us)),
    ];
  }
}
