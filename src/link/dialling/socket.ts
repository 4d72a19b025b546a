/**
 * One WebSocket to a gateway, with the connection that it has to itself. Frames that arrive before anybody listens wait,
 * within a bound. Whoever opens one ends it, by `close` or `destroy`.
 */
import { Agent, WebSocket } from 'undici';
import { AGENT_CLOSE, closeReason } from '../../contract/index.ts';
import type { LinkLimits } from '../limits.ts';
import type { DialTls } from './options.ts';

export interface SocketEnd {
  /** The code of the close frame; 1006 when the connection broke without one. */
  readonly code: number;
  readonly reason: string;
}

export interface SocketOptions {
  readonly url: string;
  readonly subprotocol: string;
  readonly token: string;
  readonly tls: DialTls;
  readonly limits: LinkLimits;
}

export class LinkSocket {
  /** Settles when the connection is there. It never does when the connection does not come about: see `ended`. */
  readonly opened: Promise<void>;
  /** Settles when the connection is over, or did not come about. */
  readonly ended: Promise<SocketEnd>;
  readonly #limits: LinkLimits;
  readonly #dispatcher: Agent;
  readonly #socket: WebSocket;
  readonly #end: (end: SocketEnd) => void;
  #listener: ((data: unknown) => void) | null = null;
  #early: unknown[] = [];

  constructor({ url, subprotocol, token, tls, limits }: SocketOptions) {
    this.#limits = limits;
    this.#dispatcher = new Agent({ connect: { timeout: limits.dial_timeout_ms, ...tls }, bodyTimeout: 0 });
    const socket = new WebSocket(url, {
      protocols: [subprotocol],
      headers: { authorization: `Bearer ${token}` },
      dispatcher: this.#dispatcher,
    });
    this.#socket = socket;
    this.opened = new Promise((resolve) => socket.addEventListener('open', () => resolve(), { once: true }));
    const { promise, resolve } = Promise.withResolvers<SocketEnd>();
    this.ended = promise;
    this.#end = resolve;
    socket.addEventListener('close', ({ code, reason }) => {
      resolve({ code, reason });
      this.#release();
    });
    socket.addEventListener('message', ({ data }) => this.#receive(data));
  }

  /** Bytes that were sent and wait in the socket. */
  get unsent_bytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** @returns the next frame; what comes behind it waits. To be called before anybody listens */
  next(): Promise<unknown> {
    if (this.#early.length > 0) return Promise.resolve(this.#early.shift());
    return new Promise((resolve) => {
      this.#listener = (data) => {
        this.#listener = null;
        resolve(data);
      };
    });
  }

  /** Sets who is called with each frame, those that wait first. */
  listen(listener: (data: unknown) => void): void {
    this.#listener = listener;
    for (const data of this.#early.splice(0)) this.#listener(data);
  }

  /** @returns false when nothing can be sent any more */
  send(text: string): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  /** Ends the connection from this side. `ended` settles at once, whenever the peer answers. */
  close(code: number, reason: string) {
    this.#listener = ignore;
    this.#socket.close(code, closeReason(reason));
    // The peer may be gone without a word: then nobody answers the close, and the socket is given up.
    const timer = setTimeout(() => this.#release(), this.#limits.close_wait_ms).unref();
    this.#socket.addEventListener('close', () => clearTimeout(timer), { once: true });
    this.#end({ code, reason });
  }

  /** Gives up a connection that never became a link. */
  destroy() {
    this.#listener = ignore;
    this.#socket.close();
    this.#release();
  }

  #receive(data: unknown) {
    if (this.#listener !== null) return this.#listener(data);
    const { early_frames_max } = this.#limits;
    if (this.#early.length < early_frames_max) this.#early.push(data);
    else this.close(AGENT_CLOSE.protocol, `more than ${early_frames_max} frames before anybody listens`);
  }

  #release() {
    this.#early = [];
    this.#dispatcher.destroy().catch(() => {});
  }
}

function ignore(): void {}
