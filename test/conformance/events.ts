/**
 * Live updates (contract/live.ts): what is told of hosts and nodes, in which order, to whom that came back, and how a
 * stream begins and ends. Each case has a host of its own on one gateway, and looks at what is told of that host.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EVENTS_PATH, encodeRef, type LiveEvent, type NodePayload } from '../../src/contract/index.ts';
import { LIMITS } from '../../src/edge-gateway/limits.ts';
import { EventSource } from '../support/event-source.ts';
import type { FakeAgent, FakeAgentOptions } from '../support/fake-agent.ts';
import { AUTHORIZED } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { Peers, type Start } from './start.ts';

const PROC = 'trainer-0<BLs6T7ZaDRB>';
const ACTOR = 'trainer<3SdB72fboyy>.trainer-0<BLs6T7ZaDRB>';
const HOST = 'host:host_agent.service';
/** Long enough for links to outlive what else the machine does. */
const HEARTBEAT_MS = 1_000;

export function eventCases(start: Start): void {
  let peers: Peers;
  let hostCount = 0;
  const agents: FakeAgent[] = [];
  const sources: EventSource[] = [];

  beforeAll(async () => {
    peers = new Peers(await start({ heartbeat_ms: HEARTBEAT_MS }));
  });

  afterEach(async () => {
    for (const source of sources.splice(0)) source.close();
    for (const agent of agents.splice(0)) {
      agent.send({ type: 'bye', reason: 'the case is over' });
      if (agent.closeCode === null) await until(() => agent.closeCode !== null, 'the end of a link');
    }
  });

  afterAll(() => peers.end());

  /** An agent that is welcome, of a host that nobody has heard of. */
  async function dial(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
    hostCount += 1;
    const agent = await peers.dial({ host: `live-${hostCount}`, ...options });
    agents.push(agent);
    return agent;
  }

  /** ... whose state is shown. */
  async function linked(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
    const agent = await dial(options);
    agent.sync();
    await untilShown(agent.hostRef, 200);
    return agent;
  }

  async function untilShown(reference: string, status: number): Promise<void> {
    const path = `/v1/${encodeRef(reference)}`;
    await until(async () => (await peers.ask('GET', path)).status === status, `${reference} to be ${status}`);
  }

  /** A client that has got its first event, or any of what it missed. */
  async function follow(after?: string): Promise<EventSource> {
    const source = await EventSource.open(peers.gateway.url, after);
    sources.push(source);
    if (after === undefined) await until(() => source.events.length > 0, 'the first snapshot');
    return source;
  }

  /** What was told of a host. */
  function of({ host }: FakeAgent, { events }: EventSource): Exclude<LiveEvent, { type: 'snapshot' }>[] {
    return events.flatMap(({ data }) => (data.type !== 'snapshot' && data.host === host ? [data] : []));
  }

  function told(agent: FakeAgent, source: EventSource): string[] {
    return of(agent, source).map(({ type, reference }) => `${type} ${reference.replace(/@.*/, '')}`);
  }

  /** Marks a place in the order: waits until the source has been told of a proc of that name, which is added for it. */
  async function mark(agent: FakeAgent, source: EventSource, name = 'mark'): Promise<void> {
    agent.delta([agent.proc(`${name}@${agent.location}`, [])]);
    await until(() => told(agent, source).includes(`node_added ${name}`), `the mark ${name}`);
  }

  describe('a stream', () => {
    it('begins with how long to wait before coming back, and a snapshot', async () => {
      const client = new AbortController();
      const { body } = await fetch(`${peers.gateway.url}${EVENTS_PATH}`, { signal: client.signal });
      const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      while (!text.includes('event: snapshot')) text += (await reader?.read())?.value ?? '';
      client.abort();
      expect(text).toMatch(/^retry: \d+\n\nid: [0-9a-f]{12}\.\d+\nevent: snapshot\ndata: \{"type":"snapshot"/);
    });

    it('is told to caches and proxies as what it is', async () => {
      const { headers } = await follow();
      expect(headers).toMatchObject({
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
    });

    it('carries a comment in silence, and no event', async () => {
      const source = await follow();
      await until(() => source.heartbeats >= 2, 'two heartbeats');
      expect(source.told).toEqual(['snapshot start']);
    });

    it('is counted while it lasts, and no longer', async () => {
      const before = (await peers.counts()).followers ?? 0;
      const opened = await Promise.all([follow(), follow(), follow()]);
      await peers.untilCount('followers', before + 3);
      for (const source of opened) source.close();
      await peers.untilCount('followers', before);
    });

    it('is not opened by HEAD', async () => {
      const before = (await peers.counts()).followers;
      const head = await peers.ask('HEAD', EVENTS_PATH);
      expect([head.status, head.headers['content-type'], head.body]).toEqual([200, 'text/event-stream', '']);
      expect((await peers.counts()).followers).toBe(before);
    });

    it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('is not opened by %s', async (method) => {
      const { status, headers } = await peers.ask(method, EVENTS_PATH, AUTHORIZED);
      expect([status, headers.allow]).toEqual([405, 'GET,HEAD']);
    });

    it('is refused with a wrong token, and to a foreign page', async () => {
      const open = (headers: Record<string, string>) => EventSource.open(peers.gateway.url, undefined, headers);
      await expect(open({ authorization: 'Bearer wrong-token-0123456789' })).rejects.toThrow('HTTP 401');
      await expect(open({ origin: 'https://elsewhere.example' })).rejects.toThrow('HTTP 403');
    });

    it('ends with the gateway, which tells of no host that is lost', async () => {
      const other = new Peers(await start());
      const agent = await other.dial();
      agent.sync();
      await other.untilCount('hosts', 1);
      const source = await EventSource.open(other.gateway.url);
      await until(() => source.events.length > 0, 'the first snapshot');
      await other.gateway.close();
      agent.drop();
      await until(() => source.isOver, 'the end of the stream');
      expect(source.told).toEqual(['snapshot start']);
    });
  });

  describe('of a host is told', () => {
    it('that it came, when its whole state has, and not before', async () => {
      const source = await follow();
      const agent = await dial();
      const [host, ...rest] = agent.mesh();
      if (host === undefined) throw new Error('no host node');
      agent.sync([host], true);
      const other = await linked();
      await mark(other, source);
      expect(told(agent, source)).toEqual([]);
      agent.sync(rest);
      await until(() => told(agent, source).length > 0, 'the host');
      expect(of(agent, source)).toMatchObject([
        { type: 'host_linked', reference: agent.hostRef, kind: 'host', host: agent.host, read_again: true },
      ]);
    });

    it('that it is lost, and that it came back: with nothing to read when nothing differs', async () => {
      const agent = await linked();
      const source = await follow();
      agent.drop();
      await until(() => told(agent, source).length === 1, 'the loss');
      const again = await linked({ host: agent.host });
      await mark(again, source);
      expect(told(agent, source)).toEqual([`host_lost ${HOST}`, `host_linked ${HOST}`, 'node_added mark']);
      expect(of(agent, source)[1]).toMatchObject({ read_again: false });
    });

    it('what differs after a break, node by node', async () => {
      const agent = await linked();
      const source = await follow();
      agent.drop();
      await until(() => told(agent, source).length === 1, 'the loss');
      const again = await dial({ host: agent.host });
      const extra = again.proc(`extra@${again.location}`, []);
      again.sync([again.hostNode([again.serviceRef, extra.identity]), again.proc(again.serviceRef, []), extra]);
      await mark(again, source);
      const [lost, back, ...nodes] = told(agent, source);
      expect([lost, back]).toEqual([`host_lost ${HOST}`, `host_linked ${HOST}`]);
      expect(nodes.toSorted()).toEqual(
        [
          'node_added extra',
          'node_added mark',
          `node_changed ${HOST}`,
          `node_removed ${ACTOR}`,
          `node_removed ${PROC}`,
        ].sort(),
      );
    });

    it('that it has left, once, with everything below it', async () => {
      const agent = await linked();
      const source = await follow();
      agent.send({ type: 'bye', reason: 'done' });
      await until(() => told(agent, source).length > 0, 'the end');
      const other = await linked();
      await mark(other, source);
      expect(told(agent, source)).toEqual([`host_removed ${HOST}`]);
      await untilShown(agent.hostRef, 404);
    });

    it('what differs in a new state after a gap', async () => {
      const agent = await linked();
      const source = await follow();
      agent.seq += 1;
      agent.delta([], [agent.procRef]);
      await until(() => agent.frames('resync').length === 1, 'the resync');
      agent.sync(agent.mesh().map((node) => (node.identity === agent.procRef ? { ...node, children: [] } : node)));
      await mark(agent, source);
      expect(told(agent, source)).toEqual([`node_changed ${PROC}`, 'node_added mark']);
    });

    it.each([
      [LIMITS.live_sync_changes_max, false],
      [LIMITS.live_sync_changes_max + 1, true],
    ])('%i differences in a new whole state: read again is %s', async (count, isReadAgain) => {
      const agent = await linked();
      const source = await follow();
      const added = Array.from({ length: count }, (_, n) => agent.proc(`p${n}@${agent.location}`, []));
      agent.sync([...agent.mesh(), ...added]);
      await mark(agent, source);
      const types = of(agent, source).map(({ type }) => type);
      expect(types.slice(0, -1)).toEqual(isReadAgain ? ['host_linked'] : added.map(() => 'node_added'));
    });
  });

  describe('of a node is told', () => {
    it('that it was added, changed and removed, in the order in which it happened', async () => {
      const agent = await linked();
      const source = await follow();
      const added = agent.proc(`extra@${agent.location}`, []);
      agent.delta([agent.hostNode([agent.serviceRef, agent.procRef, added.identity]), added]);
      agent.delta([{ ...added, children: [`a<ZG3F>.${added.identity}`] }]);
      agent.delta([agent.hostNode([agent.serviceRef, agent.procRef])], [added.identity]);
      await mark(agent, source);
      const extra = told(agent, source).filter((line) => line.endsWith(' extra'));
      expect(extra).toEqual(['node_added extra', 'node_changed extra', 'node_removed extra']);
      expect(told(agent, source).filter((line) => line === `node_changed ${HOST}`)).toHaveLength(2);
    });

    it('its parent, its children and its status, which is that of its payload', async () => {
      const agent = await linked();
      const source = await follow();
      agent.delta([agent.actor(agent.actorRef, undefined, 'failed: process killed by SIGKILL')]);
      await mark(agent, source);
      expect(of(agent, source)[0]).toMatchObject({
        type: 'node_changed',
        reference: agent.actorRef,
        kind: 'actor',
        parent: agent.procRef,
        num_children: 0,
        since: null,
        status: { Actor: { status: 'failed: process killed by SIGKILL', is_system: false, failure: null } },
      });
    });

    it('a proc under its name, to be read by its reference', async () => {
      const agent = await linked();
      const source = await follow();
      await mark(agent, source, 'reader');
      const [event] = of(agent, source);
      expect(event).toMatchObject({ kind: 'proc', parent: agent.hostRef, status: { Proc: { name: 'reader' } } });
      await untilShown(event?.reference ?? '', 200);
    });

    it('nothing when only times, memory and counters moved', async () => {
      const agent = await linked();
      const source = await follow();
      const nodes = agent.mesh(new Date(Date.now() + 1).toISOString());
      for (const { properties } of nodes) {
        if ('Proc' in properties) properties.Proc.debug.memory.process_rss_bytes = 77_000;
        if ('Actor' in properties) properties.Actor.messages_processed = 99;
      }
      agent.delta(nodes);
      await mark(agent, source);
      expect(told(agent, source)).toEqual(['node_added mark']);
    });

    it('nothing of the milliseconds that a handler has run', async () => {
      const agent = await linked();
      const source = await follow();
      for (const ms of [5, 5_000, 50_000]) {
        agent.delta([agent.actor(agent.actorRef, undefined, `step: processing for ${ms}ms`)]);
      }
      await mark(agent, source);
      expect(told(agent, source)).toEqual([`node_changed ${ACTOR}`, 'node_added mark']);
      expect(of(agent, source)[0]).toMatchObject({ status: { Actor: { status: 'step: processing' } } });
    });

    it.each<[string, (node: NodePayload, agent: FakeAgent) => void]>([
      ['poisoned', ({ properties }) => 'Proc' in properties && Object.assign(properties.Proc, { is_poisoned: true })],
      ['failed', ({ properties }) => 'Proc' in properties && Object.assign(properties.Proc, { failed_actor_count: 1 })],
      [
        'given a process',
        ({ properties }) => 'Proc' in properties && Object.assign(properties.Proc, { process: PROCESS }),
      ],
      ['an error', (node) => Object.assign(node, { properties: { Error: { code: 'not_found', message: 'gone' } } })],
    ])('a proc that is now %s', async (_, alter) => {
      const agent = await linked();
      const source = await follow();
      const node = agent.proc(agent.procRef, [agent.actorRef]);
      alter(node, agent);
      agent.delta([node]);
      await mark(agent, source);
      expect(told(agent, source)).toEqual([`node_changed ${PROC}`, 'node_added mark']);
    });

    it.each([
      [LIMITS.live_text_max_chars, false],
      [LIMITS.live_text_max_chars + 1, true],
    ])('a status of %i characters: cut is %s', async (chars, isCut) => {
      const agent = await linked();
      const source = await follow();
      agent.delta([agent.actor(agent.actorRef, undefined, 's'.repeat(chars))]);
      await mark(agent, source);
      const [event] = of(agent, source);
      const status =
        event?.type === 'node_changed' && event.status !== null && 'Actor' in event.status
          ? event.status.Actor.status
          : '';
      expect([status.length, status.endsWith('…')]).toEqual([LIMITS.live_text_max_chars, isCut]);
    });
  });

  describe('a client', () => {
    it('finds the events numbered without a gap, under one run', async () => {
      const source = await follow();
      const agent = await linked();
      await mark(agent, source);
      const [run, first = ''] = source.events[0]?.id.split('.') ?? [];
      expect(source.events.map(({ id }) => id)).toEqual(source.events.map((_, n) => `${run}.${Number(first) + n}`));
    });

    it('is told what every other is', async () => {
      const [a, b] = [await follow(), await follow()];
      const agent = await linked();
      await mark(agent, a);
      await mark(agent, b, 'second');
      await until(() => a.lastId === b.lastId, 'both to have read the same');
      expect(told(agent, b)).toEqual(told(agent, a));
    });

    it('that comes back gets what it missed, once, and what follows', async () => {
      const agent = await linked();
      const before = await follow();
      await mark(agent, before, 'a');
      before.close();
      agent.delta([agent.proc(`b@${agent.location}`, []), agent.proc(`c@${agent.location}`, [])]);
      const after = await follow(before.lastId);
      await mark(agent, after, 'd');
      expect(told(agent, after)).toEqual(['node_added b', 'node_added c', 'node_added d']);
      expect(after.told).not.toContain('snapshot start');
    });

    it('that missed nothing gets nothing but what follows', async () => {
      const agent = await linked();
      const { lastId } = await follow();
      const after = await follow(lastId);
      await mark(agent, after);
      expect(after.told.filter((line) => line.startsWith('snapshot'))).toEqual([]);
    });

    it('may open a stream with the id of its own snapshot again and again', async () => {
      const agent = await linked();
      const { lastId } = await follow();
      const [a, b] = [await follow(lastId), await follow(lastId)];
      await mark(agent, a);
      await mark(agent, b, 'second');
      await until(() => a.lastId === b.lastId, 'both to have read the same');
      expect(a.told).toEqual(b.told);
    });

    it.each([
      ['of another run', () => '0123456789ab.0'],
      ['of the future', (id: string) => id.replace(/\d+$/, (number) => String(Number(number) + 1_000_000))],
      ['of no number', (id: string) => id.replace(/\d+$/, '')],
      ['of a negative number', (id: string) => id.replace(/\.(\d+)$/, '.-$1')],
      ['with a leading zero', (id: string) => id.replace(/\.(\d+)$/, '.0$1')],
      ['of a number alone', () => '7'],
      ['that is none', () => 'nonsense'],
    ])('with an id %s is told to read again', async (_, alter) => {
      const { lastId } = await follow();
      const source = await follow(alter(lastId));
      await until(() => source.events.length > 0, 'the snapshot');
      expect(source.told[0]).toBe('snapshot unknown_id');
      expect(source.events[0]?.id.split('.')[0]).toBe(lastId.split('.')[0]);
    });
  });
}

const PROCESS = {
  pid: 7,
  parent_pid: 1,
  parent_proc: null,
  origin: 'started',
  command: ['python', 'train.py'],
  rank: 3,
  local_rank: 0,
  started_at: '2026-03-02T09:15:02.004Z',
  ended_at: null,
  exit_code: null,
  signal: null,
};
