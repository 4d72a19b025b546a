/**
 * The telemetry service behind HTTP: the core and its server, started and closed as one.
 *
 * Closing: new connections are refused, requests in flight finish within `close_timeout_ms`, query processes are killed, writes
 * that wait are committed, and the data file is closed.
 */

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { failure, type Outcome, SILENT, success } from '../../base/index.ts';
import { type CoreOptions, openCore } from './core.ts';
import type { Requests } from './requests.ts';
import { createRoutes } from './routes.ts';

export interface TelemetryOptions extends CoreOptions {
  /** Address to listen on. Default `127.0.0.1`. */
  readonly host?: string;
  /** Port to listen on; 0, the default, picks a free one. */
  readonly port?: number;
  /** Bearer token for every route but `/healthz`. Must not be empty. */
  readonly token: string;
}

export interface TelemetryService {
  /** Base URL, without a slash at the end. */
  readonly url: string;
  /** Answers requests that arrive another way than by HTTP. */
  readonly requests: Requests;
  /** Process ids of the running query processes. */
  readonly sqlPids: () => readonly number[];
  /** Deletes rows that exceed their bounds, as the timer does. */
  readonly sweep: (now_ms?: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Starts the service.
 * @returns failure `bad_request` for options that make no sense, `service_unavailable` when the port or the data directory
 *          is taken (the message says by what), `internal_error` when the data file cannot be used
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Outcome<TelemetryService>> {
  const { host = '127.0.0.1', port = 0, token, log = SILENT } = options;
  if (token === '') return failure('bad_request', 'telemetry: token must not be empty');
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    return failure('bad_request', `telemetry: port ${port} is not between 0 and 65535`);
  }
  const opened = await openCore(options);
  if (!opened.ok) return opened;
  const core = opened.value;
  const { store, sandbox, requests, metrics, limits, sweep } = core;
  const app = createRoutes({ store, requests, metrics, token, log });
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      requestTimeout: limits.request_timeout_ms,
      connectionsCheckingInterval: limits.request_check_interval_ms,
    },
  }) as Server;
  server.maxConnections = limits.connections_max;
  const inFlight = new InFlight(server);
  const listening = await listen(server, host, port);
  if (!listening.ok) {
    await core.close();
    return listening;
  }
  // Without a listener, a connection that cannot be accepted (too many open files) would end the process.
  server.on('error', (error) => log.warn(`telemetry server: ${error.message}`));
  let closing: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    await closeServer(server, inFlight, limits.close_timeout_ms);
    await core.close();
  };
  return success({
    url: listening.value,
    requests,
    sqlPids: () => sandbox.pids,
    sweep,
    close: () => {
      closing ??= close();
      return closing;
    },
  });
}

function listen(server: Server, host: string, port: number): Promise<Outcome<string>> {
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE' ? 'EADDRINUSE, taken by another program; choose another port' : error.message;
      const details = { errno: error.code ?? null, host, port };
      resolve(failure('service_unavailable', `telemetry cannot listen on ${host} port ${port}: ${why}`, details));
    });
    server.listen(port, host, () => {
      const address = server.address() as AddressInfo;
      const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      resolve(success(`http://${name}:${address.port}`));
    });
  });
}

/**
 * Stops listening, lets requests in flight finish, and cuts the rest. A connection without a request yet counts as idle here.
 * For Node it does not: `closeIdleConnections` would leave it open until its client closes it.
 */
function closeServer(server: Server, requests: InFlight, timeout_ms: number): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    const cut = (): void => server.closeAllConnections();
    const timer = setTimeout(cut, timeout_ms);
    server.once('close', () => clearTimeout(timer));
    requests.whenNone(cut);
  });
}

/** Counts the requests that are being answered. */
class InFlight {
  #count = 0;
  #onNone: (() => void) | null = null;

  constructor(server: Server) {
    server.on('request', (_, response) => {
      this.#count += 1;
      response.once('close', () => {
        this.#count -= 1;
        if (this.#count === 0) this.#onNone?.();
      });
    });
  }

  /** Calls back as soon as nothing is being answered. */
  whenNone(callback: () => void): void {
    this.#onNone = callback;
    if (this.#count === 0) callback();
  }
}
