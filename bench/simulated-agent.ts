/**
 * A host agent without a host: it speaks the link (contract/link.ts) over a real WebSocket and answers every `introspect`
 * at once. It sends heartbeats, judges silence and redials by the rules of the real one (link/dialling/), whose
 * backoff it uses. Unlike that one it does not ask again why a dial failed.
 */

import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { Backoff, timestamp } from '../src/base/index.ts';
import {
  AGENT_CLOSE,
  type AgentFrame,
  type EventBatch,
  type GatewayFrame,
  HEARTBEAT_MS,
  HEARTBEAT_TEXT,
  LINK_PATH,
  LINK_SUBPROTOCOL,
  LINK_VERSION,
  SILENCE_MAX_HEARTBEATS,
} from '../src/contract/index.ts';
import { LINK_LIMITS as LIMITS } from '../src/link/index.ts';
import { actorNode, nodesOf } from './simulated-host.ts';

/** Pause after which a batch without an acknowledgement is sent again, milliseconds. */
const ACK_WAIT_MS = 10_000;

/** What all agents of a process have seen. Times are of the wall clock, milliseconds. */
export interface AgentCounts {
  welcomed: number;
  /** Dials that ended without a welcome. */
  failed_dials: number;
  refused: number;
  /** Links that ended, by close code. */
  readonly closes: Record<string, number>;
  /** When the dial began that was welcomed last: before it, whoever was not linked sat out a backoff or waited to be let in. */
  dialled_at_ms: number;
  welcomed_at_ms: number;
}

export function newCounts(): AgentCounts {
  return { welcomed: 0, failed_dials: 0, refused: 0, closes: {}, dialled_at_ms: 0, welcomed_at_ms: 0 };
}

export class SimulatedAgent {
  readonly #url: string;
  readonly #token: string;
  readonly #host: string;
  readonly #counts: AgentCounts;
  readonly #incarnation = randomUUID();
  readonly #backoff = new Backoff({ first_ms: LIMITS.backoff_first_ms, max_ms: LIMITS.backoff_max_ms });
  #socket: WebSocket | null = null;
  #isWelcomed = false;
  #heartbeat_ms = HEARTBEAT_MS;
  #heard_ms = 0;
  #sent_ms = 0;
  #beaten_ms = 0;
  #seq = 0;
  #hasEnded = false;
  /** Told when the batch is stored, by producer and number. */
  readonly #unacked = new Map<string, () => void>();

  constructor(url: string, token: string, host: string, counts: AgentCounts) {
    this.#url = `${url.replace('http', 'ws')}${LINK_PATH}?host=${encodeURIComponent(host)}`;
    this.#token = token;
    this.#host = host;
    this.#counts = counts;
  }

  /** Dials, and again whenever the link ends. Settles when the first dial was welcomed or failed. */
  dial(): Promise<void> {
    return new Promise((resolve) => {
      const dialled_at_ms = Date.now();
      const socket = new WebSocket(this.#url, LINK_SUBPROTOCOL, {
        headers: { authorization: `Bearer ${this.#token}` },
        handshakeTimeout: LIMITS.dial_timeout_ms,
        perMessageDeflate: false,
      });
      this.#socket = socket;
      this.#isWelcomed = false;
      this.#seq = 0;
      let opened_ms = Number.POSITIVE_INFINITY;
      const unwelcome = setTimeout(() => socket.terminate(), LIMITS.dial_timeout_ms);
      socket.on('error', () => {});
      socket.on('open', () => this.#hello());
      socket.on('message', (data) => {
        this.#heard_ms = Date.now();
        const frame = JSON.parse(String(data)) as GatewayFrame;
        if (frame.type !== 'welcome') return this.#take(frame);
        clearTimeout(unwelcome);
        opened_ms = this.#heard_ms;
        this.#welcome(frame.heartbeat_ms, dialled_at_ms);
        resolve();
      });
      socket.on('close', (code) => {
        clearTimeout(unwelcome);
        const { closes } = this.#counts;
        if (this.#isWelcomed) closes[code] = (closes[code] ?? 0) + 1;
        else this.#counts.failed_dials += 1;
        this.#isWelcomed = false;
        if (Date.now() - opened_ms >= LIMITS.backoff_reset_ms) this.#backoff.reset();
        if (!this.#hasEnded) setTimeout(() => this.dial(), this.#backoff.next());
        resolve();
      });
    });
  }

  /** Sends a batch. Settles when it is acknowledged, with false when that takes too long: then it is to be sent again. */
  sendEvents(batch: EventBatch): Promise<boolean> {
    return new Promise((resolve) => {
      const key = `${batch.producer} ${batch.seq}`;
      const settle = (isAcked: boolean) => {
        clearTimeout(timer);
        this.#unacked.delete(key);
        resolve(isAcked);
      };
      const timer = setTimeout(() => settle(false), ACK_WAIT_MS);
      this.#unacked.set(key, () => settle(true));
      this.#send({ type: 'events', batch });
    });
  }

  /** Ends the link, and dials no more. */
  end(): void {
    this.#hasEnded = true;
    this.#socket?.close();
  }

  /** Sends a heartbeat, or gives up the link, when it is time: to be called a few times per heartbeat. */
  beat(now_ms: number): void {
    if (!this.#isWelcomed) return;
    if (now_ms - this.#heard_ms > SILENCE_MAX_HEARTBEATS * this.#heartbeat_ms) {
      this.#socket?.close(AGENT_CLOSE.peer_silent);
      return;
    }
    const isQuiet = now_ms - Math.min(this.#sent_ms, this.#heard_ms) >= this.#heartbeat_ms;
    if (!isQuiet || now_ms - this.#beaten_ms < this.#heartbeat_ms) return;
    this.#beaten_ms = now_ms;
    this.#sendText(HEARTBEAT_TEXT);
  }

  #hello(): void {
    this.#send({
      type: 'hello',
      version: LINK_VERSION,
      host: this.#host,
      incarnation: this.#incarnation,
      agent_version: '0.0.0-bench',
      started_at: timestamp(Date.now()),
    });
  }

  #welcome(heartbeat_ms: number, dialled_at_ms: number): void {
    const counts = this.#counts;
    counts.welcomed += 1;
    counts.dialled_at_ms = Math.max(counts.dialled_at_ms, dialled_at_ms);
    counts.welcomed_at_ms = Math.max(counts.welcomed_at_ms, this.#heard_ms);
    this.#heartbeat_ms = heartbeat_ms;
    this.#isWelcomed = true;
    this.#sync();
  }

  #take(frame: GatewayFrame): void {
    if (frame.type === 'call') {
      const part = JSON.stringify(actorNode(frame.request.reference));
      this.#send({ type: 'answer', call: frame.call, part, more: false });
    } else if (frame.type === 'resync') this.#sync();
    else if (frame.type === 'ack') this.#unacked.get(`${frame.producer} ${frame.seq}`)?.();
    else if (frame.type === 'refuse') this.#counts.refused += 1;
  }

  #sync(): void {
    this.#seq += 1;
    this.#send({ type: 'sync', seq: this.#seq, nodes: nodesOf(this.#host), more: false });
  }

  #send(frame: AgentFrame): void {
    this.#sendText(JSON.stringify(frame));
  }

  #sendText(text: string): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(text);
    this.#sent_ms = Date.now();
  }
}
