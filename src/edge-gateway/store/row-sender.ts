/**
 * Rows that the gateway makes itself, as event batches of one producer, one at a time and in order. A batch is tried
 * `snapshot_tries_max` times; then it and the batches after it are dropped, and their rows are counted in `lost_rows` of the
 * next batch.
 */
import { countRows, type Log, type Row, retry, sleep } from '../../base/index.ts';
import { type EventBatch, ROWS_PER_BATCH_MAX } from '../../contract/index.ts';
import type { GatewayLimits } from '../limits.ts';
import type { Telemetry } from '../ports.ts';
import type { TableRow } from './snapshot-rows.ts';

type Batch = Record<string, Row[]>;

/** Where a producer is. A part that ends and starts again continues from the state that it kept. */
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
  /** Called before each batch is sent. */
  readonly onSeq?: (state: ProducerState) => void;
  readonly limits: GatewayLimits;
}

export class RowSender {
  readonly #options: RowSenderOptions;
  readonly #producer: string;
  #seq: number;
  #lost_rows = 0;
  readonly #closed = new AbortController();

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
    this.#closed.abort();
  }

  /**
   * Sends the rows of nodes; false when they did not all arrive.
   *
   * @param closing rows that go into the last batch: what they say can be seen only when all has arrived
   */
  async send(nodes: Iterable<readonly TableRow[]>, closing: Batch = {}): Promise<boolean> {
    const batches = await cutIntoBatches(nodes, this.#options.limits);
    Object.assign(batches.at(-1) ?? {}, closing);
    for (const [index, tables] of batches.entries()) {
      if (await this.#send(tables)) continue;
      this.#lost_rows += batches.slice(index).reduce((sum, batch) => sum + countRows(batch), 0);
      return false;
    }
    return true;
  }

  async #send(tables: Batch): Promise<boolean> {
    const { telemetry, log, what, onSeq, limits } = this.#options;
    this.#seq += 1;
    onSeq?.({ producer: this.#producer, seq: this.#seq });
    const batch: EventBatch = {
      producer: this.#producer,
      source: `gateway: ${what}`,
      seq: this.#seq,
      lost_rows: this.#lost_rows,
      tables: tables as NonNullable<EventBatch['tables']>,
    };
    let tries = 0;
    const stored = await retry(
      () => {
        tries += 1;
        return telemetry.ingest(batch);
      },
      (outcome) => outcome.ok || outcome.failure.code === 'bad_request',
      {
        tries_max: limits.snapshot_tries_max,
        first_ms: limits.snapshot_retry_ms,
        max_ms: Number.POSITIVE_INFINITY,
        signal: this.#closed.signal,
      },
    );
    if (stored.ok) this.#lost_rows -= batch.lost_rows;
    else log.warn(`${what} dropped after ${tries} tries: ${stored.failure.message}`);
    return stored.ok;
  }
}

async function cutIntoBatches(nodes: Iterable<readonly TableRow[]>, limits: GatewayLimits): Promise<Batch[]> {
  // One row is left for `snapshots`, which goes into the last batch.
  const rows_max = Math.min(limits.snapshot_batch_rows, ROWS_PER_BATCH_MAX - 1);
  const batches: Batch[] = [{}];
  let [rowCount, charCount, nodeCount] = [0, 0, 0];
  for (const rows of nodes) {
    for (const { table, row } of rows) {
      const chars = JSON.stringify(row).length;
      const isFull = rowCount >= rows_max || charCount + chars > limits.snapshot_batch_chars;
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
    if (nodeCount % limits.snapshot_slice_nodes === 0) await sleep(0);
  }
  return batches;
}
