/**
 * Programs that tell rows with the client of the agents' collector, a process of their own. Its parent sends a job and gets
 * a result. Each client has so many rows on their way at most; encoding them is part of what is measured.
 */
import type { Row } from '../src/base/index.ts';
import { EventClient } from '../src/node-agents/index.ts';
import { eventRows } from './telemetry-rows.ts';

export interface EmitJob {
  readonly socket_path: string;
  readonly clients: number;
  readonly seconds: number;
}

export interface EmitResult {
  readonly rows: number;
  readonly seconds: number;
  /** From telling rows to the agent's acknowledgement, after which they are on its disk. */
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/** Rows that a client tells at once, and has on their way. */
const ROWS_AT_ONCE = 500;
const AHEAD_ROWS = 8_000;
/** Different rows of one run, which are told again and again. */
const PARTS = 32;

process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('message', (job: EmitJob) => {
  run(job).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ error: error.message }),
  );
});

async function run({ socket_path, clients, seconds }: EmitJob): Promise<EmitResult> {
  const parts = Array.from({ length: PARTS }, (_, number) =>
    Object.entries(eventRows(ROWS_AT_ONCE, number)).flatMap(([table, rows]) =>
      rows.map((row): readonly [string, Row] => [table, row]),
    ),
  );
  const latencies_ms: number[] = [];
  const start_ms = performance.now();
  const drive = async (_: unknown, place: number): Promise<number> => {
    const told: { readonly upTo: number; readonly at_ms: number }[] = [];
    let wake = (): void => {};
    const client = new EventClient({
      socket_path,
      source: `bench ${place}`,
      onAcked() {
        while (told[0] !== undefined && told[0].upTo <= client.ackedRows) {
          latencies_ms.push(performance.now() - told[0].at_ms);
          told.shift();
        }
        wake();
      },
    });
    let rows = 0;
    for (let number = place; performance.now() - start_ms < seconds * 1_000; number += 1) {
      for (const [table, row] of parts[number % PARTS] ?? []) client.emit(table, row);
      rows += ROWS_AT_ONCE;
      told.push({ upTo: rows, at_ms: performance.now() });
      while (client.waitingRows >= AHEAD_ROWS) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    const isSafe = await client.close(30_000);
    if (!isSafe || client.lostRows > 0 || client.ackedRows !== rows) {
      throw new Error(`of ${rows} rows ${client.ackedRows} were acknowledged and ${client.lostRows} lost`);
    }
    return rows;
  };
  const counts = await Promise.all(Array.from({ length: clients }, drive));
  const elapsed_s = (performance.now() - start_ms) / 1_000;
  latencies_ms.sort((a, b) => a - b);
  const at = (share: number) => latencies_ms[Math.floor(latencies_ms.length * share)] ?? Number.NaN;
  const rows = counts.reduce((sum, count) => sum + count, 0);
  return { rows, seconds: elapsed_s, p50_ms: at(0.5), p99_ms: at(0.99) };
}
