/**
 * WebSockets on Node. An upgrade request goes through the same app as any other, so it meets the same access checks and
 * gets the same error envelope. The link route marks it with who shall receive; only then is the handshake done.
 */
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { CLOSE, FRAME_MAX_BYTES, LINK_SUBPROTOCOL } from '../../contract/index.ts';
import { envelope } from '../http/respond.ts';
import type { Link, LinkReceiver, UpgradeLink } from '../ports.ts';

interface UpgradeEnv {
  readonly rawPath: string;
  accept?: (link: Link) => LinkReceiver;
}

export const upgradeLink: UpgradeLink = (c, accept) => {
  (c.env as UpgradeEnv).accept = accept;
  return new Response(null);
};

/** The answer to a request that cannot even be read. */
export function rejected(error: unknown): Response {
  const message = error instanceof Error ? error.message : String(error);
  const headers = { 'content-type': 'application/json' };
  return new Response(envelope({ code: 'bad_request', message }), { status: 400, headers });
}

/** Lets a server take links. The sockets that are open are `clients` of what it gives back. */
export function serveLinks(
  server: Server,
  handle: (request: Request, env: UpgradeEnv) => Response | Promise<Response>,
): WebSocketServer {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_MAX_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(LINK_SUBPROTOCOL) ? LINK_SUBPROTOCOL : false),
  });
  const answer = async (incoming: IncomingMessage, env: UpgradeEnv): Promise<Response> => {
    const headers = new Headers();
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (typeof value === 'string') headers.set(name, value);
    }
    return handle(new Request(`http://localhost${env.rawPath}`, { headers }), env);
  };
  server.on('upgrade', async (incoming, socket: Duplex, head) => {
    socket.on('error', () => socket.destroy());
    const env: UpgradeEnv = { rawPath: incoming.url ?? '/' };
    const response = await answer(incoming, env).catch(rejected);
    const { accept } = env;
    if (accept === undefined) return refuse(socket, response.status, await response.text(), response.headers);
    sockets.handleUpgrade(incoming, socket, head, (ws) => connect(ws, accept));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
    refuse(socket, status, envelope({ code: 'bad_request', message: `the request cannot be read: ${error.message}` }));
  });
  return sockets;
}

function connect(ws: WebSocket, accept: (link: Link) => LinkReceiver): void {
  const receiver = accept({ send: (text) => ws.send(text, () => {}), close: (code, reason) => ws.close(code, reason) });
  ws.on('message', (data, isBinary) => {
    if (isBinary) ws.close(CLOSE.protocol, 'frames are text');
    else receiver.receive(String(data));
  });
  // An error is always followed by close.
  ws.on('error', () => {});
  ws.on('close', () => receiver.closed());
}

function refuse(socket: Duplex, status: number, body: string, headers = new Headers()): void {
  if (!socket.writable) return void socket.destroy();
  const extra = [...headers].filter(([name]) => name !== 'content-type' && name !== 'content-length');
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...extra.map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
