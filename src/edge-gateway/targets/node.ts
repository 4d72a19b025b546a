/** The gateway on Node: node:http through @hono/node-server; node-link.ts has the WebSockets. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { failure, type Outcome, success, timestamp } from '../../contract/index.ts';
import { type AnonymousLevel, createAccess } from '../access.ts';
import { createGateway } from '../gateway.ts';
import { MeshHub } from '../hub/hub.ts';
import { CLOSE_WAIT_MS, HEAD_MAX_BYTES, HEAD_WAIT_MS, KEEP_ALIVE_MS, REQUEST_WAIT_MS } from '../limits.ts';
import { type Log, SILENT, type Telemetry } from '../ports.ts';
import { Snapshots } from '../snapshot.ts';
import { isWebSocket, rejected, serveLinks, upgradeLink } from './node-link.ts';

export interface ServeOptions {
  /** Address to listen on, e.g. `127.0.0.1`, `::1`, `localhost`, `0.0.0.0`. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Name under which others reach this machine, for the URL of a gateway on all addresses. Default `localhost`. */
  readonly advertised_host?: string;
  readonly version: string;
  /** Names under which a proxy in front serves this gateway, as `Host` has them. Default none. */
  readonly allowed_hosts?: readonly string[];
  /** Who started the gateway, for the root node. */
  readonly started_by: string;
  readonly token: string;
  readonly tokenSource?: string;
  readonly anonymous: AnonymousLevel;
  /** Default null: no store. */
  readonly telemetry?: Telemetry | null;
  readonly log?: Log;
  /** Default: the contract's. */
  readonly heartbeat_ms?: number;
  /** Default: 30 s; 0 takes no snapshots. */
  readonly snapshot_interval_ms?: number;
}

export interface RunningGateway {
  readonly url: string;
  readonly port: number;
  readonly hub: MeshHub;
  /** Ends links, connections and timers, within about two seconds. */
  close(): Promise<void>;
}

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/** Starts a gateway. Fails with `service_unavailable`, naming the address, when it cannot be listened on. */
export async function serveNode(options: ServeOptions): Promise<Outcome<RunningGateway>> {
  const { host, telemetry = null, log = SILENT } = options;
  let url = '';
  const { version, started_by } = options;
  const identity = { url: () => url, started_at: timestamp(Date.now()), started_by, version };
  const heartbeat = options.heartbeat_ms === undefined ? {} : { heartbeat_ms: options.heartbeat_ms };
  const bound = bracketed(host);
  const { allowed_hosts = [] } = options;
  const hosts = isLoopback(host) || allowed_hosts.length > 0 ? [...LOOPBACK_NAMES, bound, ...allowed_hosts] : null;
  const access = createAccess({ ...options, hosts });
  const hub = new MeshHub({ identity, telemetry, log, ...heartbeat });
  const app = createGateway({ identity, mesh: hub, access, telemetry, upgradeLink, log });
  const listener = getRequestListener((request, { incoming }) => app.fetch(request, { rawPath: incoming.url ?? '/' }), {
    errorHandler: rejected,
  });
  const bounds = {
    maxHeaderSize: HEAD_MAX_BYTES,
    headersTimeout: HEAD_WAIT_MS,
    requestTimeout: REQUEST_WAIT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  const server = createServer({ ...bounds, shouldUpgradeCallback: isWebSocket }, listener);
  const sockets = serveLinks(server, (request, env) => app.fetch(request, env));
  const listening = await listen(server, options);
  if (!listening.ok) {
    hub.close();
    return listening;
  }
  const { port } = server.address() as AddressInfo;
  url = `http://${bound === '0.0.0.0' || bound === '[::]' ? bracketed(options.advertised_host ?? 'localhost') : bound}:${port}`;
  const snapshots = new Snapshots({ mesh: hub, telemetry, log, interval_ms: options.snapshot_interval_ms });
  const close = async () => {
    snapshots.close();
    hub.close();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
      setTimeout(() => {
        server.closeAllConnections();
        for (const ws of sockets.clients) ws.terminate();
      }, CLOSE_WAIT_MS).unref();
    });
  };
  return success({ url, port, hub, close });
}

function listen(server: Server, { host, port }: ServeOptions): Promise<Outcome<void>> {
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = `${host}:${port} is already in use by another program: stop it, or choose another port (0 picks a free one)`;
      const message = error.code === 'EADDRINUSE' ? taken : `cannot listen on ${host}:${port}: ${error.message}`;
      resolve(failure('service_unavailable', message, { errno: error.code }));
    });
    server.listen({ host, port }, () => resolve(success(undefined)));
  });
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

/** However it is written: a loopback address that is not seen as one would have no list of host names. */
function isLoopback(host: string): boolean {
  const url = `http://${bracketed(host)}`;
  const name = URL.canParse(url) ? new URL(url).hostname : host;
  return name === 'localhost' || name === '[::1]' || /^127(\.\d+){3}$/.test(name) || name.startsWith('[::ffff:7f');
}
