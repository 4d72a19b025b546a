/** A telemetry service that is only a peer: real HTTP, keeps what it is sent, and answers as a test tells it to. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EventBatch } from '../../src/contract/index.ts';
import { TOKEN } from '../support/gateway.ts';

export interface StoreAnswer {
  readonly status: number;
  readonly body: string;
}

export interface FakeStore {
  readonly url: string;
  readonly dumps: unknown[];
  /** SQL of the queries whose answers were not read to their end. */
  readonly cut: string[];
  /** Decides on a batch; null has it stored. */
  onIngest: (batch: EventBatch) => StoreAnswer | null;
  close(): Promise<void>;
}

/** Bytes that are written at a time of a streamed answer. */
export const STREAM_PART_BYTES = 64 * 1024;

/** So many bytes of a type of its own: `text/x-told` with their length, `text/x-untold` without. */
function stream(response: ServerResponse, accept: string, size_bytes: number): void {
  const told = accept === 'text/x-told' ? { 'content-length': size_bytes } : {};
  response.writeHead(200, { 'content-type': accept, ...told });
  let left = size_bytes;
  const write = (): void => {
    while (left > 0) {
      const part = Buffer.alloc(Math.min(left, STREAM_PART_BYTES), 'x');
      left -= part.length;
      if (!response.write(part)) {
        response.once('drain', write);
        return;
      }
    }
    response.end();
  };
  write();
}

/**
 * `POST /query` gives back the SQL and an integer that a number cannot hold; where `text/x-…` is accepted, SQL is a number
 * of bytes, which it streams.
 */
export async function startStore(): Promise<FakeStore> {
  const dumps: unknown[] = [];
  const cut: string[] = [];
  const respond = (path: string, body: string): StoreAnswer => {
    const json = JSON.parse(body);
    if (path === '/ingest') return store.onIngest(json) ?? { status: 204, body: '' };
    if (path === '/dumps') dumps.push(json);
    if (path !== '/query') return { status: 204, body: '' };
    return { status: 200, body: `{"rows":[{"sql":${JSON.stringify(json.sql)},"big":9007199254740993}]}` };
  };
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      const isKnown = request.headers.authorization === `Bearer ${TOKEN}`;
      const { accept = '' } = request.headers;
      if (isKnown && request.url === '/query' && accept.startsWith('text/x-')) {
        const { sql } = JSON.parse(text);
        response.on('close', () => {
          if (!response.writableFinished) cut.push(sql);
        });
        return stream(response, accept, Number(sql));
      }
      const { status, body } = isKnown ? respond(request.url ?? '', text) : { status: 401, body: '' };
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const store: FakeStore = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dumps,
    cut,
    onIngest: () => null,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return store;
}
