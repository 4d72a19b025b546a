/** Links as whoever dials sees them, against a server that says what a gateway never would. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { AGENT_CLOSE, closeReason, type StoreFrame } from '../../src/contract/index.ts';
import { type Dialler, keepDialling } from '../../src/link/dialling/index.ts';
import { STORE_LINK } from '../../src/link/index.ts';

const WELCOME = { type: 'welcome', version: 1, gateway_version: 'x', heartbeat_ms: 5_000, frame_max_bytes: 1_048_576 };

let server: WebSocketServer;
let dialler: Dialler<StoreFrame> | null = null;

beforeEach(async () => {
  server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
});

afterEach(async () => {
  await dialler?.stop({ type: 'bye', reason: 'the test is over' }, 'the test is over');
  for (const client of server.clients) client.terminate();
  await new Promise((resolve) => server.close(resolve));
});

/** Sends a frame after the welcome; gives how the link was closed then. */
function closedAfter(frame: object): Promise<{ code: number; reason: string }> {
  return new Promise((resolve) => {
    server.once('connection', (socket) => {
      socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
      socket.once('message', () => {
        for (const each of [WELCOME, frame]) socket.send(JSON.stringify(each));
      });
    });
    const { port } = server.address() as AddressInfo;
    dialler = keepDialling(
      {
        url: `http://127.0.0.1:${port}`,
        token: 'test-token-0123456789',
        grammar: STORE_LINK,
        hello: { type: 'hello', version: STORE_LINK.version, incarnation: randomUUID(), service_version: '0' },
      },
      { onOpen: (connection) => connection.listen(() => {}), onTrouble: () => {} },
    );
  });
}

it('a frame that fits no grammar is refused in as many words as a close frame has room for, whatever is in it', async () => {
  const { code, reason } = await closedAfter({ type: 'cancel', call: '日'.repeat(1_000) });
  expect(code).toBe(AGENT_CLOSE.protocol);
  expect(reason).toMatch(/^frame call: .*日/);
  expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
});

it.each([
  ['x'.repeat(123), 123],
  ['x'.repeat(124), 123],
  ['日'.repeat(41), 41],
  ['日'.repeat(42), 41],
  [`${'x'.repeat(122)}é`, 122],
  [`${'x'.repeat(121)}é`, 122],
  [`${'x'.repeat(120)}😀`, 120],
])('of a reason %s there is room for %i characters', (reason, chars) => {
  expect(closeReason(reason)).toBe(reason.slice(0, chars));
});
