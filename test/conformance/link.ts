/** The link: hello, names, publishing, its end, calls and events, with agents that stall, repeat, lie and vanish. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLOSE, type EventBatch, encodeRef, FRAME_MAX_BYTES } from '../../src/contract/index.ts';
import type { FakeAgent, FakeAgentOptions } from '../support/fake-agent.ts';
import { AUTHORIZED } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { type FakeStore, startStore } from './fake-store.ts';
import { Peers, type Start } from './start.ts';

const HEARTBEAT_MS = 300;

export function linkCases(start: Start): void {
  let peers: Peers;
  let store: FakeStore;

  beforeEach(async () => {
    store = await startStore();
    peers = new Peers(await start({ heartbeat_ms: HEARTBEAT_MS, telemetry_url: store.url }));
  });

  afterEach(async () => {
    await peers.end();
    await store.close();
  });

  const dial = (options: Partial<FakeAgentOptions> = {}) => peers.dial(options);

  /** An agent whose state is shown. */
  async function linked(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
    const agent = await dial(options);
    agent.sync();
    await until(async () => (await get(agent.hostRef)).status === 200, 'the first state');
    return agent;
  }

  async function get(reference: string) {
    const { status, headers, body } = await peers.ask('GET', `/v1/${encodeRef(reference)}`, AUTHORIZED);
    return { status, headers, json: JSON.parse(body) };
  }

  describe('hello', () => {
    it('is answered with welcome, which tells the heartbeat and the frame bound', async () => {
      const agent = await dial();
      expect(agent.received[0]).toEqual({
        type: 'welcome',
        version: 1,
        gateway_version: peers.gateway.version,
        heartbeat_ms: HEARTBEAT_MS,
        frame_max_bytes: FRAME_MAX_BYTES,
      });
    });

    it.each([
      ['another version', { version: 2 }, 'version_mismatch'],
      ['a host name outside the grammar', { host: '-bad-' }, 'bad_host_name'],
      ['a field that is missing', { incarnation: 'x' }, 'bad_hello'],
    ])('with %s is refused without retry', async (_, change, code) => {
      const agent = await peers.open({ heartbeats: false });
      agent.hello(change);
      await until(() => agent.closeCode !== null, 'the close');
      expect(agent.frames('refuse')).toMatchObject([{ code, retry: false }]);
      expect(agent.closeCode).toBe(CLOSE.protocol);
    });

    it.each([
      ['not JSON', 'hello there'],
      ['another frame', JSON.stringify({ type: 'bye', reason: 'x' })],
    ])('that is %s closes the link with 1008', async (_, text) => {
      const agent = await peers.open({ heartbeats: false });
      agent.send(text);
      await until(() => agent.closeCode !== null, 'the close');
      expect(agent.closeCode).toBe(CLOSE.protocol);
    });

    it('needs the token', async () => {
      await expect(peers.open({ token: 'wrong-token-0123456789' })).rejects.toThrow('401');
    });

    it('twice closes the link', async () => {
      const agent = await dial();
      agent.stopHeartbeats();
      agent.hello();
      await until(() => agent.closeCode === CLOSE.protocol, 'the close as a protocol error');
    });
  });

  describe('a host name that is taken', () => {
    it('by a live agent is refused with what to do', async () => {
      const first = await linked();
      const second = await dial({ heartbeats: false });
      expect(second.frames('refuse')).toMatchObject([{ code: 'host_name_taken', retry: false }]);
      expect(second.frames('refuse')[0]?.message).toContain('--name');
      expect(first.closeCode).toBeNull();
    });

    it('by a link that has gone silent goes to the newcomer', async () => {
      const first = await linked();
      first.stopHeartbeats();
      const second = await dial();
      expect(second.frames('welcome')).toHaveLength(1);
      await until(() => first.closeCode !== null, 'the close of the first link');
      expect([CLOSE.replaced, CLOSE.protocol]).toContain(first.closeCode);
    });

    it('by the same incarnation is replaced at once', async () => {
      const first = await linked();
      first.stopHeartbeats();
      const second = await dial({ incarnation: first.incarnation });
      expect(second.frames('welcome')).toHaveLength(1);
      await until(() => first.closeCode === CLOSE.replaced, 'the first link to be replaced');
    });
  });

  describe('publishing', () => {
    it('shows a sync only when its last frame has come, all at once', async () => {
      const agent = await dial();
      const [host, ...rest] = agent.mesh();
      if (host === undefined) throw new Error('no host node');
      agent.sync([host], true);
      agent.send({ type: 'heartbeat' });
      expect((await get('root')).json.properties.Root.num_hosts).toBe(0);
      agent.sync(rest);
      await until(async () => (await get(agent.procRef)).status === 200, 'the proc');
      expect((await get('root')).json.children).toEqual([agent.hostRef]);
    });

    it('keeps the old state while a new sync is under way, and swaps it whole', async () => {
      const agent = await linked();
      agent.sync([agent.hostNode([agent.serviceRef])], true);
      expect((await get(agent.procRef)).status).toBe(200);
      agent.sync([agent.proc(agent.serviceRef, [])]);
      await until(async () => (await get(agent.procRef)).status === 404, 'the proc to be gone');
      expect((await get(agent.hostRef)).json.children).toEqual([agent.serviceRef]);
    });

    it('applies deltas: changed nodes and removed ones', async () => {
      const agent = await linked();
      const changed = { ...agent.proc(agent.procRef, []), as_of: '2026-03-02T09:15:02.004Z' };
      agent.delta([changed], [agent.actorRef]);
      await until(async () => (await get(agent.procRef)).json.as_of === changed.as_of, 'the change');
      expect((await get(agent.procRef)).json).toEqual(changed);
    });

    it('asks for a new sync after a gap, skips what was still on its way, and takes the new state', async () => {
      const agent = await linked();
      agent.seq += 1;
      agent.delta([], [agent.procRef]);
      await until(() => agent.frames('resync').length === 1, 'the resync');
      agent.delta([], [agent.procRef]);
      agent.sync([agent.proc(agent.serviceRef, [])]);
      agent.sync([agent.hostNode([agent.serviceRef]), agent.proc(agent.serviceRef, [])]);
      await until(async () => (await get(agent.hostRef)).json.children.length === 1, 'the state after the gap');
      expect((await get(agent.procRef)).status).toBe(404);
      expect(agent.frames('resync')).toHaveLength(1);
    });

    it('drops a stale or repeated frame', async () => {
      const agent = await linked();
      agent.seq -= 1;
      agent.delta([], [agent.procRef]);
      agent.delta([{ ...agent.proc(agent.serviceRef, []), as_of: '2026-03-02T09:15:02.004Z' }]);
      await until(async () => (await get(agent.serviceRef)).json.as_of === '2026-03-02T09:15:02.004Z', 'the change');
      expect((await get(agent.procRef)).status).toBe(200);
      expect((await peers.counts()).stale_frames).toBe(1);
    });

    const foreign = 'w<ZG3F>@ipc://another-host';
    it.each<[string, (agent: FakeAgent) => void]>([
      ['a node of another host', (agent) => agent.sync([...agent.mesh(), agent.proc(foreign, [])])],
      ['a child on another host', (agent) => agent.sync([agent.hostNode([foreign])])],
      [
        'removing a node of another host',
        (agent) => {
          agent.sync();
          agent.delta([], [foreign]);
        },
      ],
      ['a reference that is not canonical', (agent) => agent.sync([agent.hostNode([`<112>@${agent.location}`])])],
      ['a wrong parent (NI-2)', (agent) => agent.sync([{ ...agent.hostNode([]), parent: agent.serviceRef }])],
      ['a wrong variant (SP-2)', (agent) => agent.sync([{ ...agent.hostNode([]), identity: agent.procRef }])],
      ['a sync without a host node', (agent) => agent.sync([agent.proc(agent.serviceRef, [])])],
      ['a delta before the first sync', (agent) => agent.delta([])],
      ['no frame at all', (agent) => agent.send('{"type":"nonsense"}')],
    ])('%s closes the link with 1008 and shows nothing of it', async (_, publish) => {
      const agent = await dial();
      agent.stopHeartbeats();
      publish(agent);
      await until(() => agent.closeCode !== null, 'the close');
      expect(agent.closeCode).toBe(CLOSE.protocol);
      expect(agent.closeReason).not.toBe('');
      expect((await get(foreign)).status).toBe(404);
    });

    it('closes with a reason that fits, whatever an agent wrote into what is wrong', async () => {
      const agent = await dial();
      agent.stopHeartbeats();
      agent.sync([{ ...agent.hostNode([]), identity: 'é'.repeat(300) }]);
      await until(() => agent.closeCode !== null, 'the close');
      expect(agent.closeCode).toBe(CLOSE.protocol);
      expect(agent.closeReason).toMatch(/^invalid reference 'é+$/);
    });

    it.each<[string, (agent: FakeAgent) => void]>([
      [
        'a second host node',
        (agent) => agent.delta([{ ...agent.hostNode([]), identity: `host:b.service@${agent.location}` }]),
      ],
      ['a date that does not exist', (agent) => agent.delta([agent.actor(agent.actorRef, '2026-99-99T00:00:00.000Z')])],
    ])('%s in a delta closes the link with 1008', async (_, publish) => {
      const agent = await linked();
      agent.stopHeartbeats();
      publish(agent);
      await until(() => agent.closeCode !== null, 'the close');
      expect(agent.closeCode).toBe(CLOSE.protocol);
    });

    it.each([
      [FRAME_MAX_BYTES, null],
      [FRAME_MAX_BYTES + 1, CLOSE.too_large],
    ])('a frame of %i bytes leads to close code %s', async (size_bytes, code) => {
      const agent = await linked();
      const frame = JSON.stringify({ type: 'answer', call: 1, part: '', more: true });
      const { late_answers = 0 } = await peers.counts();
      if (code !== null) agent.stopHeartbeats();
      agent.send(frame.replace('""', `"${'x'.repeat(size_bytes - frame.length)}"`));
      await until(
        async () => agent.closeCode !== null || (await peers.counts()).late_answers !== late_answers,
        'the close, or the late answer to be counted',
      );
      expect(agent.closeCode).toBe(code);
    });
  });

  describe('the end of a link', () => {
    it('with bye removes the host', async () => {
      const agent = await linked();
      agent.send({ type: 'bye', reason: 'done' });
      await until(async () => (await get('root')).json.children.length === 0, 'the host to be gone');
      expect((await get(agent.hostRef)).json.error).toEqual({
        code: 'not_found',
        message: 'host not found: unix:gpu-7',
      });
    });

    it('without bye leaves the last state behind, marked by its age', async () => {
      const agent = await linked();
      const { json: last } = await get(agent.procRef);
      agent.drop();
      await until(async () => (await get(agent.procRef)).status === 504, 'the host to be seen as disconnected');
      const { json } = await get(agent.procRef);
      expect(json.error.code).toBe('gateway_timeout');
      expect(json.error.message).toMatch(/host gpu-7 .* last heard \d+\.\d s ago/);
      expect(json.error.details).toMatchObject({ host: 'gpu-7', last_known: last });
      expect(json.error.details.age_ms).toBeGreaterThanOrEqual(0);
      expect(Date.parse(json.error.details.last_seen)).toBeLessThanOrEqual(Date.now());
      expect((await get('root')).json.children).toEqual([agent.hostRef]);
    });

    it('by silence is noticed after three heartbeats', async () => {
      const agent = await linked();
      agent.stopHeartbeats();
      await until(() => agent.closeCode !== null, 'the close');
      expect(agent.closeReason).toBe('silent for too long');
    });

    it('mends when the agent dials again: old state is not shown as new until a whole sync has come', async () => {
      const agent = await linked();
      agent.drop();
      await until(async () => (await get(agent.procRef)).status === 504, 'the host to be seen as disconnected');
      const again = await dial();
      expect((await get(agent.procRef)).status).toBe(504);
      again.sync();
      await until(async () => (await get(agent.procRef)).status === 200, 'the proc');
    });

    it('sends heartbeats of its own in silence', async () => {
      const agent = await linked();
      await until(() => agent.frames('heartbeat').length >= 2, 'two heartbeats');
    });
  });

  describe('calls', () => {
    it('shows the last published state of an actor whose agent is slow (S1), and cancels the call', async () => {
      const agent = await linked();
      const { status, json } = await get(agent.actorRef);
      expect([status, json.properties.Actor.actor_status]).toEqual([200, 'idle']);
      await until(() => agent.frames('cancel').length === 1, 'the cancel');
    });

    it('finds an actor by its number, whatever the label says', async () => {
      const agent = await linked({ onCall: ({ call }, self) => self.answer(call, self.actor(self.actorRef)) });
      const { json } = await get(agent.actorRef.replace('trainer<', 'nobody<'));
      expect(json.identity).toBe(agent.actorRef);
    });

    it('drops late, repeated and unknown answers', async () => {
      const agent = await linked({
        onCall: ({ call }, self) => {
          self.answer(call, self.actor(self.actorRef));
          self.answer(call, self.actor(self.actorRef));
          self.answer(call + 1_000, {});
        },
      });
      expect((await get(agent.actorRef)).status).toBe(200);
      await peers.untilCount('late_answers', 2);
      expect(agent.closeCode).toBeNull();
    });

    it('puts an answer together from parts', async () => {
      const agent = await linked({
        onCall: ({ call }, self) => {
          const text = JSON.stringify({ BinaryNotFound: { searched: ['py-spy on PATH'] } });
          self.send({ type: 'answer', call, part: text.slice(0, 9), more: true });
          self.send({ type: 'answer', call, part: text.slice(9), more: false });
        },
      });
      expect((await get(`pyspy/x`)).status).toBe(404);
      const answer = await peers.ask('GET', `/v1/pyspy/${encodeRef(agent.procRef)}`, AUTHORIZED);
      expect(JSON.parse(answer.body)).toEqual({ BinaryNotFound: { searched: ['py-spy on PATH'] } });
    });

    it("passes on only the codes that are an agent's to give", async () => {
      const agent = await linked({
        onCall: ({ call }, self) => self.send({ type: 'fault', call, error: { code: 'unauthorized', message: 'no' } }),
      });
      const { status, json } = await get(agent.actorRef);
      expect([status, json.error]).toEqual([500, { code: 'internal_error', message: 'no' }]);
    });

    it('passes a fault on, and takes an answer of the wrong shape for a defect', async () => {
      let reply: (call: number, self: FakeAgent) => void = () => {};
      const agent = await linked({ onCall: ({ call }, self) => reply(call, self) });
      reply = (call, self) => self.send({ type: 'fault', call, error: { code: 'not_found', message: 'gone' } });
      expect((await get(agent.actorRef)).json.error).toEqual({ code: 'not_found', message: 'gone' });
      reply = (call, self) => self.answer(call, { nonsense: true });
      expect((await get(agent.actorRef)).json.error.code).toBe('internal_error');
    });

    it('ends as a timeout that names the host when the link breaks meanwhile', async () => {
      const agent = await linked({ onCall: (_, self) => self.drop() });
      const answer = await peers.ask('GET', `/v1/config/${encodeRef(agent.procRef)}`, AUTHORIZED);
      expect(answer.status).toBe(504);
      expect(JSON.parse(answer.body).error.details.host).toBe('gpu-7');
    });

    it('cancels when the client goes away, long before the deadline', async () => {
      const agent = await linked();
      const leave = peers.leaver(`/v1/config/${encodeRef(agent.procRef)}`);
      await until(() => agent.frames('call').length === 1, 'the call');
      const left_ms = performance.now();
      leave();
      await until(() => agent.frames('cancel').length === 1, 'the cancel');
      const [call] = agent.frames('call');
      expect(performance.now() - left_ms).toBeLessThan((call?.deadline_ms ?? 0) / 2);
    });
  });

  describe('events', () => {
    const batch = (seq: number, producer: string): EventBatch => ({ producer, seq, lost_rows: 0, tables: {} });

    it('are acknowledged after the store has committed, in order', async () => {
      const stored: number[] = [];
      store.onIngest = ({ seq }) => {
        stored.push(seq);
        return null;
      };
      const agent = await linked();
      for (const seq of [1, 2, 3]) agent.send({ type: 'events', batch: batch(seq, agent.incarnation) });
      await until(() => agent.frames('ack').length === 3, 'three acknowledgements');
      expect(stored).toEqual([1, 2, 3]);
    });

    it('that were not stored get no ack, and nothing later overtakes them', async () => {
      const stored: number[] = [];
      let isDown = true;
      store.onIngest = ({ seq }) => {
        if (isDown) return { status: 500, body: 'down' };
        stored.push(seq);
        return null;
      };
      const agent = await linked();
      const send = (seq: number) => agent.send({ type: 'events', batch: batch(seq, agent.incarnation) });
      send(1);
      await peers.untilCount('dropped_batches', 1);
      isDown = false;
      send(2);
      await peers.untilCount('dropped_batches', 2);
      expect(agent.frames('ack')).toEqual([]);
      send(1);
      send(2);
      await until(() => agent.frames('ack').length === 2, 'two acknowledgements');
      expect(stored).toEqual([1, 2]);
    });

    it('that can never be stored are acknowledged and counted, so that they do not come for ever', async () => {
      store.onIngest = () => ({ status: 400, body: '{"error":{"code":"bad_request","message":"no such table"}}' });
      const agent = await linked();
      agent.send({ type: 'events', batch: batch(1, randomUUID()) });
      await until(() => agent.frames('ack').length === 1, 'the acknowledgement');
      expect((await peers.counts()).poison_batches).toBe(1);
    });
  });
}
