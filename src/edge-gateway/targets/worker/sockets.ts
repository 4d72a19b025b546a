/**
 * WebSockets of a Durable Object with hibernation: the object may be dropped from memory between two frames while its
 * sockets stay open. What a session needs to go on is attached to its socket, after every event that may have changed it;
 * a new object restores all sessions before it looks at anything. Heartbeats are answered by the runtime, which wakes
 * nobody.
 */

import { CLOSE, HEARTBEAT_TEXT } from '../../../contract/index.ts';
import type { Link, LinkReceiver } from '../../../link/index.ts';
import type { Dialler } from '../../ports.ts';
import { type DurableObjectState, socketResponse, type WorkerSocket, worker } from './api.ts';

/** A session that can be put back. */
export interface KeepableSession<Kept> extends LinkReceiver {
  kept(): Kept;
}

/** The object that accepts links. */
export interface LinkHost<Kept> {
  accept(link: Link, dialler: Dialler): KeepableSession<Kept>;
  restore(link: Link, kept: Kept): KeepableSession<Kept>;
}

const OPEN = 1;
const CLOSING = 2;

export class Sockets<Kept> {
  readonly #state: DurableObjectState;
  readonly #host: LinkHost<Kept>;
  readonly #sessions = new Map<WorkerSocket, KeepableSession<Kept>>();
  readonly #sockets = new Map<LinkReceiver, WorkerSocket>();

  /** Restores the sessions of all sockets that are open. */
  constructor(state: DurableObjectState, host: LinkHost<Kept>) {
    this.#state = state;
    this.#host = host;
    state.setWebSocketAutoResponse(new worker.WebSocketRequestResponsePair(HEARTBEAT_TEXT, HEARTBEAT_TEXT));
    for (const socket of state.getWebSockets()) {
      const kept = socket.deserializeAttachment() as Kept | null;
      if (kept !== null) this.#add(socket, host.restore(this.#linkOf(socket), kept));
    }
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Opens a link in answer to a request that asks for a WebSocket. */
  open(request: Request, dialler: Dialler, subprotocol: string): Response {
    const offered = (request.headers.get('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim());
    const { 0: client, 1: socket } = new worker.WebSocketPair();
    this.#state.acceptWebSocket(socket);
    this.#add(socket, this.#host.accept(this.#linkOf(socket), dialler));
    this.#keep(socket);
    return socketResponse(client, offered.includes(subprotocol) ? { 'sec-websocket-protocol': subprotocol } : {});
  }

  message(socket: WorkerSocket, data: string | ArrayBuffer): void {
    const session = this.#sessions.get(socket);
    if (socket.readyState !== OPEN || session === undefined) return;
    if (typeof data === 'string') session.receive(data);
    else socket.close(CLOSE.protocol, 'frames are text');
    this.#keep(socket);
  }

  closed(socket: WorkerSocket): void {
    const session = this.#sessions.get(socket);
    // A close that a peer begins is answered here; it has ended only then.
    if (socket.readyState === CLOSING) socket.close(CLOSE.normal, '');
    if (session === undefined) return;
    this.#sessions.delete(socket);
    this.#sockets.delete(session);
    session.closed();
  }

  /** A session changed outside of a message of its own. */
  changed(session: LinkReceiver): void {
    const socket = this.#sockets.get(session);
    if (socket !== undefined) this.#keep(socket);
  }

  #add(socket: WorkerSocket, session: KeepableSession<Kept>): void {
    this.#sessions.set(socket, session);
    this.#sockets.set(session, socket);
  }

  #keep(socket: WorkerSocket): void {
    const session = this.#sessions.get(socket);
    if (session !== undefined && socket.readyState === OPEN) socket.serializeAttachment(session.kept());
  }

  #linkOf(socket: WorkerSocket): Link {
    const isOpen = () => socket.readyState === OPEN;
    return {
      send: (text) => {
        if (isOpen()) socket.send(text);
      },
      close: (code, reason) => {
        if (!isOpen()) return;
        // It stays until its peer has answered, which may be never: it is not to be put back.
        socket.serializeAttachment(null);
        socket.close(code, reason);
      },
      heardAt_ms: () => this.#state.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? null,
    };
  }
}
