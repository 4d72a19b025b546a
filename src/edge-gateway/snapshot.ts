/**
 * Snapshots of the topology on their way into the store.
 *
 *  1. Every interval (and soon after the first host has come) the published state is turned into rows, without a call
 *     to any agent, in slices between which other work gets its turn. A tick while one capture is under way is skipped.
 *  2. The rows go out as event batches of this gateway's own producer, one at a time and in order. The `snapshots` row is
 *     in the last of them, so a capture that did not arrive whole cannot be seen.
 *  3. A batch is tried SNAPSHOT_TRIES_MAX times. Then the rest of the capture is dropped, and its rows are told as
 *     `lost_rows` of the next batch. Nothing is kept beyond one capture.
 */
import { type EventBatch, type Outcome, ROWS_PER_BATCH_MAX, type Row } from '../contract/index.ts';
import {
  SNAPSHOT_BATCH_CHARS,
  SNAPSHOT_BATCH_ROWS,
  SNAPSHOT_INTERVAL_MS,
  SNAPSHOT_RETRY_MS,
  SNAPSHOT_SLICE_NODES,
  SNAPSHOT_TRIES_MAX,
} from './limits.ts';
import { type HostViews, type Log, type Mesh, SILENT, type Telemetry } from './ports.ts';
import { captureRows, type TableRow } from './snapshot-rows.ts';

export interface SnapshotOptions {
  readonly mesh: Mesh & HostViews;
  /** Null: no snapshots are taken. */
  readonly telemetry: Telemetry | null;
  /** Default: nothing is logged. */
  readonly log?: Log;
  /** Milliseconds between captures; 0 takes none. Default 30,000. */
  readonly interval_ms?: number | undefined;
}

/** A timer that is set to more fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

type Batch = EventBatch['tables'];

export class Snapshots {
  readonly #options: SnapshotOptions;
  readonly #producer = crypto.randomUUID();
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #seq = 0;
  #lost_rows = 0;
  #isBusy = false;
  #isOver = false;

  /** @throws RangeError when the interval is negative, longer than a timer can wait, or not a number. */
  constructor(options: SnapshotOptions) {
    const { mesh, telemetry, interval_ms = SNAPSHOT_INTERVAL_MS } = options;
    if (!(interval_ms >= 0 && interval_ms <= TIMER_MAX_MS)) {
      throw new RangeError(`interval_ms must be 0 to ${TIMER_MAX_MS}, got ${interval_ms}`);
    }
    this.#options = options;
    if (telemetry === null || interval_ms === 0) return;
    const first = setInterval(
      () => {
        if (!mesh.hosts().some(({ isLinked }) => isLinked)) return;
        clearInterval(first);
        void this.capture(telemetry);
      },
      Math.min(1_000, interval_ms),
    );
    this.#timers.push(
      first,
      setInterval(() => void this.capture(telemetry), interval_ms),
    );
  }

  close(): void {
    this.#isOver = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** Takes one capture and sends it; false when one was under way already or it did not arrive whole. */
  async capture(telemetry: Telemetry): Promise<boolean> {
    if (this.#isBusy || this.#isOver) return false;
    this.#isBusy = true;
    try {
      return await this.#captureAndSend(telemetry);
    } finally {
      this.#isBusy = false;
    }
  }

  async #captureAndSend(telemetry: Telemetry): Promise<boolean> {
    const id = crypto.randomUUID();
    const snapshot_ts = Date.now() * 1_000;
    const batches = await cutIntoBatches(captureRows(this.#options.mesh, id, snapshot_ts));
    const last = batches.at(-1) ?? {};
    last.snapshots = [[id, snapshot_ts]];
    for (const [index, tables] of batches.entries()) {
      if (await this.#send(telemetry, tables)) continue;
      this.#lost_rows += batches.slice(index).reduce((sum, batch) => sum + countRows(batch), 0);
      return false;
    }
    return true;
  }

  async #send(telemetry: Telemetry, tables: Batch): Promise<boolean> {
    this.#seq += 1;
    const batch: EventBatch = { producer: this.#producer, seq: this.#seq, lost_rows: this.#lost_rows, tables };
    let wait_ms = SNAPSHOT_RETRY_MS;
    for (let attempt = 1; !this.#isOver; attempt += 1) {
      const stored: Outcome<void> = await telemetry.ingest(batch);
      if (stored.ok) {
        this.#lost_rows = 0;
        return true;
      }
      const { code, message } = stored.failure;
      if (attempt >= SNAPSHOT_TRIES_MAX || code === 'bad_request') {
        (this.#options.log ?? SILENT).warn(`snapshot dropped after ${attempt} tries: ${message}`);
        return false;
      }
      await new Promise((resolve) => setTimeout(resolve, wait_ms));
      wait_ms *= 2;
    }
    return false;
  }
}

async function cutIntoBatches(nodes: Iterable<readonly TableRow[]>): Promise<Batch[]> {
  const batches: Record<string, Row[]>[] = [{}];
  let [rowCount, charCount, nodeCount] = [0, 0, 0];
  for (const rows of nodes) {
    for (const { table, row } of rows) {
      const chars = JSON.stringify(row).length;
      // One row is left for `snapshots`, which goes into the last batch.
      const isFull =
        rowCount >= Math.min(SNAPSHOT_BATCH_ROWS, ROWS_PER_BATCH_MAX - 1) || charCount + chars > SNAPSHOT_BATCH_CHARS;
      if (isFull && rowCount > 0) {
        batches.push({});
        [rowCount, charCount] = [0, 0];
      }
      const batch = batches.at(-1) ?? {};
      const tableRows = batch[table];
      if (tableRows === undefined) batch[table] = [row];
      else tableRows.push(row);
      rowCount += 1;
      charCount += chars;
    }
    nodeCount += 1;
    if (nodeCount % SNAPSHOT_SLICE_NODES === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return batches as Batch[];
}

function countRows(tables: Batch): number {
  return Object.values(tables).reduce((sum, rows) => sum + rows.length, 0);
}
