/**
 * A telemetry service that is only a peer: a real WebSocket that speaks the store's link by hand, so that it can also
 * stall, drop, answer twice or not at all. It sends nothing that a test did not ask for, `got` and heartbeats aside.
 */
import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import {
  HEARTBEAT_TEXT,
  STORE_PATH,
  STORE_SUBPROTOCOL,
  type StoreFrame,
  type StoreGatewayFrame,
  type StoreHello,
  type StoreMethod,
} from '../../src/contract/index.ts';
import { until } from './until.ts';

/** What a gateway asked, whole. */
export interface Asked {
  readonly call: number;
  readonly method: StoreMethod;
  readonly deadline_ms: number;
  readonly body: string;
}

export interface LinkedStoreOptions {
  readonly url: string;
  readonly token: string;
  readonly incarnation?: string;
  /** Answers what is asked; without it nothing is answered. */
  readonly onAsk?: (asked: Asked, store: LinkedStore) => void;
  /** Default true: says `got` for each part that more follows. */
  readonly confirms?: boolean;
  /** Default true: a heartbeat every 50 ms. */
  readonly heartbeats?: boolean;
}

export class LinkedStore {
  readonly incarnation: string;
  readonly received: StoreGatewayFrame[] = [];
  readonly asked: Asked[] = [];
  readonly socket: WebSocket;
  closeCode: number | null = null;
  closeReason = '';
  readonly #partial = new Map<number, string>();
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(options: LinkedStoreOptions) {
    this.incarnation = options.incarnation ?? randomUUID();
    this.socket = new WebSocket(`${options.url.replace('http', 'ws')}${STORE_PATH}`, STORE_SUBPROTOCOL, {
      headers: { authorization: `Bearer ${options.token}` },
    });
    this.socket.on('error', () => {});
    this.socket.on('message', (data) => this.#take(JSON.parse(String(data)), options));
    this.socket.on('close', (code, reason) => {
      this.closeCode = code;
      this.closeReason = String(reason);
      clearInterval(this.#timer);
    });
    if (options.heartbeats !== false) this.#timer = setInterval(() => this.send(HEARTBEAT_TEXT), 50);
  }

  /** Opens the socket and says hello; gives the store when it is welcome, refused or closed. */
  static async dial(options: LinkedStoreOptions): Promise<LinkedStore> {
    const store = await LinkedStore.open(options);
    store.hello();
    await until(
      () => store.received.some(({ type }) => type !== 'heartbeat') || store.closeCode !== null,
      'the first frame, or the close',
    );
    return store;
  }

  static async open(options: LinkedStoreOptions): Promise<LinkedStore> {
    const store = new LinkedStore(options);
    await new Promise<void>((resolve, reject) => {
      store.socket.once('open', () => resolve());
      store.socket.once('error', reject);
    });
    return store;
  }

  hello(change: Partial<StoreHello> = {}): void {
    const { incarnation } = this;
    this.send({ type: 'hello', version: 1, incarnation, service_version: '0.0.0-test', ...change });
  }

  /** Sends anything, also what is no frame. */
  send(frame: StoreFrame | string): void {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  answer(call: number, text: string): void {
    this.send({ type: 'answer', call, part: text, more: false });
  }

  fault(call: number, code: string, message: string): void {
    this.send({ type: 'fault', call, error: { code, message } });
  }

  frames<T extends StoreGatewayFrame['type']>(type: T): Extract<StoreGatewayFrame, { type: T }>[] {
    return this.received.filter((frame): frame is Extract<StoreGatewayFrame, { type: T }> => frame.type === type);
  }

  /**
   * Falls silent: also before what closes the link, where a test wants to know the close code. A gateway on Deno cuts the
   * connection of a peer that says anything after that, and with it what the peer has not read yet.
   */
  stopHeartbeats(): void {
    clearInterval(this.#timer);
  }

  /** Cuts the connection without a word. */
  drop(): void {
    clearInterval(this.#timer);
    this.socket.terminate();
  }

  #take(frame: StoreGatewayFrame, options: LinkedStoreOptions): void {
    this.received.push(frame);
    if (frame.type !== 'ask') return;
    const { call, method, deadline_ms, more } = frame;
    const body = (this.#partial.get(call) ?? '') + frame.part;
    this.#partial.set(call, body);
    if (more) {
      if (options.confirms !== false) this.send({ type: 'got', call });
      return;
    }
    this.#partial.delete(call);
    const asked = { call, method, deadline_ms, body };
    this.asked.push(asked);
    options.onAsk?.(asked, this);
  }
}
