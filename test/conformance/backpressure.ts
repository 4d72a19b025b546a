/**
 * Backpressure: calls on one host up to their bound, in the thousands, over as many connections; the one too many is told
 * when to come again, and there is room again when calls end, however they end.
 */
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRef } from '../../src/contract/index.ts';
import { LIMITS } from '../../src/edge-gateway/limits.ts';
import type { CallFrame, FakeAgent } from '../support/fake-agent.ts';
import { AUTHORIZED } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { Peers, type Start } from './start.ts';

/** Connections that are opened before the calls on the earlier ones have reached the agent. */
const OPENED_AT_ONCE = 256;
/** Long enough for every call to last until it is ended here. */
const OPTS = '{"duration_s":300,"rate_hz":100,"native":false,"threads":false,"nonblocking":false}';
const JSON_HEADERS = { ...AUTHORIZED, 'content-type': 'application/json' };

export function backpressureCases(start: Start): void {
  describe(`with ${LIMITS.calls_per_host_max} calls on one host`, () => {
    let peers: Peers;
    let agent: FakeAgent;
    let path = '';
    const calls: CallFrame[] = [];
    const sockets: Socket[] = [];
    const heard = new Map<Socket, string>();
    /** Clients that went away before they were answered. */
    const gone = new Set<Socket>();

    beforeAll(async () => {
      peers = new Peers(await start());
      agent = await peers.dial({ onCall: (call) => calls.push(call) });
      agent.sync();
      await peers.untilCount('hosts', 1);
      path = `/v1/pyspy_profile_svg/${encodeRef(agent.procRef)}`;
      for (let open = 0; open < LIMITS.calls_per_host_max; open += OPENED_AT_ONCE) {
        for (let n = 0; n < OPENED_AT_ONCE; n += 1) ask();
        await until(() => calls.length === open + OPENED_AT_ONCE, `call ${open + OPENED_AT_ONCE}`);
      }
    });

    afterAll(async () => {
      for (const socket of sockets) socket.destroy();
      await peers.end();
    });

    /** One request on a connection of its own. */
    function ask(): void {
      const socket = connect({ port: peers.gateway.port, host: '127.0.0.1' });
      const lines = [
        `POST ${path} HTTP/1.1`,
        'Host: localhost',
        'Content-Type: application/json',
        `Content-Length: ${OPTS.length}`,
        `Authorization: ${AUTHORIZED.authorization}`,
        'Connection: close',
      ];
      socket.setEncoding('utf8');
      socket.on('data', (text: string) => heard.set(socket, (heard.get(socket) ?? '') + text));
      socket.on('error', () => {});
      socket.write(`${lines.join('\r\n')}\r\n\r\n${OPTS}`);
      sockets.push(socket);
    }

    const isRefused = async () => {
      const { status, headers, body } = await peers.ask('POST', path, JSON_HEADERS, OPTS);
      expect([status, headers['retry-after']]).toEqual([503, '1']);
      expect(JSON.parse(body).error).toMatchObject({ code: 'service_unavailable', details: { retry_after_s: 1 } });
    };

    it('all of them are with the agent, each under a number of its own, and nobody was refused', async () => {
      expect(new Set(calls.map(({ call }) => call)).size).toBe(LIMITS.calls_per_host_max);
      expect(heard.size).toBe(0);
      expect((await peers.counts()).calls).toBe(LIMITS.calls_per_host_max);
    });

    it('the next is 503 with Retry-After, at once and again, and does not reach the agent', async () => {
      for (let n = 0; n < 3; n += 1) await isRefused();
      expect(calls).toHaveLength(LIMITS.calls_per_host_max);
    });

    it.each(['config', 'pyspy'])('so is a call of another kind: %s', async (kind) => {
      const { status } = await peers.ask('GET', `/v1/${kind}/${encodeRef(agent.procRef)}`, AUTHORIZED);
      expect(status).toBe(503);
    });

    it('what needs no call is answered as ever: host, proc, root, tree', async () => {
      for (const reference of ['root', agent.hostRef, agent.procRef]) {
        expect((await peers.ask('GET', `/v1/${encodeRef(reference)}`)).status).toBe(200);
      }
      expect((await peers.ask('GET', '/v1/tree')).status).toBe(200);
    });

    it('another host is asked as ever', async () => {
      const other = await peers.dial({ host: 'other', onCall: ({ call }, self) => self.answer(call, { entries: [] }) });
      other.sync();
      await peers.untilCount('hosts', 2);
      const { status } = await peers.ask('GET', `/v1/config/${encodeRef(other.procRef)}`, AUTHORIZED);
      expect(status).toBe(200);
    });

    it('one that is answered makes room for one, and no more', async () => {
      agent.answer(calls[0]?.call ?? 0, { kind: 'ok', svg: '<svg/>' });
      await until(() => heard.size === 1, 'the answer');
      ask();
      await until(() => calls.length === LIMITS.calls_per_host_max + 1, 'the next call');
      await isRefused();
    });

    it('one whose client goes away is cancelled, and makes room', async () => {
      const [leaver] = sockets.splice(-1);
      const last = calls.at(-1)?.call;
      if (leaver !== undefined) gone.add(leaver.resetAndDestroy());
      await until(() => agent.frames('cancel').some(({ call }) => call === last), 'the cancel');
      ask();
      await until(() => calls.length === LIMITS.calls_per_host_max + 2, 'the next call');
      await isRefused();
    });

    it('when all are answered everybody has got theirs, and the next call is answered', async () => {
      for (const { call } of calls) agent.answer(call, { kind: 'ok', svg: `<svg id="${call}"/>` });
      await until(() => sockets.every((socket) => heard.has(socket)), 'every answer');
      const statuses = new Set([...heard].flatMap(([socket, text]) => (gone.has(socket) ? [] : [text.slice(9, 12)])));
      expect([...statuses]).toEqual(['200']);
      await peers.untilCount('calls', 0);
      const before = calls.length;
      const asked = peers.ask('POST', path, JSON_HEADERS, OPTS);
      await until(() => calls.length === before + 1, 'one more call');
      agent.answer(calls.at(-1)?.call ?? 0, { kind: 'ok', svg: '<svg/>' });
      expect((await asked).status).toBe(200);
      expect(agent.closeCode).toBeNull();
    });
  });
}
