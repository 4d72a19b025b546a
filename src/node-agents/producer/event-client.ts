/**
 * The client of a collector (collector/collector.ts), with which a proc sends its telemetry.
 *
 * 1. `emit` is synchronous, never blocks and never fails: rows are gathered to batches, and beyond the bound the oldest that
 *    are in no batch yet go, counted in `lost_rows` of the next.
 * 2. Up to `client_window_batches` are sent ahead of their acknowledgements, in order. When the connection breaks, or
 *    the collector is silent for too long, the client connects anew and sends again what was not acknowledged.
 * 3. A batch that the collector refuses for good is dropped and counted; the collector ends the connection after that. One
 *    that it has no room for comes again, less often each time.
 */

import { randomUUID } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import * as v from 'valibot';
import { Backoff, type Cell } from '../../base/index.ts';
import { ApiError } from '../../contract/index.ts';
import { UInt } from '../../contract/integers.ts';
import { type AgentLimits, resolveLimits } from '../limits.ts';
import type { CountedBatch } from './batch-code.ts';
import { Batcher } from './batcher.ts';

export interface EventClientOptions {
  /** Path of the collector's socket, as MESHSCOPE_TELEMETRY_SOCKET gives it. */
  readonly socket_path: string;
  /** What this producer is, for people. Default: nothing. */
  readonly source?: string;
  /** This run's identity. Default: a new one. */
  readonly producer?: string;
  /** Is called with why rows were refused, and why there is no connection. Default: nothing is called. */
  readonly onTrouble?: (message: string) => void;
  /** Is called with each batch that is safe in the agent's spool. Default: nothing is called. */
  readonly onAcked?: (seq: number, rows: number) => void;
  /** Replaces single limits. */
  readonly limits?: Partial<AgentLimits>;
}

const Answer = v.union([
  v.object({ ack: v.object({ producer: v.string(), seq: UInt }) }),
  v.object({ error: ApiError }),
]);

interface SentBatch extends CountedBatch {
  readonly line: string;
}

export class EventClient {
  readonly producer: string;
  readonly #options: EventClientOptions;
  readonly #limits: AgentLimits;
  readonly #backoff: Backoff;
  readonly #batcher: Batcher;
  /** Not acknowledged, by number. */
  #window: SentBatch[] = [];
  /** Is called when there is room in the window. */
  #onRoom: (() => void) | null = null;
  #onAnything = new Set<() => void>();
  #socket: Socket | null = null;
  #isConnected = false;
  #retryTimer: NodeJS.Timeout | null = null;
  #silenceTimer: NodeJS.Timeout | null = null;
  /** Whether the collector has said why it ends this connection. */
  #isRefused = false;
  #isClosed = false;
  #ackedRows = 0;
  #lastTrouble = '';

  /** @throws RangeError when there is no path, or a limit makes no sense */
  constructor(options: EventClientOptions) {
    if (options.socket_path === '') throw new RangeError('socket_path: empty; MESHSCOPE_TELEMETRY_SOCKET has the path');
    this.#options = options;
    this.#limits = resolveLimits(options.limits);
    const { client_retry_first_ms: first_ms, client_retry_max_ms: max_ms } = this.#limits;
    // No jitter: the few clients of one socket may reconnect at the same time.
    this.#backoff = new Backoff({ first_ms, max_ms, jitter: 0 });
    this.producer = options.producer ?? randomUUID();
    this.#batcher = new Batcher({
      producer: this.producer,
      ...(options.source === undefined ? {} : { source: options.source }),
      deliver: (counted) => this.#deliver(counted),
      onRefused: (message) => options.onTrouble?.(message),
      limits: this.#limits,
    });
    this.#connect();
  }

  /** Rows that are not safe yet. */
  get waitingRows(): number {
    return this.#batcher.waitingRows + this.#window.reduce((sum, { rows }) => sum + rows, 0);
  }

  get ackedRows(): number {
    return this.#ackedRows;
  }

  /** Rows dropped since the start. */
  get lostRows(): number {
    return this.#batcher.lostRows;
  }

  /** One row of a table, in the order of its columns. */
  readonly emit = (table: string, row: readonly Cell[]): void => {
    if (!this.#isClosed) this.#batcher.add(table, row);
  };

  /** Sends what waits; settles when all of it is safe, or after `wait_ms`. Resolves to whether it was. */
  async flush(wait_ms: number): Promise<boolean> {
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      this.#notify();
    }, wait_ms);
    let isFlushed = false;
    void this.#batcher.flush().then(() => {
      isFlushed = true;
      this.#notify();
    });
    while (!isOver && !(isFlushed && this.#window.length === 0)) {
      await new Promise<void>((resolve) => this.#onAnything.add(resolve));
    }
    clearTimeout(timer);
    return isFlushed && this.#window.length === 0;
  }

  /** Flushes, and ends the connection. */
  async close(wait_ms: number = this.#limits.stop_drain_ms): Promise<boolean> {
    const isSafe = await this.flush(wait_ms);
    this.#isClosed = true;
    this.#batcher.close();
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#stopSilence();
    this.#socket?.destroy();
    this.#onRoom?.();
    return isSafe;
  }

  async #deliver(counted: CountedBatch): Promise<void> {
    const sent: SentBatch = { ...counted, line: `${JSON.stringify(counted.batch)}\n` };
    this.#window.push(sent);
    this.#write(sent);
    while (this.#window.length >= this.#limits.client_window_batches && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
  }

  #write(sent: SentBatch): void {
    if (!this.#isConnected) return;
    this.#socket?.write(sent.line);
    this.#startSilence();
  }

  #connect(): void {
    this.#retryTimer = null;
    const socket = createConnection(this.#options.socket_path);
    this.#socket = socket;
    let text = '';
    let trouble = 'the collector closed the connection';
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      this.#isConnected = true;
      for (const sent of this.#window) this.#write(sent);
      // A proc that has nothing else to do must not be kept alive by its telemetry.
      if (this.#window.length === 0) socket.unref();
    });
    socket.on('data', (chunk: string) => {
      text += chunk;
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
      if (text.length > this.#limits.client_answer_max_chars) socket.destroy(new Error('what answers is no collector'));
    });
    socket.on('error', (error) => {
      trouble = error.message;
    });
    socket.on('close', () => this.#lost(trouble));
  }

  #take(line: string): void {
    let json: unknown = null;
    try {
      json = JSON.parse(line);
    } catch {
      // Reported below.
    }
    const answer = v.safeParse(Answer, json);
    if (!answer.success) {
      this.#trouble('what answers at the socket is no collector');
      return;
    }
    this.#stopSilence();
    if ('ack' in answer.output) {
      this.#backoff.reset();
      this.#lastTrouble = '';
      const { seq } = answer.output.ack;
      const acked = this.#window.filter(({ batch }) => batch.seq <= seq);
      this.#window = this.#window.filter(({ batch }) => batch.seq > seq);
      for (const { batch, rows } of acked) {
        this.#ackedRows += rows;
        this.#options.onAcked?.(batch.seq, rows);
      }
    } else {
      this.#refused(answer.output.error);
    }
    if (this.#window.length > 0) this.#startSilence();
    else this.#socket?.unref();
    this.#notify();
  }

  /** Answers come in the order of the lines, so it is the first batch that was refused. */
  #refused({ code, message }: { readonly code: string; readonly message: string }): void {
    this.#trouble(message);
    this.#isRefused = true;
    if (code === 'service_unavailable') return;
    const refused = this.#window.shift();
    if (refused !== undefined) this.#batcher.countLost(refused.rows, refused.batch.lost_rows);
  }

  #lost(trouble: string): void {
    this.#isConnected = false;
    this.#stopSilence();
    if (this.#isClosed) return;
    if (!this.#isRefused) this.#trouble(trouble);
    this.#isRefused = false;
    this.#retryTimer = setTimeout(() => this.#connect(), this.#backoff.next());
    if (this.waitingRows === 0) this.#retryTimer.unref();
  }

  #startSilence(): void {
    this.#socket?.ref();
    this.#silenceTimer ??= setTimeout(() => {
      this.#silenceTimer = null;
      this.#socket?.destroy(new Error('the collector does not answer'));
    }, this.#limits.client_silence_ms).unref();
  }

  #stopSilence(): void {
    if (this.#silenceTimer !== null) clearTimeout(this.#silenceTimer);
    this.#silenceTimer = null;
  }

  #trouble(message: string): void {
    if (message !== this.#lastTrouble) this.#options.onTrouble?.(message);
    this.#lastTrouble = message;
  }

  #notify(): void {
    if (this.#window.length < this.#limits.client_window_batches) {
      this.#onRoom?.();
      this.#onRoom = null;
    }
    const listeners = [...this.#onAnything];
    this.#onAnything.clear();
    for (const listener of listeners) listener();
  }
}
