/**
 * The agent's HTTP listener for monitoring: `GET /metrics` in Prometheus text, `GET /healthz` as JSON. Neither shows what a
 * proc is or does, so neither needs a token. It listens only if an address was given.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { failure, type Outcome, success } from '../../base/index.ts';
import { type AgentLimits, LIMITS } from '../limits.ts';

export interface MetricsAddress {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
}

export interface MetricsServerOptions extends MetricsAddress {
  readonly metrics: () => string;
  readonly health: () => Readonly<Record<string, unknown>>;
  /** Default LIMITS. */
  readonly limits?: AgentLimits;
}

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

/** @returns `service_unavailable` when the address cannot be listened at */
export function startMetricsServer({
  host,
  port,
  metrics,
  health,
  limits = LIMITS,
}: MetricsServerOptions): Promise<Outcome<MetricsServer>> {
  const server = createServer({ requestTimeout: limits.metrics_request_timeout_ms }, (request, response) => {
    const [path] = (request.url ?? '').split('?');
    const body = { '/metrics': metrics, '/healthz': () => `${JSON.stringify(health())}\n` }[path ?? ''];
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (body === undefined || !isRead) {
      const [status, code] = body === undefined ? [404, 'not_found'] : [405, 'method_not_allowed'];
      const message = 'there are GET /metrics and GET /healthz';
      response.writeHead(status, {
        'content-type': 'application/json',
        ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
      });
      response.end(JSON.stringify({ error: { code, message } }));
      return;
    }
    const type = path === '/metrics' ? 'text/plain; version=0.0.4; charset=utf-8' : 'application/json';
    response.writeHead(200, { 'content-type': type });
    response.end(request.method === 'HEAD' ? undefined : body());
  });
  server.maxConnections = limits.metrics_connections_max;
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const details = { errno: error.code ?? null, host, port };
      const message = `the agent cannot listen for metrics on ${host} port ${port}: ${error.message}`;
      resolve(failure('service_unavailable', message, details));
    });
    server.listen(port, host, () => {
      const address = server.address() as AddressInfo;
      const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      server.removeAllListeners('error');
      server.on('error', () => {});
      resolve(
        success({
          url: `http://${name}:${address.port}`,
          close: () =>
            new Promise((closed) => {
              server.close(() => closed());
              server.closeAllConnections();
            }),
        }),
      );
    });
  });
}
