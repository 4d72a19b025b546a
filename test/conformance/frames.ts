/**
 * Frames of the link (contract/link.ts) in odd shapes and orders: fragments, pings, sizes in bytes, numbering, versions to
 * come, and several agents that claim one name. Each case has a host of its own on one gateway.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLOSE, encodeRef, FRAME_MAX_BYTES } from '../../src/contract/index.ts';
import type { FakeAgent, FakeAgentOptions } from '../support/fake-agent.ts';
import { until } from '../support/until.ts';
import { Peers, type Start } from './start.ts';

export function frameCases(start: Start): void {
  let peers: Peers;
  let hostCount = 0;

  beforeAll(async () => {
    peers = new Peers(await start());
  });

  afterAll(() => peers.end());

  const newHost = () => {
    hostCount += 1;
    return `framed-${hostCount}`;
  };
  const dial = (options: Partial<FakeAgentOptions> = {}) => peers.dial({ host: newHost(), ...options });
  const get = (reference: string) => peers.ask('GET', `/v1/${encodeRef(reference)}`);
  const untilStatus = (reference: string, status: number) =>
    until(async () => (await get(reference)).status === status, `${reference} to be ${status}`);
  const untilClosed = (agent: FakeAgent) => until(() => agent.closeCode !== null, 'the close');

  async function linked(): Promise<FakeAgent> {
    const agent = await dial();
    agent.sync();
    await untilStatus(agent.hostRef, 200);
    return agent;
  }

  describe('a frame', () => {
    it('in fragments is one frame', async () => {
      const agent = await dial();
      agent.seq = 1;
      const text = JSON.stringify({ type: 'sync', seq: 1, nodes: agent.mesh(), more: false });
      const third = Math.ceil(text.length / 3);
      agent.socket.send(text.slice(0, third), { fin: false });
      agent.socket.send(text.slice(third, 2 * third), { fin: false });
      agent.socket.send(text.slice(2 * third), { fin: true });
      await untilStatus(agent.procRef, 200);
    });

    it('with fields of a release to come is taken without them', async () => {
      const agent = await linked();
      const node = { ...agent.proc(agent.procRef, []), colour: 'red' };
      agent.seq += 1;
      agent.send(JSON.stringify({ type: 'delta', seq: agent.seq, nodes: [node], removed: [], priority: 7 }));
      await until(async () => JSON.parse((await get(agent.procRef)).body).children.length === 0, 'the change');
      expect((await get(agent.procRef)).body).not.toContain('colour');
    });

    it('may remove what is not there', async () => {
      const agent = await linked();
      agent.delta([], [`nobody<ZG3F>@${agent.location}`]);
      agent.delta([], [agent.procRef]);
      await untilStatus(agent.procRef, 404);
      expect(agent.closeCode).toBeNull();
    });

    it('with a time in the other spelling of UTC is taken', async () => {
      const agent = await linked();
      agent.delta([{ ...agent.proc(agent.procRef, []), as_of: '2026-03-02T09:15:02.004+00:00' }]);
      await until(async () => JSON.parse((await get(agent.procRef)).body).children.length === 0, 'the change');
    });

    it.each([
      ['of no text', ''],
      ['that is null', 'null'],
      ['that is a list', '[]'],
      ['that is a number', '7'],
      ['without a type', '{}'],
      ['of a type that nobody has', '{"type":"__proto__"}'],
      ["of the gateway's own", '{"type":"welcome"}'],
      ['of half a JSON text', '{"type":"heartbeat"'],
      ['nested without end', '['.repeat(50_000)],
      ['with a number that is none', '{"type":"delta","seq":1e999,"nodes":[],"removed":[]}'],
      ['with the number 0', '{"type":"sync","seq":0,"nodes":[],"more":false}'],
      ['with a negative number', '{"type":"sync","seq":-1,"nodes":[],"more":false}'],
      ['with half a number', '{"type":"sync","seq":1.5,"nodes":[],"more":false}'],
      ['with a number in quotes', '{"type":"sync","seq":"1","nodes":[],"more":false}'],
    ])('%s closes the link with 1008 and a reason', async (_, text) => {
      const agent = await dial();
      agent.stopHeartbeats();
      agent.send(text);
      await untilClosed(agent);
      expect(agent.closeCode).toBe(CLOSE.protocol);
      expect(agent.closeReason).not.toBe('');
    });

    it('with memory that is a list closes the link: it is no object', async () => {
      const agent = await linked();
      const node = agent.proc(agent.procRef, []);
      if ('Proc' in node.properties) Object.assign(node.properties.Proc.debug, { memory: [] });
      agent.stopHeartbeats();
      agent.delta([node]);
      await untilClosed(agent);
      expect(agent.closeCode).toBe(CLOSE.protocol);
    });

    it.each([
      ['é', 0, null],
      ['é', 1, CLOSE.too_large],
      ['\u{1f4a5}', 0, null],
      ['\u{1f4a5}', 1, CLOSE.too_large],
    ])('of %s up to the bound in bytes, and %i more: close code %s', async (character, more, code) => {
      const agent = await linked();
      const frame = JSON.stringify({ type: 'answer', call: 1, part: '', more: true });
      const room = FRAME_MAX_BYTES - frame.length;
      const size = Buffer.byteLength(character);
      const text = character.repeat(Math.floor(room / size)) + 'x'.repeat((room % size) + more);
      const { late_answers = 0 } = await peers.counts();
      if (code !== null) agent.stopHeartbeats();
      agent.send(frame.replace('""', `"${text}"`));
      await until(
        async () => agent.closeCode !== null || (await peers.counts()).late_answers !== late_answers,
        'the close, or the late answer to be counted',
      );
      expect(agent.closeCode).toBe(code);
    });
  });

  describe('a socket', () => {
    it('that is pinged answers', async () => {
      const agent = await dial();
      const pong = new Promise<string>((resolve) => agent.socket.once('pong', (data) => resolve(String(data))));
      agent.socket.ping('are you there');
      expect(await pong).toBe('are you there');
    });

    it('that the agent closes in order, but without bye, leaves the host behind', async () => {
      const agent = await linked();
      agent.socket.close(1000, 'restarting');
      await untilClosed(agent);
      await untilStatus(agent.hostRef, 504);
    });

    it('is closed with 1000 after bye', async () => {
      const agent = await linked();
      agent.stopHeartbeats();
      agent.send({ type: 'bye', reason: 'done' });
      await untilClosed(agent);
      expect(agent.closeCode).toBe(CLOSE.normal);
    });

    it('says nothing any more after bye', async () => {
      const agent = await linked();
      agent.send({ type: 'bye', reason: 'done' });
      agent.sync();
      await untilClosed(agent);
      expect((await get(agent.hostRef)).status).toBe(404);
    });

    it('of one host is no matter to another', async () => {
      const [stays, goes] = [await linked(), await linked()];
      goes.drop();
      await untilStatus(goes.procRef, 504);
      expect((await get(stays.procRef)).status).toBe(200);
      expect(JSON.parse((await get('root')).body).children).toEqual(
        expect.arrayContaining([stays.hostRef, goes.hostRef]),
      );
    });
  });

  describe('numbering', () => {
    it('may begin anywhere', async () => {
      const agent = await dial();
      agent.seq = 7_000_000;
      agent.sync();
      agent.delta([], [agent.procRef]);
      await untilStatus(agent.serviceRef, 200);
      await untilStatus(agent.procRef, 404);
    });

    it('runs through the frames of one sync and the deltas between them', async () => {
      const agent = await dial();
      const [host, service, worker, actor] = agent.mesh();
      if (host === undefined || service === undefined || worker === undefined || actor === undefined)
        throw new Error('mesh');
      agent.sync([host], true);
      agent.delta([service], []);
      agent.sync([worker, actor], true);
      agent.delta([], [actor.identity]);
      expect((await get(agent.hostRef)).status).toBe(404);
      agent.sync([]);
      await untilStatus(agent.procRef, 200);
      expect((await get(agent.serviceRef)).status).toBe(200);
      expect(agent.frames('resync')).toEqual([]);
    });

    it('with a gap inside a sync drops what came of it', async () => {
      const agent = await dial();
      const [host, ...rest] = agent.mesh();
      if (host === undefined) throw new Error('no host node');
      agent.sync([host], true);
      agent.seq += 1;
      agent.sync(rest);
      await until(() => agent.frames('resync').length === 1, 'the resync');
      expect((await get(agent.hostRef)).status).toBe(404);
      agent.sync();
      await untilStatus(agent.hostRef, 200);
    });

    it('says in resync which frame was missed', async () => {
      const agent = await linked();
      const { seq } = agent;
      agent.seq += 3;
      agent.delta([]);
      await until(() => agent.frames('resync').length === 1, 'the resync');
      expect(agent.frames('resync')[0]?.reason).toBe(`expected frame ${seq + 1}, got ${seq + 4}`);
    });

    it('keeps showing the last whole state while a new one is asked for', async () => {
      const agent = await linked();
      agent.seq += 1;
      agent.delta([], [agent.procRef]);
      await until(() => agent.frames('resync').length === 1, 'the resync');
      expect((await get(agent.procRef)).status).toBe(200);
    });

    it('counts gaps and stale frames where everybody can see them', async () => {
      const { gaps = 0, stale_frames = 0 } = await peers.counts();
      const agent = await linked();
      agent.seq -= 1;
      agent.delta([]);
      agent.seq += 1;
      agent.delta([]);
      await until(() => agent.frames('resync').length === 1, 'the resync');
      expect(await peers.counts()).toMatchObject({ gaps: gaps + 1, stale_frames: stale_frames + 1 });
    });
  });

  describe('hello', () => {
    it.each([0, 2, 99, 1.5])('of version %d is refused for its version, whatever else it says', async (version) => {
      const agent = await peers.open({ host: newHost() });
      agent.send(JSON.stringify({ type: 'hello', version, host: { name: agent.host }, future: true }));
      await untilClosed(agent);
      expect(agent.frames('refuse')).toMatchObject([{ code: 'version_mismatch', retry: false }]);
      expect(agent.frames('refuse')[0]?.message).toContain(`the agent ${version}`);
    });

    it.each([
      ['a start that is no time', { started_at: 'today' }, 'bad_hello'],
      ['an incarnation that is no UUID', { incarnation: 'me' }, 'bad_hello'],
      ['a name of 101 characters', { host: 'x'.repeat(101) }, 'bad_host_name'],
      ['a name with a slash', { host: 'a/b' }, 'bad_host_name'],
      ['no name', { host: '' }, 'bad_host_name'],
    ])('with %s is refused, and says which field', async (_, change, code) => {
      const agent = await peers.open({ host: newHost() });
      agent.hello(change);
      await untilClosed(agent);
      expect(agent.frames('refuse')).toMatchObject([{ code, retry: false }]);
      expect(agent.frames('refuse')[0]?.message).toContain(Object.keys(change)[0]);
    });

    it('for a name of 100 characters is welcome', async () => {
      const agent = await dial({ host: `h${'x'.repeat(99)}` });
      expect(agent.frames('welcome')).toHaveLength(1);
    });

    it('for a name that is taken may not be followed by anything before welcome', async () => {
      const owner = await linked();
      owner.stopHeartbeats();
      const contender = await peers.open({ host: owner.host, heartbeats: false });
      contender.hello();
      contender.sync();
      await untilClosed(contender);
      expect([contender.closeCode, contender.received]).toEqual([CLOSE.protocol, []]);
      expect((await get(owner.hostRef)).status).toBe(200);
    });
  });
}
