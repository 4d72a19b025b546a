/** A real gateway on a free loopback port, and a raw HTTP client that sends a path exactly as it is written. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { type NodeServeOptions, type RunningGateway, serveNode } from '../../src/edge-gateway/targets/node/node.ts';
import { answerError } from './answers.ts';

export const TOKEN = 'test-token-0123456789abcdef';
export const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

export async function startGateway(options: Partial<NodeServeOptions> = {}): Promise<RunningGateway> {
  const started = await serveNode({
    host: '127.0.0.1',
    port: 0,
    version: '0.0.0-test',
    started_by: 'tester',
    token: TOKEN,
    tokenSource: 'test/support/gateway.ts',
    anonymous: 'topology',
    snapshot_interval_ms: 0,
    ...options,
  });
  if (!started.ok) throw new Error(started.failure.message);
  return started.value;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Unlike `fetch`, leaves path, Host and Origin alone. Fails when the OpenAPI document does not tell of the answer. */
export function rawRequest(
  url: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: hostname.replace(/[[\]]/g, ''), port, method, path, headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          const { statusCode: status = 0, headers } = response;
          const error = answerError({ method, path, status, header: (name) => headerOf(headers, name), body: text });
          if (error === null) resolve({ status, headers, body: text });
          else reject(new Error(error));
        });
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name.toLowerCase()];
  return Array.isArray(value) ? value.join(', ') : (value ?? null);
}
