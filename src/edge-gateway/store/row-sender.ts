/**
 * Rows that the gateway makes itself, as event batches of one producer, one at a time and in order. A batch is tried
 * SNAPSHOT_TRIES_MAX times; then it and what was to follow it are dropped, and their rows are told as `lost_rows` of the
 * next batch.
 */
import { countRows, type Log, type Outcome, type Row } from '../../base/index.ts';
import { type EventBatch, ROWS_PER_BATCH_MAX } from '../../contract/index.ts';
import {
  SNAPSHOT_BATCH_CHARS,
  SNAPSHOT_BATCH_ROWS,
  SNAPSHOT_RETRY_MS,
  SNAPSHOT_SLICE_NODES,
  SNAPSHOT_TRIES_MAX,
} from '../limits.ts';
import type { Telemetry } from '../ports.ts';
import type { TableRow } from './snapshot-rows.ts';

type Batch = Record<string, Row[]>;

/** Where a producer stands. A part that ends and comes back goes on from what it kept. */
export interface ProducerState {
  readonly producer: string;
  readonly seq: number;
}

export interface RowSenderOptions {
  readonly telemetry: Telemetry;
  readonly log: Log;
  /** What the rows are: the log says so when they are dropped, the store of whom they are. */
  readonly what: string;
  /** Default: a new producer. */
  readonly from?: ProducerState;
  /** Told before each batch goes out. Default nobody. */
  readonly onSeq?: (state: ProducerState) => void;
}

export class RowSender {
  readonly #options: RowSenderOptions;
  readonly #producer: string;
  #seq: number;
  #lost_rows = 0;
  #isOver = false;

  constructor(options: RowSenderOptions) {
    this.#options = options;
    this.#producer = options.from?.producer ?? crypto.randomUUID();
    this.#seq = options.from?.seq ?? 0;
  }

  /** Rows of this producer were dropped before they were sent. */
  lost(rows: number): void {
    this.#lost_rows += rows;
  }

  /** Nothing is tried again from here on. */
  close(): void {
    this.#isOver = true;
  }

  /**
   * Sends the rows of nodes; false when they did not all arrive.
   *
   * @param closing rows that go into the last batch: what they say can be seen only when all has arrived
   */
  async send(nodes: Iterable<readonly TableRow[]>, closing: Batch = {}): Promise<boolean> {
    const batches = await cutIntoBatches(nodes);
    Object.assign(batches.at(-1) ?? {}, closing);
    for (const [index, tables] of batches.entries()) {
      if (await this.#send(tables)) continue;
      this.#lost_rows += batches.slice(index).reduce((sum, batch) => sum + countRows(batch), 0);
      return false;
    }
    return true;
  }

  async #send(tables: Batch): Promise<boolean> {
    const { telemetry, log, what, onSeq } = this.#options;
    this.#seq += 1;
    onSeq?.({ producer: this.#producer, seq: this.#seq });
    const batch: EventBatch = {
      producer: this.#producer,
      source: `gateway: ${what}`,
      seq: this.#seq,
      lost_rows: this.#lost_rows,
      tables: tables as NonNullable<EventBatch['tables']>,
    };
    let wait_ms = SNAPSHOT_RETRY_MS;
    for (let attempt = 1; attempt === 1 || !this.#isOver; attempt += 1) {
      const stored: Outcome<void> = await telemetry.ingest(batch);
      if (stored.ok) {
        this.#lost_rows -= batch.lost_rows;
        return true;
      }
      const { code, message } = stored.failure;
      if (attempt >= SNAPSHOT_TRIES_MAX || code === 'bad_request' || this.#isOver) {
        log.warn(`${what} dropped after ${attempt} tries: ${message}`);
        return false;
      }
      await new Promise((resolve) => setTimeout(resolve, wait_ms));
      wait_ms *= 2;
    }
    return false;
  }
}

async function cutIntoBatches(nodes: Iterable<readonly TableRow[]>): Promise<Batch[]> {
  const batches: Batch[] = [{}];
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
  return batches;
}
