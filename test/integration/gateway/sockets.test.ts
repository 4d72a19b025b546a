import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sleep } from '../../../src/base/index.ts';
import { encodeRef, LINK_PATH } from '../../../src/contract/index.ts';
import { LIMITS } from '../../../src/edge-gateway/limits.ts';
import { serveLinks } from '../../../src/edge-gateway/targets/node/link.ts';
import { type RunningGateway, serveNode } from '../../../src/edge-gateway/targets/node/node.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { rawRequest, startGateway, TOKEN } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
const KEY = 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==';
const AUTHORIZED = `Authorization: Bearer ${TOKEN}`;

let gateway: RunningGateway;
const clients: RawClient[] = [];

/** A peer that says what it is told to and never closes its side. */
interface RawClient {
  readonly socket: Socket;
  readonly heard: { text: string; isEnded: boolean };
}

/** @param ending what comes after the last line; the default ends a head. */
function say(port: number, lines: readonly string[], ending = '\r\n\r\n'): RawClient {
  const heard = { text: '', isEnded: false };
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    heard.text += chunk;
  });
  socket.on('end', () => {
    heard.isEnded = true;
  });
  socket.on('error', () => {});
  socket.write(lines.join('\r\n') + ending);
  clients.push({ socket, heard });
  return { socket, heard };
}

function bodyOf({ heard }: RawClient): string {
  return heard.text.slice(heard.text.indexOf('\r\n\r\n') + 4);
}

beforeEach(async () => {
  gateway = await startGateway();
});

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  await gateway.close();
});

describe('an upgrade', () => {
  it('that is refused gets the envelope, and the socket of a peer that stays is given up', async () => {
    const client = say(gateway.port, [`GET ${LINK_PATH} HTTP/1.1`, 'Host: localhost', ...UPGRADE, KEY]);
    await until(() => client.heard.isEnded, 'the end of the connection');
    expect(client.heard.text).toMatch(/^HTTP\/1\.1 401 /);
    expect(JSON.parse(bodyOf(client)).error.code).toBe('unauthorized');
    const start_ms = performance.now();
    await gateway.close();
    expect(performance.now() - start_ms).toBeLessThan(LIMITS.close_wait_ms + 2_000);
    gateway = await startGateway();
  });
});

describe('a request that asks for a WebSocket where there is none', () => {
  const request = (path: string) => [`GET ${path} HTTP/1.1`, 'Host: localhost', ...UPGRADE, KEY];
  const followers = async () => JSON.parse((await rawRequest(gateway.url, 'GET', '/healthz')).body).followers;

  it('is one like any other', async () => {
    const client = say(gateway.port, request('/v1/root'));
    await until(() => client.heard.text.includes('"identity":"root"'), 'the root');
    expect(client.heard.text).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('follows live updates, and no longer than it stays', async () => {
    const client = say(gateway.port, request('/v1/events'));
    await until(() => client.heard.text.includes('event: snapshot'), 'a snapshot');
    expect(await followers()).toBe(1);
    client.socket.destroy();
    for (let count = 1; count > 0; count = await followers());
  });

  it('opens no link where the target is a whole URL', async () => {
    const client = say(gateway.port, [...request(`http://localhost${LINK_PATH}`), AUTHORIZED]);
    await until(() => client.heard.text.includes('cannot be upgraded'), 'the refusal');
    expect(client.heard.text).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('is refused what has no end by a server that hands over every upgrade', async () => {
    let isGivenUp = false;
    const cancel = () => {
      isGivenUp = true;
    };
    const server = createServer();
    serveLinks(
      server,
      LIMITS,
      () => new Response(new ReadableStream({ cancel }), { headers: { 'content-type': 'text/event-stream' } }),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = say((server.address() as AddressInfo).port, request('/v1/events'));
    await until(() => client.heard.isEnded, 'the end of the connection');
    expect([client.heard.text.slice(0, 13), isGivenUp]).toEqual(['HTTP/1.1 400 ', true]);
    client.socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
});

describe('the end of the gateway', () => {
  it('does not wait for a peer that never closes its link', async () => {
    const client = say(gateway.port, [`GET ${LINK_PATH} HTTP/1.1`, 'Host: localhost', ...UPGRADE, KEY, AUTHORIZED]);
    await until(() => client.heard.text.startsWith('HTTP/1.1 101 '), 'the upgrade');
    const start_ms = performance.now();
    await gateway.close();
    expect(performance.now() - start_ms).toBeLessThan(LIMITS.close_wait_ms + 2_000);
    gateway = await startGateway();
  });

  it('lets nobody in who asks for a link meanwhile', async () => {
    const first = ['GET /healthz HTTP/1.1', 'Host: localhost', '', `GET ${LINK_PATH} HTTP/1.1`, 'Host: localhost', ''];
    const client = say(gateway.port, first, '');
    await until(() => client.heard.text.includes('"ok":true'), 'the answer');
    const start_ms = performance.now();
    const closing = gateway.close();
    client.socket.write(`${[...UPGRADE, KEY, AUTHORIZED].join('\r\n')}\r\n\r\n`);
    await until(() => client.heard.text.includes('gateway is stopping'), 'the refusal of a gateway that stops');
    await closing;
    expect(performance.now() - start_ms).toBeLessThan(LIMITS.close_wait_ms + 2_000);
    gateway = await startGateway();
  });
});

describe('a link whose peer does not read', () => {
  it('is given up when too much waits to be sent', async () => {
    const agent = await FakeAgent.dial({ url: gateway.url, token: TOKEN });
    agent.sync();
    await until(() => gateway.hub.counts().links === 1, 'the link');
    agent.socket.pause();
    const heartbeats = setInterval(() => agent.send({ type: 'heartbeat' }), 10);
    const ask = (i: number) => {
      const client = new AbortController();
      const asked = gateway.hub.read(`a${i}.service@ipc://gpu-7`, client);
      client.abort();
      return asked;
    };
    // Each is a call and a cancel; what the kernel takes in comes on top of the bound.
    const rounds = (16 * LIMITS.link_unsent_max_bytes) / (2_000 * 150);
    for (let round = 0; round < rounds && gateway.hub.counts().links === 1; round += 1) {
      await Promise.all(Array.from({ length: 2_000 }, (_, i) => ask(i)));
      await sleep(0);
    }
    clearInterval(heartbeats);
    expect(gateway.hub.counts().links).toBe(0);
    agent.drop();
  });
});

describe('a request head', () => {
  it(`of ${LIMITS.head_max_bytes} bytes is too large, one that is a little smaller is read`, async () => {
    const read = await rawRequest(gateway.url, 'GET', `/v1/${encodeRef('x'.repeat(LIMITS.head_max_bytes - 1_024))}`);
    expect([read.status, JSON.parse(read.body).error.code]).toEqual([404, 'not_found']);
    const refused = await rawRequest(gateway.url, 'GET', `/v1/${'x'.repeat(LIMITS.head_max_bytes)}`);
    expect([refused.status, JSON.parse(refused.body).error.code]).toEqual([431, 'bad_request']);
  });

  it('that is no HTTP gets the envelope, and the connection ends', async () => {
    const client = say(gateway.port, ['nonsense']);
    await until(() => client.heard.isEnded, 'the end of the connection');
    expect(JSON.parse(bodyOf(client)).error.code).toBe('bad_request');
  });
});

describe('a request that comes too slowly', () => {
  let server: Server;
  const aborted: string[] = [];

  beforeEach(async () => {
    aborted.length = 0;
    const waits = { headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 20 };
    server = createServer(waits, (request) => {
      request.on('error', () => aborted.push('body'));
    });
    serveLinks(server, LIMITS, () => new Response(null));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  it.each([
    ['head', ['POST / HTTP/1.1', 'Host: x', 'Content-Len'], 0],
    ['body', ['POST / HTTP/1.1', 'Host: x', 'Content-Length: 10', '', 'ab'], 1],
  ])('in its %s is answered 408 and given up, whoever reads it is told', async (_, lines, abortedCount) => {
    const client = say((server.address() as AddressInfo).port, lines, '');
    await until(() => client.heard.isEnded, 'the end of the connection');
    expect(client.heard.text).toMatch(/^HTTP\/1\.1 408 /);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await until(() => aborted.length === abortedCount, 'every request to be aborted');
  });
});

describe('listening', () => {
  it('on a port that is taken fails with the address and what to do', async () => {
    const second = await serveNode({
      host: '127.0.0.1',
      port: gateway.port,
      version: '0',
      started_by: 'tester',
      token: TOKEN,
      anonymous: 'none',
    });
    expect(second).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    if (!second.ok) expect(second.failure.message).toContain(`127.0.0.1:${gateway.port}`);
  });
});
