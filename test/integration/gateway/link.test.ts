/** What of the link can only be seen, or done, inside the gateway's process; the rest is in test/conformance/link.ts. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { success, timestamp } from '../../../src/base/index.ts';
import { encodeRef } from '../../../src/contract/index.ts';
import type { RunningGateway } from '../../../src/edge-gateway/targets/node/node.ts';
import { FakeAgent, type FakeAgentOptions } from '../../support/fake-agent.ts';
import { AUTHORIZED, rawRequest, startGateway, TOKEN } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';

const HEARTBEAT_MS = 100;

let gateway: RunningGateway;
const agents: FakeAgent[] = [];

beforeEach(async () => {
  gateway = await startGateway({ heartbeat_ms: HEARTBEAT_MS });
});

afterEach(async () => {
  for (const agent of agents.splice(0)) agent.drop();
  await gateway.close();
});

/** An agent whose state is shown. */
async function linked(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
  const agent = await FakeAgent.dial({ url: gateway.url, token: TOKEN, ...options });
  agents.push(agent);
  agent.sync();
  const path = `/v1/${encodeRef(agent.hostRef)}`;
  await until(async () => (await rawRequest(gateway.url, 'GET', path, AUTHORIZED)).status === 200, 'the first state');
  return agent;
}

describe('a link and its hub', () => {
  it('is not mistaken for a stall of the gateway itself: what came meanwhile is read first', async () => {
    const agent = await linked();
    agent.stopHeartbeats();
    const stall = (wait_ms: number) => {
      const until_ms = performance.now() + wait_ms;
      while (performance.now() < until_ms);
    };
    stall(HEARTBEAT_MS);
    agent.send({ type: 'heartbeat' });
    stall(3 * HEARTBEAT_MS);
    // Sent before the hub has its turn: judged first, the link would end as silent; read first, it ends by this.
    agent.send({ type: 'bye', reason: 'done' });
    await until(() => agent.closeCode !== null, 'the close');
    expect(agent.closeReason).toBe('bye');
  });

  it('asks the agent for an actor when it is read, and shares one call among all who ask (single flight)', async () => {
    const agent = await linked();
    const reads = Array.from({ length: 20 }, async () => gateway.hub.read(agent.actorRef));
    await until(() => agent.frames('call').length > 0, 'the call');
    const fresh = agent.actor(agent.actorRef, timestamp(Date.now()), 'step: processing for 5ms');
    agent.answer(agent.frames('call')[0]?.call ?? 0, fresh);
    expect(await Promise.all(reads)).toEqual(reads.map(() => success(JSON.stringify(fresh))));
    expect(agent.frames('call')).toHaveLength(1);
  });

  it('keeps a shared call as long as one of those who asked is still there', async () => {
    const agent = await linked();
    const [leaver, stayer] = [new AbortController(), new AbortController()];
    const left = gateway.hub.read(agent.actorRef, leaver);
    const stayed = gateway.hub.read(agent.actorRef, stayer);
    leaver.abort();
    expect(await left).toMatchObject({ ok: false });
    await until(() => agent.frames('call').length > 0, 'the call');
    const fresh = agent.actor(agent.actorRef, timestamp(Date.now()), 'busy');
    agent.answer(agent.frames('call')[0]?.call ?? 0, fresh);
    expect(await stayed).toEqual(success(JSON.stringify(fresh)));
    expect(agent.frames('cancel')).toEqual([]);
  });

  it('serves two thousand reads at once without a rejection', async () => {
    const agent = await linked({ onCall: ({ call }, self) => self.answer(call, self.actor(self.actorRef)) });
    const reads = await Promise.all(Array.from({ length: 2_000 }, async () => gateway.hub.read(agent.actorRef)));
    expect(reads.filter(({ ok }) => !ok)).toEqual([]);
  });
});
