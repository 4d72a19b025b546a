/** A gateway that is told to stop, as by a planned restart: whoever waits gets an answer, and agents learn that they may dial again. */
import { expect, it } from 'vitest';
import { CLOSE, encodeRef } from '../../src/contract/index.ts';
import type { CallFrame } from '../support/fake-agent.ts';
import { AUTHORIZED } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { Peers, type Start } from './start.ts';

const DUMP = { Ok: { pid: 1, binary: 'py-spy', capture_mode: 'python_only', stack_traces: [], warnings: [] } };

export function drainCases(start: Start): void {
  it('a call in flight is answered although the gateway is told to stop, and only then is the link closed with 1001', async () => {
    const peers = new Peers(await start());
    const asked = Promise.withResolvers<CallFrame>();
    const agent = await peers.dial({ onCall: (call) => asked.resolve(call) });
    agent.sync();
    await peers.untilCount('hosts', 1);
    const answer = peers.ask('GET', `/v1/pyspy/${encodeRef(agent.procRef)}`, AUTHORIZED);
    const { call } = await asked.promise;
    const closed = peers.gateway.close();
    // The stop is under way when nobody is let in any more, whether or not the runtime still listens.
    await until(() => isTurnedAway(peers), 'the stop');
    expect(agent.closeCode).toBeNull();
    agent.answer(call, DUMP);
    const { status, body } = await answer;
    expect([status, JSON.parse(body)]).toEqual([200, DUMP]);
    await closed;
    await until(() => agent.closeCode !== null, 'the end of the link');
    expect(agent.closeCode).toBe(CLOSE.going_away);
  });
}

async function isTurnedAway(peers: Peers): Promise<boolean> {
  try {
    const late = await peers.dial({ host: 'late' });
    const { closeCode } = late;
    late.drop();
    return closeCode === CLOSE.going_away;
  } catch {
    return true;
  }
}
