/**
 * The gateway on Deno: `Deno.serve` and `Deno.upgradeWebSocket`, in memory, as on Node.
 *
 * `Request.url` is the request line as it came (`//`, `%2e`, dot segments and odd encodings included), so routes match
 * on the same raw path. The server of Deno has bounds of its own, which cannot be set:
 *
 *  - A head of more than about 64 KiB, or one that is no HTTP, gets a bare 400 (on Node 431 and 400 with the envelope).
 *  - There is no limit on how long a head or a body may take to come, nor on how long a connection stays idle
 *    (`head_wait_ms`, `request_wait_ms` and `keep_alive_ms` are Node's): where strangers can reach it, put a proxy in front.
 *  - A WebSocket frame is taken in whole, up to 64 MiB, before the session refuses it (FRAME_MAX_BYTES, 1009).
 *  - A peer that sends anything after its link was closed is cut off, and may not get to know the code and the reason.
 *  - A link can be closed but not cut: from the close on nothing of it is read or sent, but the connection of a peer that
 *    never answers lasts until the peer or the gateway ends.
 */

import { type Outcome, success } from '../../../base/index.ts';
import { CLOSE } from '../../../contract/index.ts';
import type { Link, LinkReceiver } from '../../../link/index.ts';
import { compose, listenFailure, type RunningGateway, type ServeOptions } from '../../compose.ts';
import { headError, targetOf } from '../../http/request-head.ts';
import { failureResponse } from '../../http/respond.ts';
import { type GatewayLimits, resolveLimits } from '../../limits.ts';
import type { UpgradeLink } from '../../ports.ts';
import { sha256 } from '../sha256.ts';
import { type DenoServer, type DenoSocket, deno } from './api.ts';

const OPEN = 1;

/** Starts a gateway. Fails with `service_unavailable`, naming the address, when it cannot be listened on. */
export async function serveDeno(options: ServeOptions): Promise<Outcome<RunningGateway>> {
  const limits = resolveLimits(options.limits);
  const gateway = compose(options, upgradeWith(limits), sha256);
  const { app, hub } = gateway;
  const cut = new AbortController();
  const handle = (request: Request) => {
    const rawPath = targetOf(request);
    const error = headError(request.headers, rawPath.split('?', 1)[0] ?? '');
    return error === null ? app.fetch(request, { rawPath }) : failureResponse(request, error);
  };
  let server: DenoServer;
  try {
    const { host: hostname, port } = options;
    server = deno.serve({ hostname, port, signal: cut.signal, onListen: () => {}, onError: failed }, handle);
  } catch (error) {
    await gateway.close();
    return listenFailure(options, error);
  }
  const { port } = server.addr;
  const close = async () => {
    // A server of Deno's that shuts down cuts its WebSockets, so that it goes on listening until calls are answered.
    await gateway.drain();
    const ended = gateway.close();
    const timer = setTimeout(() => cut.abort(), limits.close_wait_ms);
    await server.shutdown();
    clearTimeout(timer);
    await ended;
  };
  return success({ url: gateway.open(port), port, hub, close });
}

/** The app answers its own failures; this is only for what fails outside it. */
function failed(): Response {
  return new Response(null, { status: 500 });
}

function upgradeWith(limits: GatewayLimits): UpgradeLink {
  return (c, subprotocol, accept) => {
    const request = c.req.raw;
    const error = handshakeError(request.headers);
    if (error !== null) return failureResponse(request, { code: 'bad_request', message: error });
    const offered = (request.headers.get('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim());
    const chosen = offered.includes(subprotocol) ? { protocol: subprotocol } : {};
    const { socket, response } = deno.upgradeWebSocket(request, chosen);
    connect(socket, accept, limits);
    return response;
  };
}

function handshakeError(headers: Headers): string | null {
  const broken = (what: string) => `the request cannot be read: ${what}`;
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers.get('sec-websocket-key') ?? '')) {
    return broken('Missing or invalid Sec-WebSocket-Key header');
  }
  if (headers.get('sec-websocket-version') !== '13') return broken('Missing or invalid Sec-WebSocket-Version header');
  return null;
}

function connect(
  socket: DenoSocket,
  accept: (link: Link) => LinkReceiver,
  { link_unsent_max_bytes }: GatewayLimits,
): void {
  let receiver: LinkReceiver | null = null;
  const close = (code: number, reason: string) => {
    if (socket.readyState === OPEN) socket.close(code, reason);
  };
  const ended = () => {
    receiver?.closed();
    receiver = null;
  };
  socket.onopen = () => {
    receiver = accept({
      send: (text) => {
        if (socket.readyState !== OPEN) return;
        if (socket.bufferedAmount <= link_unsent_max_bytes) return socket.send(text);
        close(CLOSE.protocol, 'reads too slowly');
        // In a later turn, so that the hub is not called while it is sending.
        setTimeout(ended, 0);
      },
      close,
    });
  };
  socket.onmessage = ({ data }) => {
    if (socket.readyState !== OPEN) return;
    if (typeof data === 'string') receiver?.receive(data);
    else close(CLOSE.protocol, 'frames are text');
  };
  // An error is always followed by close.
  socket.onerror = (event) => event.preventDefault();
  socket.onclose = ended;
}
