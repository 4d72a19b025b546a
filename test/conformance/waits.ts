/**
 * What happens when a wait of the gateway is over. The gateways are the real ones with their real waits, of which the
 * longest is ten seconds; so these cases run side by side, each on a gateway of its own.
 */
import { it } from 'vitest';
import { CLOSE, encodeRef } from '../../src/contract/index.ts';
import { LIMITS } from '../../src/edge-gateway/limits.ts';
import type { CallFrame, FakeAgent } from '../support/fake-agent.ts';
import { AUTHORIZED, TOKEN } from '../support/gateway.ts';
import { LinkedStore } from '../support/linked-store.ts';
import { tokenDocument, tokenText } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { Peers, type Start, type StartOptions } from './start.ts';

const JSON_HEADERS = { ...AUTHORIZED, 'content-type': 'application/json' };

export function waitCases(start: Start): void {
  async function withGateway(options: StartOptions, run: (peers: Peers) => Promise<void>): Promise<void> {
    const peers = new Peers(await start(options));
    try {
      await run(peers);
    } finally {
      await peers.end();
    }
  }

  async function linked(peers: Peers, host: string, onCall: (call: CallFrame) => void = () => {}): Promise<FakeAgent> {
    const agent = await peers.dial({ host, onCall });
    agent.sync();
    await until(async () => (await get(peers, agent.hostRef)).status === 200, 'the first state');
    return agent;
  }

  const get = (peers: Peers, reference: string, prefix = '/v1/') =>
    peers.ask('GET', `${prefix}${encodeRef(reference)}`, AUTHORIZED);

  // Some runtimes answer a heartbeat without waking the gateway, which sees that there is no hello when that is overdue.
  it('a heartbeat in place of hello closes the link with 1008', ({ expect }) =>
    withGateway({}, async (peers) => {
      const agent = await peers.open({ heartbeats: false });
      agent.send({ type: 'heartbeat' });
      await until(() => agent.closeCode !== null, 'the close');
      expect(agent.closeCode).toBe(CLOSE.protocol);
    }));

  it('a call that is never answered ends at its deadline, is cancelled, and what comes then is dropped', ({ expect }) =>
    withGateway({}, async (peers) => {
      const calls: CallFrame[] = [];
      let onCall = (call: CallFrame): void => void calls.push(call);
      const agent = await linked(peers, 'slow', (call) => onCall(call));
      const config = () => get(peers, agent.procRef, '/v1/config/');
      const [unknown, late] = await Promise.all([get(peers, `ghost<ZG3F>.${agent.procRef}`), config()]);
      expect([unknown.status, JSON.parse(unknown.body).error]).toEqual([
        504,
        { code: 'gateway_timeout', message: 'timed out resolving reference' },
      ]);
      expect([late.status, JSON.parse(late.body).error]).toEqual([
        504,
        { code: 'gateway_timeout', message: 'timed out waiting for config dump' },
      ]);
      await until(() => agent.frames('cancel').length === 2, 'both cancels');
      for (const { call } of calls) agent.answer(call, { entries: [] });
      await peers.untilCount('late_answers', 2);
      onCall = ({ call }) => agent.answer(call, { entries: [] });
      expect((await config()).status).toBe(200);
    }));

  it('a query that the store never answers ends with 504, and is cancelled', ({ expect }) =>
    withGateway({}, async (peers) => {
      const store = await LinkedStore.dial({ url: peers.gateway.url, token: TOKEN });
      const answer = await peers.ask('POST', '/v1/query', JSON_HEADERS, '{"sql":"x"}');
      expect([answer.status, JSON.parse(answer.body).error.code]).toEqual([504, 'gateway_timeout']);
      await until(() => store.frames('cancel').length === 1, 'the cancel');
      store.drop();
    }));

  it('a link ends when its token does', ({ expect }) => {
    const expires_at = new Date(Date.now() + 3_000).toISOString();
    const tokens = tokenDocument({ short: { roles: ['agent'], expires_at } });
    return withGateway({ tokens, heartbeat_ms: 2_000 }, async (peers) => {
      const agent = await peers.dial({ token: tokenText('short'), heartbeats: false });
      const other = await peers.dial({ host: 'gpu-8' });
      expect(agent.frames('welcome')).toHaveLength(1);
      await until(() => agent.closeCode !== null, 'the close');
      expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expires_at));
      expect([agent.closeCode, agent.closeReason]).toEqual([CLOSE.protocol, 'token revoked']);
      expect(other.closeCode).toBeNull();
    });
  });

  it(`hello for a name that is taken waits, ${LIMITS.contenders_max} at once; the next is refused, and all are when its owner speaks`, ({
    expect,
  }) =>
    withGateway({}, async (peers) => {
      const owner = await linked(peers, 'taken');
      owner.stopHeartbeats();
      const wait = () => peers.open({ host: owner.host, heartbeats: false });
      const contenders = await Promise.all(Array.from({ length: LIMITS.contenders_max }, wait));
      for (const contender of contenders) contender.hello();
      const extra = await wait();
      // In a turn of its own, so that the others have been heard.
      await until(async () => (await get(peers, 'root')).status === 200, 'the root');
      extra.hello();
      const all = [...contenders, extra];
      const closed = () => all.filter(({ closeCode }) => closeCode !== null);
      await until(() => closed().length > 0, 'one to be refused');
      expect(closed()).toHaveLength(1);
      owner.send({ type: 'heartbeat' });
      await until(() => closed().length === all.length, 'all to be refused');
      for (const each of all) {
        expect(each.frames('refuse')).toMatchObject([{ code: 'host_name_taken', retry: false }]);
      }
      expect(owner.closeCode).toBeNull();
    }));
}
