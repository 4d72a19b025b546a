/**
 * WebSockets on Node. An upgrade request goes through the same app as any other, so it meets the same access checks and
 * gets the same error envelope. The link route marks it with who shall receive; only then is the handshake done.
 */

import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { messageOf } from '../../../base/index.ts';
import { CLOSE, FRAME_MAX_BYTES, LINK_PATH, STORE_PATH } from '../../../contract/index.ts';
import type { Link, LinkReceiver } from '../../../link/index.ts';
import { envelope, failureResponse } from '../../http/respond.ts';
import type { GatewayLimits } from '../../limits.ts';
import type { UpgradeLink } from '../../ports.ts';
import { peerOf } from './tls.ts';

interface UpgradeEnv {
  readonly rawPath: string;
  readonly peer?: string;
  /** Told by a request that came with a socket to take over. */
  readonly isUpgrade: true;
  subprotocol?: string;
  accept?: (link: Link) => LinkReceiver;
}

export const upgradeLink: UpgradeLink = (c, subprotocol, accept) => {
  const env: Partial<UpgradeEnv> = c.env;
  if (env.isUpgrade !== true) {
    const message = 'the request cannot be upgraded: its target must be the path alone';
    return failureResponse(c.req.raw, { code: 'bad_request', message });
  }
  Object.assign(env, { subprotocol, accept });
  return new Response(null);
};

/**
 * Whether a request asks for a WebSocket where there is one to be had. What else is offered, or elsewhere (curl's `h2c`), is
 * not taken up: the request is then one like any other.
 */
export function isUpgrade({ headers, url = '' }: IncomingMessage): boolean {
  const path = url.split('?', 1)[0];
  return headers.upgrade?.toLowerCase() === 'websocket' && (path === LINK_PATH || path === STORE_PATH);
}

/** The answer to a request that cannot even be read. */
export function rejected(error: unknown): Response {
  const message = messageOf(error);
  const headers = { 'content-type': 'application/json' };
  return new Response(envelope({ code: 'bad_request', message }), { status: 400, headers });
}

const UNREAD_STATUS: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** Lets a server take links. */
export function serveLinks(
  server: Server,
  limits: GatewayLimits,
  handle: (request: Request, env: UpgradeEnv) => Response | Promise<Response>,
): void {
  const { close_wait_ms } = limits;
  const subprotocols = new WeakMap<IncomingMessage, string>();
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_MAX_BYTES,
    perMessageDeflate: false,
    handleProtocols(offered, incoming) {
      const ours = subprotocols.get(incoming) ?? '';
      return offered.has(ours) ? ours : false;
    },
  });
  const answer = async (incoming: IncomingMessage, env: UpgradeEnv): Promise<Response> => {
    const headers = new Headers();
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (typeof value === 'string') headers.set(name, value);
    }
    const { method = 'GET' } = incoming;
    return handle(new Request(`http://localhost${env.rawPath}`, { method, headers }), env);
  };
  server.on('upgrade', async (incoming, socket: Duplex, head) => {
    socket.on('error', () => socket.destroy());
    const env: UpgradeEnv = { rawPath: incoming.url ?? '/', isUpgrade: true, ...peerOf(incoming) };
    const response = await answer(incoming, env).catch(rejected);
    const { accept, subprotocol = '' } = env;
    if (accept === undefined) {
      // A Node before 24.9 hands over every upgrade, also one for what has no end, which must not be gathered.
      if (response.headers.get('content-type') === 'text/event-stream') {
        await response.body?.cancel();
        return refuse(
          socket,
          close_wait_ms,
          400,
          envelope({ code: 'bad_request', message: 'no upgrade is to be had here' }),
        );
      }
      return refuse(socket, close_wait_ms, response.status, await response.text(), response.headers);
    }
    subprotocols.set(incoming, subprotocol);
    sockets.handleUpgrade(incoming, socket, head, (ws) => connect(ws, accept, limits));
  });
  const refuseUnread = (error: NodeJS.ErrnoException, socket: Duplex) => {
    const message = `the request cannot be read: ${error.message}`;
    refuse(socket, close_wait_ms, UNREAD_STATUS[error.code ?? ''] ?? 400, envelope({ code: 'bad_request', message }));
  };
  server.on('clientError', refuseUnread);
  sockets.on('wsClientError', refuseUnread);
}

function connect(ws: WebSocket, accept: (link: Link) => LinkReceiver, limits: GatewayLimits): void {
  const receiver = accept({
    send: (text) => {
      // `close` is emitted in a later turn, so the hub is not called while it is sending.
      if (ws.bufferedAmount > limits.link_unsent_max_bytes) ws.terminate();
      else ws.send(text, () => {});
    },
    close: (code, reason) => ws.close(code, reason),
  });
  ws.on('message', (data, isBinary) => {
    if (isBinary) ws.close(CLOSE.protocol, 'frames are text');
    else receiver.receive(String(data));
  });
  // An error is always followed by close.
  ws.on('error', () => {});
  ws.on('close', () => receiver.closed());
}

/** Answers and hangs up, also on a peer that does not. */
function refuse(socket: Duplex, close_wait_ms: number, status: number, body: string, headers = new Headers()): void {
  if (!socket.writable) return void socket.destroy();
  const extra = [...headers].filter(([name]) => name !== 'content-length');
  if (!headers.has('content-type')) extra.push(['content-type', 'application/json']);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'connection: close',
    `content-length: ${Buffer.byteLength(body)}`,
    ...extra.map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
  socket.resume();
  setTimeout(() => socket.destroy(), close_wait_ms).unref();
}
