/**
 * The lines of a spool's files, JSON each:
 *
 *     {"producer", "seq", "lost_rows", "rows", "packed", …}    an event batch and the number of its rows
 *     {"acked": {PRODUCER: SEQ, …}}                            the store has these, and what is before them
 *     {"untold": [{"producer", "to", "rows"}, …]}              all that was dropped and that the store does not know of: the
 *                                                              last such line counts. A notice of the number `to`
 *                                                              reports the rows
 */
import * as v from 'valibot';
import { EventBatch } from '../../contract/index.ts';
import { UInt } from '../../contract/integers.ts';

const Producer = v.pipe(v.string(), v.uuid());

const Acked = v.object({ acked: v.record(Producer, UInt) });
const Untold = v.object({ untold: v.array(v.object({ producer: Producer, to: UInt, rows: UInt })) });
const Batch = v.object({ ...EventBatch.entries, rows: UInt });

const Line = v.union([Batch, Acked, Untold]);
export type SpoolLine = v.InferOutput<typeof Line>;
export type UntoldLine = v.InferOutput<typeof Untold>;

export function writeBatch(batch: EventBatch, rows: number): string {
  const { producer, seq, lost_rows, ...rest } = batch;
  return JSON.stringify({ producer, seq, lost_rows, rows, ...rest });
}

/** Null for what is no line of ours: the torn end of a file, or what a disk made of it. */
export function readLine(text: string): SpoolLine | null {
  try {
    const line = v.safeParse(Line, JSON.parse(text));
    return line.success ? line.output : null;
  } catch {
    return null;
  }
}

/** The batch of a line, or null. */
export function readBatch(text: string): EventBatch | null {
  const line = readLine(text);
  if (line === null || !('seq' in line)) return null;
  const { rows: _, ...batch } = line;
  return batch;
}
