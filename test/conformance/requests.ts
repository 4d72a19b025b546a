/** Requests as bytes: upgrades that are refused or broken, heads that cannot be read, targets that are odd. */
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LINK_PATH } from '../../src/contract/index.ts';
import { answerError } from '../support/answers.ts';
import { rawRequest, TOKEN } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { type Capabilities, type Gateway, Peers, type Start } from './start.ts';

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket'];
const VERSION = 'Sec-WebSocket-Version: 13';
const KEY = 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==';
const AUTHORIZED = `Authorization: Bearer ${TOKEN}`;
const HOST = 'Host: localhost';

interface Heard {
  readonly asked: string;
  text: string;
  isEnded: boolean;
}

export function requestCases(start: Start, capabilities: Capabilities): void {
  let gateway: Gateway;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    gateway = await start();
  });

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  afterAll(() => gateway.close());

  /** A peer that says these lines and never closes its side. */
  function say(lines: readonly string[], port = gateway.port): Heard {
    const heard = { asked: lines[0] ?? '', text: '', isEnded: false };
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      heard.text += chunk;
    });
    socket.on('end', () => {
      heard.isEnded = true;
    });
    socket.on('error', () => {
      heard.isEnded = true;
    });
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    sockets.push(socket);
    return heard;
  }

  /** Status and error code, once the envelope is whole. */
  async function refusal(heard: Heard): Promise<[number, string]> {
    const code = () => /"code":"(\w+)".*\}\}/s.exec(heard.text)?.[1];
    await until(() => code() !== undefined, 'an envelope');
    expect(heardError(heard)).toBeNull();
    return [Number(heard.text.slice(9, 12)), code() ?? ''];
  }

  describe('an upgrade', () => {
    const link = `GET ${LINK_PATH}?host=gpu-7 HTTP/1.1`;
    it.each<[string, string[], [number, string]]>([
      ['without a token', [link, HOST, ...UPGRADE, VERSION, KEY], [401, 'unauthorized']],
      ['with a foreign Host', [link, 'Host: x.example', ...UPGRADE, VERSION, KEY, AUTHORIZED], [403, 'forbidden']],
      ['that is none', [link, HOST, AUTHORIZED], [400, 'bad_request']],
    ])('%s gets the envelope', async (_, lines, expected) => {
      expect(await refusal(say(lines))).toEqual(expected);
    });

    it.each([
      ['without a key', [VERSION]],
      ['with a key that is none', [VERSION, 'Sec-WebSocket-Key: eA==']],
      ['without a version', [KEY]],
    ])('%s is refused', async (_, lines) => {
      const heard = say([link, HOST, ...UPGRADE, AUTHORIZED, ...lines]);
      if (capabilities.explainsHandshakes) return expect(await refusal(heard)).toEqual([400, 'bad_request']);
      await until(() => heard.text.includes('\r\n\r\n'), 'the head of an answer');
      expect(heard.text).toMatch(/^HTTP\/1\.1 (400|426|101) /);
    });

    it.each([
      [['Sec-WebSocket-Protocol: other, meshscope.link.1'], /sec-websocket-protocol: meshscope\.link\.1\r\n/i, true],
      [['Sec-WebSocket-Protocol: other'], /sec-websocket-protocol/i, false],
      [[], /sec-websocket-protocol/i, false],
    ])('that offers %j agrees on our subprotocol or none', async (offer, protocol, isAgreed) => {
      const heard = say([link, HOST, ...UPGRADE, VERSION, KEY, AUTHORIZED, ...offer]);
      await until(() => heard.text.includes('\r\n\r\n'), 'the head of an answer');
      expect(heard.text).toMatch(/^HTTP\/1\.1 101 /);
      expect(protocol.test(heard.text)).toBe(isAgreed);
    });

    it.each([
      ['GET', 'h2c', '/v1/tree', /^HTTP\/1\.1 200 [\s\S]*content-type: text\/plain/i],
      ['GET', 'websocket', '/v1/tree', /^HTTP\/1\.1 200 [\s\S]*content-type: text\/plain/i],
      ['POST', 'h2c', '/v1/root', /^HTTP\/1\.1 405 [\s\S]*allow: GET,HEAD/i],
      ['POST', 'websocket', '/v1/root', /^HTTP\/1\.1 405 [\s\S]*allow: GET,HEAD/i],
    ])('%s to %s of %s is answered as without it', async (method, protocol, path, answer) => {
      const heard = say([`${method} ${path} HTTP/1.1`, HOST, 'Connection: Upgrade', `Upgrade: ${protocol}`]);
      await until(() => heard.text.includes('\r\n\r\n'), 'the head of an answer');
      expect(heard.text).toMatch(answer);
    });

    it('with a binary frame closes the link with 1008', async () => {
      const peers = new Peers(await start());
      const agent = await peers.dial({ heartbeats: false });
      agent.socket.send(Buffer.from('{}'));
      await until(() => agent.closeCode !== null, 'the close');
      expect([agent.closeCode, agent.closeReason]).toEqual([1008, 'frames are text']);
      await peers.end();
    });
  });

  describe('a head', () => {
    it.each([
      ['no Host', [], 400],
      ['a Host that is no authority', ['Host: a b'], 400],
      ['a Host with a path', ['Host: localhost/v1/root'], 400],
    ])('with %s is refused', async (_, host, status) => {
      const heard = say(['GET /v1/root HTTP/1.1', ...host]);
      await until(() => heard.text.includes('\r\n\r\n'), 'the head of an answer');
      expect(Number(heard.text.slice(9, 12))).toBe(status);
    });

    it.each([
      ['/v1\\root', 400, 'bad_request'],
      ['/v1/..%2Froot', 404, 'not_found'],
      ['/v1/./root', 404, 'not_found'],
      ['/v1/x/../root', 404, 'not_found'],
      ['/v1/%2e%2e/root', 404, 'not_found'],
      ['/%76%31/root', 404, 'not_found'],
      ['/v1/a%zzb', 404, 'not_found'],
      ['/v1/%ff', 400, 'bad_request'],
      ['/v1/%', 404, 'not_found'],
    ])('for %s is matched as it stands: %i %s', async (target, status, code) => {
      expect(await refusal(say([`GET ${target} HTTP/1.1`, HOST]))).toEqual([status, code]);
    });

    it.each(['/v1/x#x', '/v1/a|b"<>{}^`'])('for %s, which nobody may send, gets an answer', async (target) => {
      const heard = say([`GET ${target} HTTP/1.1`, HOST]);
      if (capabilities.readsAnyTarget) return expect(await refusal(heard)).toEqual([404, 'not_found']);
      await until(() => heard.text.includes('\r\n\r\n'), 'the head of an answer');
      expect(heard.text).toMatch(/^HTTP\/1\.1 4/);
    });

    it('with a reference of 10,000 characters, encoded twice, gets an orderly answer', async () => {
      const answer = await rawRequest(gateway.url, 'GET', `/v1/${'%253C'.repeat(10_000)}`);
      expect([answer.status, JSON.parse(answer.body).error.code]).toEqual([404, 'not_found']);
    });

    it('of 160 KiB is refused', async () => {
      const heard = say([`GET /v1/${'x'.repeat(160 * 1_024)} HTTP/1.1`, HOST]);
      if (capabilities.explainsUnreadableHeads) return expect(await refusal(heard)).toEqual([431, 'bad_request']);
      // A server that hangs up at once may reset the connection before its answer has been read.
      await until(() => heard.text.includes('\r\n\r\n') || heard.isEnded, 'the head of an answer, or the end');
      expect(heard.text.slice(0, 13)).toMatch(/^(HTTP\/1\.1 4(00|14) )?$/);
    });

    it('that is no HTTP is refused, and the connection ends', async () => {
      const heard = say(['nonsense']);
      await until(() => heard.isEnded, 'the end of the connection');
      if (capabilities.explainsUnreadableHeads) expect(await refusal(heard)).toEqual([400, 'bad_request']);
    });
  });

  it('the end of the gateway does not wait for a peer that never closes its link', async () => {
    const other = await start();
    const heard = say([`GET ${LINK_PATH}?host=gpu-7 HTTP/1.1`, HOST, ...UPGRADE, VERSION, KEY, AUTHORIZED], other.port);
    await until(() => heard.text.startsWith('HTTP/1.1 101 '), 'the upgrade');
    const start_ms = performance.now();
    await other.close();
    expect(performance.now() - start_ms).toBeLessThan(5_000);
  });
}

/** What the OpenAPI document has against an answer that was read as bytes. */
function heardError({ asked, text }: Heard): string | null {
  const [, method = '', path = ''] = /^(\S+) (.*) HTTP/.exec(asked) ?? ['', 'GET', '*'];
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const body = /\{.*\}/s.exec(rest.join('\r\n\r\n'))?.[0] ?? '';
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim() ?? null;
  return answerError({ method, path, status: Number(text.slice(9, 12)), header, body });
}
