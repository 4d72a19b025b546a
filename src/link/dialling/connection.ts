/**
 * An open link, as the side that dialled has it, from `welcome` to its end. It lives until either side closes it, this
 * side finds that the gateway reads too slowly, or the gateway has been silent for too long.
 */
import type * as v from 'valibot';
import {
  AGENT_CLOSE,
  CLOSE,
  type GatewayFrame,
  HEARTBEAT_TEXT,
  SILENCE_MAX_HEARTBEATS,
  type StoreGatewayFrame,
} from '../../contract/index.ts';
import type { LinkLimits } from '../limits.ts';
import { readIncoming } from './incoming.ts';
import type { LinkSocket } from './socket.ts';

export interface ConnectionEnd {
  /** `drained`: the gateway has answered what it had to, and goes away; it, or another, can be dialled at once. */
  readonly kind: 'drained' | 'closed';
  readonly reason: string;
}

export class Connection<Out, In extends GatewayFrame | StoreGatewayFrame> {
  /** The gateway's, milliseconds: how often it wants to hear something. */
  readonly heartbeat_ms: number;
  /** Settles when the connection is over. */
  readonly closed: Promise<ConnectionEnd>;
  readonly #socket: LinkSocket;
  readonly #frames: v.GenericSchema<unknown, In>;
  readonly #limits: LinkLimits;
  // Of a clock that nobody sets: a leap must not make the peer seem silent, nor alive.
  #heard_ms = performance.now();
  #sent_ms = this.#heard_ms;
  #beaten_ms = this.#heard_ms;

  constructor(socket: LinkSocket, frames: v.GenericSchema<unknown, In>, heartbeat_ms: number, limits: LinkLimits) {
    this.#socket = socket;
    this.#frames = frames;
    this.#limits = limits;
    this.heartbeat_ms = heartbeat_ms;
    const pulse = setInterval(() => this.#beat(), heartbeat_ms / 5);
    pulse.unref();
    this.closed = socket.ended.then(({ code, reason }) => {
      clearInterval(pulse);
      const kind = code === CLOSE.going_away ? 'drained' : 'closed';
      return { kind, reason: reason === '' ? 'the connection broke' : reason };
    });
  }

  /** Bytes that were sent and wait in the socket. */
  get unsent_bytes(): number {
    return this.#socket.unsent_bytes;
  }

  /** Sets who is called with the frames that arrive, heartbeats aside; those that came earlier first. */
  listen(listener: (frame: In) => void): void {
    this.#socket.listen((data) => {
      this.#heard_ms = performance.now();
      const read = readIncoming(this.#frames, data);
      if (!read.ok) return this.#socket.close(AGENT_CLOSE.protocol, read.error);
      if (read.frame.type !== 'heartbeat') listener(read.frame);
    });
  }

  /** @returns false when the connection is over, or is closed now because the peer reads too slowly */
  send(frame: Out): boolean {
    return this.#sendText(JSON.stringify(frame));
  }

  close(reason: string) {
    this.#socket.close(AGENT_CLOSE.normal, reason);
  }

  #sendText(text: string): boolean {
    if (this.#socket.unsent_bytes > this.#limits.send_buffer_max_bytes) {
      this.#socket.close(AGENT_CLOSE.peer_slow, 'the gateway reads too slowly');
      return false;
    }
    this.#sent_ms = performance.now();
    return this.#socket.send(text);
  }

  #beat() {
    const now_ms = performance.now();
    if (now_ms - this.#heard_ms > SILENCE_MAX_HEARTBEATS * this.heartbeat_ms) {
      return this.#socket.close(AGENT_CLOSE.peer_silent, 'the gateway has been silent for too long');
    }
    // A gateway that sleeps between frames says something only in answer to a heartbeat, however much else is sent to it.
    const quiet_ms = now_ms - Math.min(this.#sent_ms, this.#heard_ms);
    const isDue = quiet_ms >= this.heartbeat_ms && now_ms - this.#beaten_ms >= this.heartbeat_ms;
    if (isDue && this.#sendText(HEARTBEAT_TEXT)) this.#beaten_ms = now_ms;
  }
}
