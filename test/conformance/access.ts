/** Who may do what: tokens, anonymous levels, names in `Host`, pages in `Origin`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnonymousLevel } from '../../src/edge-gateway/index.ts';
import { AUTHORIZED, rawRequest } from '../support/gateway.ts';
import { type Gateway, Peers, type Start, TOKEN_SOURCE } from './start.ts';

const TOPOLOGY = ['/v1/root', '/v1/tree', '/v1/schema', '/v1/openapi.json', '/SKILL.md', '/v1/admin', '/nowhere'];
const INSPECT = ['/v1/pyspy/x', '/v1/config/x'];
const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'eA==',
};

const LEVELS: [AnonymousLevel, boolean, boolean][] = [
  ['none', false, false],
  ['topology', true, false],
  ['all', true, true],
];

export function accessCases(start: Start): void {
  const gateways = new Map<AnonymousLevel, Gateway>();

  beforeAll(async () => {
    for (const anonymous of ['none', 'topology', 'all'] as const) gateways.set(anonymous, await start({ anonymous }));
  });

  afterAll(async () => {
    await Promise.all([...gateways.values()].map((gateway) => gateway.close()));
  });

  function ask(anonymous: AnonymousLevel, path: string, headers: Record<string, string> = {}, method = 'GET') {
    return rawRequest(gateways.get(anonymous)?.url ?? '', method, path, headers);
  }

  describe.each(LEVELS)('anonymous %s', (anonymous, mayRead, mayInspect) => {
    it.each(TOPOLOGY)('%s without a token', async (path) => {
      expect((await ask(anonymous, path)).status === 401).toBe(!mayRead);
    });

    it.each(INSPECT)('%s without a token', async (path) => {
      expect((await ask(anonymous, path)).status).toBe(mayInspect ? 400 : 401);
      expect((await ask(anonymous, '/v1/query', {}, 'POST')).status).toBe(mayInspect ? 415 : 401);
    });

    it('the link always needs the token', async () => {
      expect((await ask(anonymous, '/v1/link', UPGRADE)).status).toBe(401);
      expect((await ask(anonymous, '/v1/link')).status).toBe(401);
    });

    it.each([...TOPOLOGY, ...INSPECT, '/v1/link'])(
      '%s with a wrong token is 401, with the right one is not',
      async (path) => {
        const wrong = await ask(anonymous, path, { authorization: 'Bearer wrong' });
        expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([401, 'Bearer realm="meshscope"']);
        expect(JSON.parse(wrong.body).error.message).toContain(TOKEN_SOURCE);
        expect((await ask(anonymous, path, { authorization: 'Basic eDp5' })).status).toBe(401);
        expect((await ask(anonymous, path, AUTHORIZED)).status).not.toBe(401);
      },
    );

    it('/healthz is open to everybody', async () => {
      const { status, body } = await ask(anonymous, '/healthz', { authorization: 'Bearer wrong' });
      expect([status, JSON.parse(body)]).toMatchObject([200, { ok: true, hosts: 0, links: 0, telemetry: false }]);
    });
  });

  describe('Host and Origin', () => {
    it('a name that a proxy serves is taken when it is listed, and no other', async () => {
      const proxied = new Peers(await start({ allowed_hosts: ['mesh.example.com'] }));
      const root = async (host: string) => (await proxied.ask('GET', '/v1/root', { host, ...AUTHORIZED })).status;
      expect([
        await root('mesh.example.com'),
        await root('Mesh.Example.com:443'),
        await root('evil.example.com'),
      ]).toEqual([200, 200, 403]);
      await proxied.end();
    });

    it.each([
      ['localhost', 200],
      ['LOCALHOST:1', 200],
      ['127.0.0.1:80', 200],
      ['[::1]:1729', 200],
      ['[::1]', 200],
      ['::1', 400],
      ['localhost.', 403],
      ['localhost@evil.example', 400],
      ['evil.example', 403],
      ['localhost.evil.example:1729', 403],
    ])('Host %s on a loopback server: %i', async (host, status) => {
      expect((await ask('topology', '/v1/root', { host })).status).toBe(status);
      expect((await ask('topology', '/healthz', { host })).status).toBe(status);
    });

    it.each(['LOCALHOST', '0:0:0:0:0:0:0:1', '127.1'])('a server on %s is on loopback too', async (host) => {
      const gateway = await start({ host });
      const { port } = gateway;
      const address = host.includes(':') ? `http://[::1]:${port}` : `http://127.0.0.1:${port}`;
      const answer = await rawRequest(address, 'GET', '/healthz', { host: 'evil.example' });
      await gateway.close();
      expect(answer.status).toBe(403);
    });

    it('a foreign page is refused, also with the token, also on the upgrade; the own page is not', async () => {
      const { port = 0 } = gateways.get('topology') ?? {};
      for (const origin of ['http://evil.example', 'null', `http://127.0.0.1:${port + 1}`]) {
        expect((await ask('topology', '/v1/root', { ...AUTHORIZED, origin })).status).toBe(403);
        const upgrade = await ask('topology', '/v1/link', { ...AUTHORIZED, ...UPGRADE, origin });
        expect([upgrade.status, JSON.parse(upgrade.body).error.code]).toEqual([403, 'forbidden']);
      }
      const own = { ...AUTHORIZED, origin: `http://127.0.0.1:${port}` };
      expect((await ask('topology', '/v1/root', own)).status).toBe(200);
    });

    it('no answer allows another origin to read it', async () => {
      const { headers } = await ask('topology', '/v1/root');
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    });
  });
}
