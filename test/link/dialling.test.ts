/** Links as whoever dials has them, against a server that says what a gateway never would. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { AGENT_CLOSE, CLOSE, closeReason, type StoreFrame, type StoreGatewayFrame } from '../../src/contract/index.ts';
import { type Connection, type Dialler, type DialOptions, keepDialling } from '../../src/link/dialling/index.ts';
import { STORE_LINK } from '../../src/link/index.ts';
import { until } from '../support/until.ts';

const WELCOME = { type: 'welcome', version: 1, gateway_version: 'x', heartbeat_ms: 5_000, frame_max_bytes: 1_048_576 };
const TOKEN = 'test-token-0123456789';
const HOUR_MS = 3_600_000;

let server: WebSocketServer;
let dialler: Dialler<StoreFrame> | null = null;
/** The tokens that were shown, dial by dial. */
let tokens: string[];
let troubles: string[];
let opened: Connection<StoreFrame, StoreGatewayFrame>[];

beforeEach(async () => {
  tokens = [];
  troubles = [];
  opened = [];
  server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (_, { headers }) => tokens.push(headers.authorization?.replace('Bearer ', '') ?? ''));
  await once(server, 'listening');
});

afterEach(async () => {
  await stop();
  for (const client of server.clients) client.terminate();
  await new Promise((resolve) => server.close(resolve));
});

async function stop(): Promise<void> {
  await dialler?.stop({ type: 'bye', reason: 'the test is over' }, 'the test is over');
  dialler = null;
}

function dial(options: Partial<DialOptions<StoreFrame, StoreGatewayFrame>> = {}, isListening = true): void {
  const { port } = server.address() as AddressInfo;
  dialler = keepDialling(
    {
      url: `http://127.0.0.1:${port}`,
      token: TOKEN,
      grammar: STORE_LINK,
      hello: { type: 'hello', version: STORE_LINK.version, incarnation: randomUUID(), service_version: '0' },
      ...options,
    },
    {
      onOpen(connection) {
        opened.push(connection);
        if (isListening) connection.listen(() => {});
      },
      onTrouble: (message, refused) => troubles.push(`${refused ? 'refused' : 'failed'}: ${message}`),
    },
  );
}

/** Has the next dialler welcomed, and gives its socket. */
function welcomed(...frames: object[]): Promise<WebSocket> {
  return new Promise((resolve) => {
    server.once('connection', (socket) => {
      socket.once('message', () => {
        for (const each of [WELCOME, ...frames]) socket.send(JSON.stringify(each));
        resolve(socket);
      });
    });
  });
}

describe('what closes a link', () => {
  it('a frame that fits no grammar is refused in as many words as a close frame has room for, whatever is in it', async () => {
    const socket = welcomed({ type: 'cancel', call: '日'.repeat(1_000) });
    dial();
    const [code, reason] = await once(await socket, 'close');
    expect(code).toBe(AGENT_CLOSE.protocol);
    expect(String(reason)).toMatch(/^frame call: .*日/);
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  });

  it('more frames behind the welcome than may wait for somebody who listens', async () => {
    const early = Array.from({ length: 3 }, (_, call) => ({ type: 'cancel', call }));
    const heard: number[] = [];
    const first = welcomed(...early.slice(0, 2));
    dial({ limits: { early_frames_max: 2, backoff_first_ms: 0, backoff_max_ms: 0 } }, false);
    await first;
    await until(() => opened.length === 1, 'the first dial');
    opened[0]?.listen((frame) => {
      if (frame.type === 'cancel') heard.push(frame.call);
    });
    await until(() => heard.length === 2, 'both frames');
    expect(heard).toEqual([0, 1]);
    const second = welcomed(...early);
    opened[0]?.close('next');
    const [code, reason] = await once(await second, 'close');
    expect([code, String(reason)]).toEqual([AGENT_CLOSE.protocol, 'more than 2 frames before anybody listens']);
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
});

describe('when a link is dialled again', () => {
  const limits = { backoff_first_ms: HOUR_MS, backoff_max_ms: HOUR_MS, backoff_reset_ms: 0, drained_spread_ms: 1 };

  it('at once after the gateway drained, which is no trouble', async () => {
    const first = welcomed();
    dial({ limits });
    const socket = await first;
    await until(() => opened.length === 1, 'the first dial');
    const second = welcomed();
    socket.close(CLOSE.going_away, 'gateway is stopping');
    await second;
    await until(() => opened.length === 2, 'the second dial');
    expect(troubles).toEqual([]);
    expect(await opened[0]?.closed).toEqual({ kind: 'drained', reason: 'gateway is stopping' });
  });

  it('after the backoff when a gateway drains that has just been dialled, or it would be dialled in a tight circle', async () => {
    const first = welcomed();
    dial({ limits: { ...limits, backoff_reset_ms: HOUR_MS } });
    const socket = await first;
    await until(() => opened.length === 1, 'the first dial');
    socket.close(CLOSE.going_away, 'gateway is stopping');
    await opened[0]?.closed;
    await new Promise((resolve) => setImmediate(resolve));
    expect(tokens).toHaveLength(1);
  });

  it('after the backoff when the gateway closed it, and the reason is reported once for each link', async () => {
    dial({ limits: { backoff_first_ms: 1, backoff_max_ms: 1 } });
    for (let time = 0; time < 3; time += 1) (await welcomed()).close(4_000, 'no reason');
    // The dial after the last close comes behind everything that the close leads to.
    await until(() => tokens.length === 4, 'the fourth dial');
    expect(opened).toHaveLength(3);
    expect(troubles).toEqual(Array(3).fill('failed: the link was closed: no reason'));
  });

  it('with the token that stands in its file by then', async () => {
    let token = 'token-of-the-first-dial';
    const first = welcomed();
    dial({ token: () => token, limits: { backoff_first_ms: 1, backoff_max_ms: 1 } });
    const socket = await first;
    token = 'token-of-the-second-dial';
    const second = welcomed();
    socket.close(CLOSE.protocol, 'token revoked');
    await second;
    expect(tokens).toEqual(['token-of-the-first-dial', 'token-of-the-second-dial']);
  });

  it('also when the token cannot be read, which is the trouble', async () => {
    let isThere = false;
    const next = welcomed();
    const token = (): string => {
      if (isThere) return TOKEN;
      isThere = true;
      throw new Error('no token: set MESHSCOPE_TOKEN');
    };
    dial({ token, limits: { backoff_first_ms: 1, backoff_max_ms: 1 } });
    await next;
    expect(troubles).toEqual(['failed: no token: set MESHSCOPE_TOKEN']);
  });
});

describe('a refusal', () => {
  it.each([
    [true, 'failed: come back'],
    [false, 'refused: come back'],
  ])('with retry %s is told as such', async (retry, trouble) => {
    server.once('connection', (socket) => {
      socket.once('message', () =>
        socket.send(JSON.stringify({ type: 'refuse', code: 'x', message: 'come back', retry })),
      );
    });
    dial({ limits: { backoff_first_ms: HOUR_MS, backoff_max_ms: HOUR_MS } });
    await until(() => troubles.length === 1, 'the trouble to be reported');
    expect(troubles).toEqual([trouble]);
  });

  it.each([true, false])('with retry %s is reported once, however often the gateway repeats it', async (retry) => {
    server.on('connection', (socket) => {
      socket.once('message', () =>
        socket.send(JSON.stringify({ type: 'refuse', code: 'x', message: 'come back', retry })),
      );
    });
    dial({ limits: { backoff_first_ms: 1, backoff_max_ms: 1 } });
    await until(() => tokens.length >= 4, 'the fourth dial');
    expect(troubles).toHaveLength(1);
  });

  it('is what a welcome of another version amounts to', async () => {
    server.once('connection', (socket) => {
      socket.once('message', () => socket.send(JSON.stringify({ ...WELCOME, version: 2 })));
    });
    dial({ limits: { backoff_first_ms: HOUR_MS, backoff_max_ms: HOUR_MS } });
    await until(() => troubles.length === 1, 'the trouble to be reported');
    expect(troubles).toEqual(['refused: the gateway speaks link version 2, not 1']);
  });
});

describe('a stop', () => {
  it('while it waits to dial again ends the wait', async () => {
    const first = welcomed();
    dial({ limits: { backoff_first_ms: HOUR_MS, backoff_max_ms: HOUR_MS } });
    (await first).close(4_000, 'no reason');
    await until(() => troubles.length === 1, 'the trouble to be reported');
    await stop();
  });

  it('in the middle of the handshake gives it up', async () => {
    const connected = once(server, 'connection');
    dial();
    await connected;
    await stop();
    expect(troubles).toEqual([]);
  });

  it('of an open link says the last frame before it closes', async () => {
    const first = welcomed();
    dial();
    const socket = await first;
    await until(() => opened.length === 1, 'the first dial');
    const last = once(socket, 'message');
    const closed = once(socket, 'close');
    await stop();
    expect(JSON.parse(String((await last)[0]))).toMatchObject({ type: 'bye' });
    expect((await closed)[0]).toBe(AGENT_CLOSE.normal);
  });
});

it('a peer that says nothing is given up after the dial timeout, and dialled again', async () => {
  dial({ limits: { dial_timeout_ms: 50, backoff_first_ms: 1, backoff_max_ms: 1 } });
  await until(() => tokens.length >= 2, 'a second dial');
  expect(troubles[0]).toBe('failed: no answer within 0.05 s');
});
