/**
 * Rows of one producer become batches.
 *
 * 1. `add` is synchronous and cheap, and never refuses: beyond the bound the oldest rows that wait go, and are counted.
 * 2. A batch is closed after `batch_rows` rows or `batch_delay_ms`, whichever comes first, and handed on; the
 *    next is closed when whoever takes them has room again.
 * 3. A value that does not fit its column costs its row, and a row that does not fit into a frame itself: both are counted.
 * 4. Batches are numbered from 1 without a gap, and each says in `lost_rows` how many rows were lost since the one before.
 */
import type { Cell, TableRows } from '../../base/index.ts';
import { type EventBatch, pack } from '../../contract/index.ts';
import { type AgentLimits, LIMITS } from '../limits.ts';
import { type CountedBatch, encodeRows } from './batch-code.ts';

interface PendingRow {
  readonly table: string;
  readonly row: readonly Cell[];
}

export interface BatcherOptions {
  /** This run's identity, by which the store distinguishes its batches. */
  readonly producer: string;
  /** What the producer is, for people. */
  readonly source?: string;
  /** Takes a batch; settles when there is room for the next. Must not reject. */
  readonly deliver: (batch: CountedBatch) => Promise<void>;
  /** Is called with the reason when rows are refused, the first few times. Default: nothing is called. */
  readonly onRefused?: (message: string) => void;
  /** Default LIMITS. */
  readonly limits?: AgentLimits;
}

export class Batcher {
  readonly #options: BatcherOptions;
  readonly #limits: AgentLimits;
  #pending: PendingRow[] = [];
  /** Rows of `#pending` that are gone already; they are cut off now and then. */
  #from = 0;
  #nextSeq = 1;
  #lostRows = 0;
  #untoldLoss = 0;
  #refusals = 0;
  #encodingRows = 0;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #isDue = false;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#limits = options.limits ?? LIMITS;
  }

  /** Rows that are in no batch yet. */
  get waitingRows(): number {
    return this.#pending.length - this.#from + this.#encodingRows;
  }

  /** Rows dropped since the start. */
  get lostRows(): number {
    return this.#lostRows;
  }

  add(table: string, row: readonly Cell[]): void {
    this.#pending.push({ table, row });
    const waiting = this.#pending.length - this.#from;
    if (waiting > this.#limits.pending_rows_max) {
      this.#from += 1;
      if (this.#from >= this.#limits.pending_rows_max) this.#compact();
      this.countLost(1);
    }
    if (waiting >= this.#limits.batch_rows) this.#close();
    else this.#timer ??= setTimeout(() => this.#close(), this.#limits.batch_delay_ms).unref();
  }

  /**
   * Counts rows that were lost elsewhere, to be reported in the next batch.
   * @param again rows that were counted before, and whose batch did not report them. Default 0
   */
  countLost(rows: number, again = 0): void {
    this.#lostRows += rows;
    this.#untoldLoss += rows + again;
  }

  /** Hands on everything that waits; and what was lost, when nothing else does. Settles when it has been taken. */
  async flush(): Promise<void> {
    this.#close();
    while (this.#running !== null) await this.#running;
    if (this.#untoldLoss === 0) return;
    const { batch } = this.#number(undefined, 0);
    await this.#options.deliver({ batch: { ...batch, tables: {} }, rows: 0 });
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #close(): void {
    this.close();
    this.#isDue = true;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // Not before the caller has its promise.
    await null;
    while (this.#isDue || this.#pending.length - this.#from >= this.#limits.batch_rows) {
      this.#isDue = false;
      // What was there when the batch was due goes, in as many batches as that takes.
      for (let left = this.#pending.length - this.#from; left > 0; ) {
        const rows = this.#take(left);
        left -= rows.length;
        this.#encodingRows = rows.length;
        await this.#encode(rows);
        this.#encodingRows = 0;
      }
    }
    this.#running = null;
  }

  /** The oldest rows, as many as one batch may hold; always at least one. */
  #take(count: number): PendingRow[] {
    const end = Math.min(this.#from + Math.min(count, this.#limits.batch_rows_max), this.#pending.length);
    let chars = 0;
    let at = this.#from;
    while (at < end) {
      const { row } = this.#pending[at] as PendingRow;
      for (const cell of row) chars += typeof cell === 'string' ? cell.length : 8;
      if (chars > this.#limits.batch_max_chars && at > this.#from) break;
      at += 1;
    }
    const rows = this.#pending.slice(this.#from, at);
    this.#from = at;
    this.#compact();
    return rows;
  }

  #compact(): void {
    if (this.#from === 0) return;
    this.#pending = this.#pending.slice(this.#from);
    this.#from = 0;
  }

  async #encode(rows: readonly PendingRow[]): Promise<void> {
    const encoded = await encodeRows(tablesOf(rows), this.#limits);
    if (encoded.ok) return this.#options.deliver(this.#number(encoded.value, rows.length));
    if (rows.length > 1 && encoded.failure.code === 'payload_too_large') {
      const half = rows.length >> 1;
      await this.#encode(rows.slice(0, half));
      return this.#encode(rows.slice(half));
    }
    const fitting = rows.filter((pending) => pack(tablesOf([pending])).ok);
    // Every other row was right by itself, so whatever is wrong with them together is not theirs to be blamed for.
    const rest = fitting.length < rows.length ? fitting : [];
    this.countLost(rows.length - rest.length);
    this.#refusals += 1;
    if (this.#refusals <= this.#limits.refused_rows_told_max) {
      this.#options.onRefused?.(`telemetry: ${rows.length - rest.length} rows do not fit: ${encoded.failure.message}`);
    }
    if (rest.length > 0) await this.#encode(rest);
  }

  #number(packed: string | undefined, rows: number): CountedBatch {
    const { producer, source } = this.#options;
    const batch: EventBatch = {
      producer,
      seq: this.#nextSeq,
      lost_rows: this.#untoldLoss,
      ...(source === undefined ? {} : { source }),
      ...(packed === undefined ? {} : { packed }),
    };
    this.#nextSeq += 1;
    this.#untoldLoss = 0;
    return { batch, rows };
  }
}

function tablesOf(rows: readonly PendingRow[]): TableRows {
  const tables: Record<string, (readonly Cell[])[]> = {};
  for (const { table, row } of rows) {
    tables[table] ??= [];
    tables[table].push(row);
  }
  return tables;
}
