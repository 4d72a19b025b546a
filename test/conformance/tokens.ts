/** Tokens with roles, ends and hosts, and the audit line of who did what. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLOSE, encodeRef, LINK_PATH, STORE_PATH } from '../../src/contract/index.ts';
import { AUTHORIZED, TOKEN } from '../support/gateway.ts';
import { bearer, tokenDocument, tokenText } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { type FakeStore, startStore } from './fake-store.ts';
import { Peers, type Start } from './start.ts';

const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

const TOKENS = tokenDocument({
  reader: { roles: ['read'] },
  inspector: { roles: ['inspect'] },
  operator: { roles: ['operate'] },
  publisher: { roles: ['agent'] },
  'gpu-7-only': { roles: ['agent'], hosts: ['gpu-7', 'gpu-8'] },
  storekeeper: { roles: ['store'] },
  everything: { roles: ['read', 'inspect', 'operate', 'agent', 'store'], expires_at: '2999-01-01T00:00:00Z' },
  old: { roles: ['operate', 'agent'], expires_at: '2026-02-01T00:00:00.000Z' },
});

/** What of `GET /v1/root`, `GET /v1/config/x`, `GET /v1/link` and `GET /v1/store` a token is admitted to. */
const ADMITTED: [string, boolean, boolean, boolean, boolean][] = [
  ['reader', true, false, false, false],
  ['inspector', true, true, false, false],
  ['operator', true, true, false, false],
  ['publisher', false, false, true, false],
  ['gpu-7-only', false, false, true, false],
  ['storekeeper', false, false, false, true],
  ['everything', true, true, true, true],
];

export function tokenCases(start: Start): void {
  let closed: Peers;
  let open: Peers;
  let store: FakeStore;

  beforeAll(async () => {
    store = await startStore();
    closed = new Peers(await start({ anonymous: 'none', tokens: TOKENS, telemetry_url: store.url }));
    open = new Peers(await start({ anonymous: 'topology', tokens: TOKENS }));
  });

  afterAll(async () => {
    await Promise.all([closed.end(), open.end()]);
    await store.close();
  });

  const errorOf = (body: string) => JSON.parse(body).error;

  it.each(ADMITTED)(
    'the role of %s admits to root: %s, configuration: %s, the link: %s, that of the store: %s',
    async (name, ...admitted) => {
      const roles = ['read', 'inspect', 'agent', 'store'];
      for (const [index, path] of ['/v1/root', '/v1/config/x', LINK_PATH, STORE_PATH].entries()) {
        const { status, body } = await closed.ask('GET', path, bearer(name));
        expect([path, status]).toEqual([path, admitted[index] ? (path === '/v1/root' ? 200 : 400) : 403]);
        if (admitted[index]) continue;
        expect(errorOf(body).message).toContain(`the role '${roles[index]}' is needed here; the token '${name}' has `);
      }
    },
  );

  it('an expired token is 401 and says whose it is and when it ended, also where none is needed', async () => {
    for (const peers of [closed, open]) {
      const { status, headers, body } = await peers.ask('GET', '/v1/root', bearer('old'));
      expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer realm="meshscope"']);
      expect(errorOf(body).message).toBe("the token 'old' expired at 2026-02-01T00:00:00.000Z");
    }
  });

  it('a right token whose role is too small gets as far as anybody', async () => {
    expect((await open.ask('GET', '/v1/root', bearer('publisher'))).status).toBe(200);
    expect((await open.ask('GET', '/v1/config/x', bearer('publisher'))).status).toBe(403);
  });

  it("the owner's token has every role", async () => {
    const statuses = await Promise.all(
      ['/v1/root', '/v1/config/x', LINK_PATH, STORE_PATH].map(
        async (path) => (await closed.ask('GET', path, AUTHORIZED)).status,
      ),
    );
    expect(statuses).toEqual([200, 400, 400, 400]);
  });

  const [known] = TOKENS.tokens;
  it.each([
    ['the digest of a token', `Bearer ${known?.sha256}`],
    ['the name of a token', 'Bearer reader'],
    ['a token with one character more', `Bearer ${tokenText('reader')}x`],
    ['a token with one character less', `Bearer ${tokenText('reader').slice(0, -1)}`],
    ['two tokens', `Bearer ${tokenText('reader')} ${tokenText('operator')}`],
    ['another scheme', `Basic ${tokenText('reader')}`],
    ['nothing', 'Bearer'],
    ['a token in another letter case', `Bearer ${tokenText('reader').toUpperCase()}`],
    ['1,025 characters', `Bearer ${'x'.repeat(1_025)}`],
  ])('%s is no token', async (_, authorization) => {
    expect((await closed.ask('GET', '/v1/root', { authorization })).status).toBe(401);
  });

  it('the scheme may be written in any case', async () => {
    const authorization = `bEARER ${tokenText('reader')}`;
    expect((await closed.ask('GET', '/v1/root', { authorization })).status).toBe(200);
  });

  describe('a token that may publish some hosts', () => {
    const token = tokenText('gpu-7-only');

    it('publishes them', async () => {
      const agent = await closed.dial({ token, host: 'gpu-8' });
      expect(agent.frames('welcome')).toHaveLength(1);
      agent.send({ type: 'bye', reason: 'done' });
      await until(() => agent.closeCode !== null, 'the close');
    });

    it('is refused another at the upgrade, and without it for the sake of the explanation', async () => {
      for (const headers of [bearer('gpu-7-only'), { ...bearer('gpu-7-only'), ...UPGRADE }]) {
        const { status, body } = await closed.ask('GET', `${LINK_PATH}?host=gpu-9`, headers);
        expect([status, errorOf(body).code]).toEqual([403, 'forbidden']);
        expect(errorOf(body).message).toBe("the token 'gpu-7-only' may publish gpu-7, gpu-8, not 'gpu-9'");
      }
    });

    it('is refused another in hello than the link was opened for', async () => {
      const agent = await closed.open({ token, host: 'gpu-7', heartbeats: false });
      agent.hello({ host: 'gpu-9' });
      await until(() => agent.closeCode !== null, 'the close');
      expect(agent.frames('refuse')).toMatchObject([{ code: 'host_mismatch', retry: false }]);
      expect([agent.closeCode, agent.closeReason]).toEqual([CLOSE.protocol, 'host_mismatch']);
    });
  });

  describe('the audit line', () => {
    const says = (pattern: RegExp) =>
      until(() => pattern.test(closed.gateway.log()), `${pattern} in ${closed.gateway.log()}`);
    const json = { 'content-type': 'application/json' };

    it('tells of a query: who, the SQL, how it ended, and how long it took', async () => {
      const sql = "select 'a\u001b[31m' --\n";
      await closed.ask('POST', '/v1/query', { ...bearer('inspector'), ...json }, JSON.stringify({ sql }));
      await says(/audit: who="inspector" what=query target="select 'a\\u001b\[31m' --\\n" status=200 ms=\d+/);
    });

    it.each([200, 201])('of SQL of %i characters it shows 200', async (chars) => {
      const sql = `${chars}`.padEnd(chars, 'x');
      await closed.ask('POST', '/v1/query', { ...AUTHORIZED, ...json }, JSON.stringify({ sql }));
      await says(new RegExp(`who="owner" what=query target="${chars}x{197}" status=200`));
    });

    it.each([
      ['GET', 'pyspy', 'dump', 404],
      ['POST', 'pyspy_dump', 'stored_dump', 404],
      ['POST', 'pyspy_profile_svg', 'profile', 404],
      ['GET', 'config', 'config', 504],
    ])('tells of %s /v1/%s', async (method, route, what, status) => {
      const reference = `worker-${what}@ipc://nowhere`;
      const body =
        what === 'profile' ? '{"duration_s":1,"rate_hz":9,"native":false,"threads":false,"nonblocking":false}' : 'null';
      const path = `/v1/${route}/${encodeRef(reference)}`;
      const asked =
        method === 'POST'
          ? closed.ask(method, path, { ...AUTHORIZED, ...json }, body)
          : closed.ask(method, path, AUTHORIZED);
      expect((await asked).status).toBe(status);
      await says(new RegExp(`who="owner" what=${what} target="${reference}" status=${status} ms=`));
    });

    it.each([
      ['no token', {}, 'anonymous', 401],
      ['an unknown token', { authorization: 'Bearer x' }, 'unknown', 401],
      ['an expired token', bearer('old'), 'old', 401],
      ['too small a role', bearer('reader'), 'reader', 403],
      ['a foreign page', { ...AUTHORIZED, origin: 'http://evil.example' }, 'unknown', 403],
    ])('tells of a refusal for %s', async (label, headers, who, status) => {
      const target = `worker@ipc://${label.replaceAll(' ', '-')}`;
      await closed.ask('GET', `/v1/pyspy/${encodeRef(target)}`, { ...headers });
      await says(new RegExp(`who="${who}" what=dump target="${target}" status=${status} `));
    });

    it('tells who opened a link, and who was refused one', async () => {
      const agent = await closed.dial({ host: 'audited', token: tokenText('publisher') });
      await says(/host audited linked by publisher/);
      agent.drop();
      await closed.ask('GET', `${LINK_PATH}?host=gpu-9`, { ...bearer('gpu-7-only'), ...UPGRADE });
      await says(/who="gpu-7-only" what=link target="gpu-9" status=403/);
    });

    it('never holds a token, and says nothing of what changes nothing', async () => {
      await closed.ask('GET', '/v1/root', AUTHORIZED);
      const log = closed.gateway.log();
      expect([log.includes(TOKEN), log.includes('msc_'), log.includes('/v1/root')]).toEqual([false, false, false]);
    });
  });
}
