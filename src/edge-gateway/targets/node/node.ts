/** The gateway on Node: node:http through @hono/node-server; node-link.ts has the WebSockets. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { type Outcome, success } from '../../../base/index.ts';
import { compose, listenFailure, type RunningGateway, type ServeOptions } from '../../compose.ts';
import { resolveLimits } from '../../limits.ts';
import type { RequestEnv } from '../../ports.ts';
import { sha256 } from '../sha256.ts';
import { isUpgrade, rejected, serveLinks, upgradeLink } from './link.ts';
import { type NodeTls, peerOf, tlsOptions } from './tls.ts';

export type { RunningGateway, ServeOptions } from '../../compose.ts';

export interface NodeServeOptions extends ServeOptions {
  /** Default: plain HTTP. */
  readonly tls?: NodeTls;
}

/**
 * Starts a gateway. Fails with `service_unavailable`, naming the address, when it cannot be listened on, with `bad_request`
 * when its TLS material cannot be used.
 */
export async function serveNode(options: NodeServeOptions): Promise<Outcome<RunningGateway>> {
  const tls = options.tls === undefined ? null : tlsOptions(options.tls);
  if (tls?.ok === false) return tls;
  const limits = resolveLimits(options.limits);
  const gateway = compose(options, upgradeLink, sha256);
  const { app, hub } = gateway;
  const listener = getRequestListener((request, { incoming }) => app.fetch(request, envOf(incoming)), {
    errorHandler: rejected,
  });
  const bounds = {
    maxHeaderSize: limits.head_max_bytes,
    headersTimeout: limits.head_wait_ms,
    requestTimeout: limits.request_wait_ms,
    keepAliveTimeout: limits.keep_alive_ms,
    shouldUpgradeCallback: isUpgrade,
  };
  const server: Server =
    tls === null
      ? createServer(bounds, listener)
      : createTlsServer({ ...bounds, ...tls.value, handshakeTimeout: limits.head_wait_ms }, listener);
  // What `closeAllConnections` does not know: links, and connections that have yet to shake hands.
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  serveLinks(server, limits, (request, env) => app.fetch(request, env));
  const listening = await listen(server, options);
  if (!listening.ok) {
    await gateway.close();
    return listening;
  }
  // Without a listener, a connection that cannot be accepted would end the process.
  server.on('error', (error) => options.log?.warn(`cannot accept a connection: ${error.message}`));
  const { port } = server.address() as AddressInfo;
  const url = gateway.open(port, tls === null ? 'http' : 'https');
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    await gateway.drain();
    const ended = gateway.close();
    setTimeout(() => {
      for (const socket of connections) socket.destroy();
    }, limits.close_wait_ms).unref();
    await closed;
    await ended;
  };
  return success({ url, port, hub, close });
}

/** `Headers` of a request cost as much as the rest of a read: the few that matter are looked up where Node has them. */
function envOf(incoming: Pick<IncomingMessage, 'headers' | 'url'> & { readonly socket: unknown }): RequestEnv {
  const { headers } = incoming;
  const get = (name: string) => {
    const value = headers[name];
    return typeof value === 'string' ? value : null;
  };
  return { rawPath: incoming.url ?? '/', headers: { get }, ...peerOf(incoming) };
}

function listen(server: Server, options: ServeOptions): Promise<Outcome<void>> {
  const { host, port } = options;
  return new Promise((resolve) => {
    server.once('error', (error) => resolve(listenFailure(options, error)));
    server.listen({ host, port }, () => resolve(success(undefined)));
  });
}
