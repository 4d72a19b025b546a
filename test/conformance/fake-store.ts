/** A telemetry service that is only a peer: real HTTP, keeps what it is sent, and answers as a test tells it to. */
import { createServer } from 'node:http';
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
  /** Decides on a batch; null has it stored. */
  onIngest: (batch: EventBatch) => StoreAnswer | null;
  close(): Promise<void>;
}

/** `POST /query` gives back the SQL and an integer that a number cannot hold. */
export async function startStore(): Promise<FakeStore> {
  const dumps: unknown[] = [];
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
      const { status, body } = isKnown ? respond(request.url ?? '', text) : { status: 401, body: '' };
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const store: FakeStore = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dumps,
    onIngest: () => null,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return store;
}
