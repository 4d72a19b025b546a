/**
 * The spool of telemetry rows: rows become batches, batches are kept until the store has acknowledged them.
 *
 * One batch is under way at a time, so that batches reach the store in the order of their numbers, by which it tells
 * what it has. At the bound the oldest rows that are not under way go, and are counted in `lost_rows` of the next batch.
 */
import { countRows, type EventBatch, type Row } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';

interface PendingRow {
  readonly table: string;
  readonly row: Row;
}

/** Sends a batch; false when there is no link to send it on. */
export type SendBatch = (batch: EventBatch) => boolean;

export class Spool {
  readonly #producer: string;
  readonly #send: SendBatch;
  #pending: PendingRow[] = [];
  #inFlight: EventBatch | null = null;
  #nextSeq = 1;
  #lostRows = 0;
  #unreportedLoss = 0;
  #flushTimer: NodeJS.Timeout | null = null;
  #ackTimer: NodeJS.Timeout | null = null;

  /**
   * @param producer this run's identity, by which the store tells batches apart
   */
  constructor(producer: string, send: SendBatch) {
    this.#producer = producer;
    this.#send = send;
  }

  /** Rows dropped at the bound since the start. */
  get lostRows(): number {
    return this.#lostRows;
  }

  /** Rows that the store has not acknowledged yet. */
  get waitingRows(): number {
    return this.#pending.length + (this.#inFlight === null ? 0 : countRows(this.#inFlight));
  }

  add(table: string, row: Row): void {
    this.#pending.push({ table, row });
    if (this.#pending.length > LIMITS.spool_rows_max) {
      this.#pending.shift();
      this.#lostRows += 1;
      this.#unreportedLoss += 1;
    }
    if (this.#pending.length >= LIMITS.batch_rows_max) this.#flush();
    else this.#flushTimer ??= setTimeout(() => this.#flush(), LIMITS.batch_delay_ms).unref();
  }

  /** The link is there, again perhaps: what was under way may have been lost with the old one. */
  linkOpened(): void {
    if (this.#inFlight === null) this.#flush();
    else this.#sendInFlight();
  }

  acknowledge(producer: string, seq: number): void {
    if (producer !== this.#producer || this.#inFlight?.seq !== seq) return;
    this.#inFlight = null;
    this.#stopAckTimer();
    this.#flush();
  }

  /** Settles when everything is acknowledged, or after `wait_ms`; resolves to whether it was. */
  async drain(wait_ms: number): Promise<boolean> {
    this.#flush();
    const deadline_ms = Date.now() + wait_ms;
    while (this.waitingRows > 0 && Date.now() < deadline_ms) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.waitingRows === 0;
  }

  close(): void {
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
    this.#stopAckTimer();
  }

  #flush(): void {
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
    this.#flushTimer = null;
    if (this.#inFlight !== null || this.#pending.length === 0) return;
    const rows = this.#nextRows();
    this.#pending = this.#pending.slice(rows.length);
    const tables: Record<string, Row[]> = {};
    for (const { table, row } of rows) {
      tables[table] ??= [];
      tables[table].push(row);
    }
    this.#inFlight = {
      producer: this.#producer,
      seq: this.#nextSeq,
      lost_rows: this.#unreportedLoss,
      tables: tables as EventBatch['tables'],
    };
    this.#unreportedLoss = 0;
    this.#nextSeq += 1;
    this.#sendInFlight();
  }

  /** The oldest rows, as many as one batch may hold; always at least one. */
  #nextRows(): PendingRow[] {
    let chars = 0;
    const rows = this.#pending.slice(0, LIMITS.batch_rows_max);
    const end = rows.findIndex(({ row }, index) => {
      chars += JSON.stringify(row).length;
      return index > 0 && chars > LIMITS.batch_max_chars;
    });
    return end < 0 ? rows : rows.slice(0, end);
  }

  #sendInFlight(): void {
    this.#stopAckTimer();
    if (this.#inFlight === null || !this.#send(this.#inFlight)) return;
    this.#ackTimer = setTimeout(() => this.#sendInFlight(), LIMITS.ack_timeout_ms).unref();
  }

  #stopAckTimer(): void {
    if (this.#ackTimer !== null) clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
  }
}
