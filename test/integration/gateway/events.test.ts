/** Live updates over real sockets: what is told, in which order, and what a client gets that was away or reads slowly. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NodePayload } from '../../../src/contract/index.ts';
import { LIMITS } from '../../../src/edge-gateway/limits.ts';
import type { RunningGateway } from '../../../src/edge-gateway/targets/node/node.ts';
import { EventSource } from '../../support/event-source.ts';
import { FakeAgent, type FakeAgentOptions } from '../../support/fake-agent.ts';
import { AUTHORIZED, rawRequest, startGateway, TOKEN } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';

let gateway: RunningGateway;
const agents: FakeAgent[] = [];
const sources: EventSource[] = [];

beforeEach(async () => {
  // Long enough for a link to outlive the floods below on a machine that has other things to do.
  gateway = await startGateway({ heartbeat_ms: 1_000 });
});

afterEach(async () => {
  for (const source of sources.splice(0)) source.close();
  for (const agent of agents.splice(0)) agent.drop();
  await gateway.close();
});

async function dial(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
  const agent = await FakeAgent.dial({ url: gateway.url, token: TOKEN, ...options });
  agents.push(agent);
  return agent;
}

async function linked(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
  const links = gateway.hub.counts().links;
  const agent = await dial(options);
  agent.sync();
  await until(
    () => gateway.hub.counts().links > links && gateway.hub.hosts().some(({ isLinked }) => isLinked),
    'one more linked host',
  );
  return agent;
}

/** A client that has got its first events. */
async function follow(after?: string): Promise<EventSource> {
  const source = await EventSource.open(gateway.url, after);
  sources.push(source);
  if (after === undefined) await until(() => source.events.length > 0, 'the first snapshot');
  return source;
}

/** Waits until the source has been told of a node of that label being added, which marks a place in the order. */
async function mark(agent: FakeAgent, source: EventSource, label: string): Promise<void> {
  agent.delta([agent.proc(`${label}@${agent.location}`, [])]);
  await until(() => source.told.includes(`node_added ${label}`), `the mark ${label}`);
}

const PROC = 'trainer-0<BLs6T7ZaDRB>';
const ACTOR = 'trainer<3SdB72fboyy>.trainer-0<BLs6T7ZaDRB>';
const HOST = 'host:host_agent.service';

describe('what is told', () => {
  it('of a host: linked, nodes, lost, linked again with what differs, left; in order and numbered without a gap', async () => {
    const source = await follow();
    const agent = await linked();
    agent.delta([agent.actor(agent.actorRef, undefined, 'failed: process killed by SIGKILL')]);
    const added = agent.proc(`extra@${agent.location}`, []);
    agent.delta([agent.hostNode([agent.serviceRef, agent.procRef, added.identity]), added]);
    agent.delta([agent.hostNode([agent.serviceRef, agent.procRef])], [added.identity]);
    await until(() => source.events.length === 7, 'seven events');
    agent.drop();
    await until(() => source.events.length === 8, 'the loss');
    const again = await linked();
    again.send({ type: 'bye', reason: 'done' });
    await until(() => source.events.length === 11, 'the end');
    expect(source.told).toEqual([
      'snapshot start',
      `host_linked ${HOST}`,
      `node_changed ${ACTOR}`,
      `node_changed ${HOST}`,
      'node_added extra',
      'node_removed extra',
      `node_changed ${HOST}`,
      `host_lost ${HOST}`,
      `host_linked ${HOST}`,
      `node_changed ${ACTOR}`,
      `host_removed ${HOST}`,
    ]);
    const linkings = source.events.flatMap(({ data }) => (data.type === 'host_linked' ? [data.read_again] : []));
    expect(linkings).toEqual([true, false]);
    const run = source.lastId.split('.')[0];
    expect(source.events.map(({ id }) => id)).toEqual(source.events.map((_, number) => `${run}.${number}`));
    expect(source.events[2]?.data).toMatchObject({
      kind: 'actor',
      host: 'gpu-7',
      parent: agent.procRef,
      status: { Actor: { status: 'failed: process killed by SIGKILL', is_system: false } },
    });
  });

  it('is nothing when only time, memory, queues, counters or running milliseconds moved', async () => {
    const agent = await linked();
    agent.delta([agent.actor(agent.actorRef, undefined, 'step: processing for 5ms')]);
    await until(
      () => JSON.stringify([...(gateway.hub.hosts()[0]?.nodes() ?? [])]).includes('processing for 5ms'),
      'the status of the actor',
    );
    const source = await follow();
    const nodes = agent.mesh(new Date(Date.now() + 1).toISOString()).slice(0, 3);
    for (const { properties } of nodes) {
      if ('Proc' in properties) properties.Proc.debug.memory.process_rss_bytes = 77_000;
    }
    const actor = agent.actor(agent.actorRef, undefined, 'step: processing for 5000ms');
    if ('Actor' in actor.properties) actor.properties.Actor.messages_processed = 99;
    agent.delta([...nodes, actor]);
    await mark(agent, source, 'mark');
    expect(source.told).toEqual(['snapshot start', 'node_added mark']);
  });

  it.each([
    ['a rank', (node: NodePayload) => ({ ...node, properties: withProcess(node, { rank: 3 }) })],
    ['an exit', (node: NodePayload) => ({ ...node, properties: withProcess(node, { exit_code: 0 }) })],
    ['a child', (node: NodePayload) => ({ ...node, children: [] })],
  ])('of a proc is also %s', async (_, change) => {
    const agent = await linked();
    const source = await follow();
    const node = agent.proc(agent.procRef, [agent.actorRef]);
    agent.delta([change({ ...node, properties: withProcess(node, {}) })]);
    await mark(agent, source, 'mark');
    expect(source.told).toEqual(['snapshot start', `node_changed ${PROC}`, 'node_added mark']);
  });

  it('of a whole state on a link that stands is what differs, up to the bound, and "read again" above it', async () => {
    const agent = await linked();
    const source = await follow();
    const many = (count: number) => [
      ...agent.mesh(),
      ...Array.from({ length: count }, (_, n) => agent.proc(`p${n}@${agent.location}`, [])),
    ];
    agent.sync(many(LIMITS.live_sync_changes_max));
    await until(() => source.events.length === 1 + LIMITS.live_sync_changes_max, 'each difference');
    expect(new Set(source.told.slice(1).map((line) => line.split(' ')[0]))).toEqual(new Set(['node_added']));
    agent.sync(many(2 * LIMITS.live_sync_changes_max + 1));
    await mark(agent, source, 'mark');
    expect(source.told.slice(1 + LIMITS.live_sync_changes_max)).toEqual([`host_linked ${HOST}`, 'node_added mark']);
    expect(source.events.at(-2)?.data).toMatchObject({ read_again: true });
  });

  it('to several clients is the same', async () => {
    const [a, b] = [await follow(), await follow()];
    const agent = await linked();
    await mark(agent, a, 'mark');
    await until(() => b.events.length === a.events.length, 'the second client');
    expect(b.told).toEqual(a.told);
  });
});

describe('a client that comes back', () => {
  it('gets what it missed, once, and what follows', async () => {
    const agent = await linked();
    const before = await follow();
    await mark(agent, before, 'a');
    before.close();
    agent.delta([agent.proc(`b@${agent.location}`, []), agent.proc(`c@${agent.location}`, [])]);
    const after = await follow(before.lastId);
    await mark(agent, after, 'd');
    expect(after.told).toEqual(['node_added b', 'node_added c', 'node_added d']);
    const numbers = [...before.events, ...after.events].map(({ id }) => Number(id.split('.')[1]));
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
  });

  it('gets a snapshot when its id is of another run, of the future, or none', async () => {
    const { lastId } = await follow();
    for (const id of ['0123456789ab.0', lastId.replace('.0', '.1'), 'x', lastId.replace('.0', '.-1'), '7']) {
      const source = await follow(id);
      await until(() => source.events.length > 0, 'an event');
      expect([id, source.told]).toEqual([id, ['snapshot unknown_id']]);
      expect(source.lastId).toBe(lastId);
    }
  });

  it('gets everything up to the bound of what is kept, and a snapshot above it', async () => {
    const agent = await linked();
    const { lastId } = await follow();
    const [run, number] = lastId.split('.');
    flood(agent, LIMITS.live_events_max);
    const watcher = await follow();
    await mark(agent, watcher, 'mark');
    const [inside, outside] = [await follow(`${run}.${Number(number) + 1}`), await follow(lastId)];
    await until(() => inside.events.length === LIMITS.live_events_max && outside.events.length > 0, 'what is kept');
    expect(outside.told).toEqual(['snapshot too_old']);
    expect(new Set(inside.events.map(({ id }) => id)).size).toBe(LIMITS.live_events_max);
    expect(inside.told.at(-1)).toBe('node_added mark');
  });
});

describe('a client that does not read', () => {
  it('costs nothing but its place, and gets one snapshot instead of what it missed', async () => {
    const agent = await linked();
    const [slow, quick] = [await follow(), await follow()];
    slow.pause();
    // Far more than the sockets between them hold, in rounds that the quick one follows.
    for (let round = 0; round < 12; round += 1) {
      flood(agent, 3_000, round);
      await mark(agent, quick, `round${round}`);
    }
    expect(quick.events.length).toBeGreaterThan(36_000);
    slow.resume();
    await until(() => slow.told.includes('snapshot too_slow'), 'the snapshot');
    await mark(agent, slow, 'end');
    const snapshots = slow.told.filter((line) => line.startsWith('snapshot'));
    expect(snapshots).toEqual(['snapshot start', 'snapshot too_slow']);
    expect(slow.events.length).toBeLessThan(quick.events.length);
    const numbers = slow.events.map(({ id }) => Number(id.split('.')[1]));
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    expect(gateway.hub.counts().followers).toBe(2);
  });
});

describe('streams', () => {
  it('carry a comment in silence, and none between events that follow each other', async () => {
    const source = await follow();
    await until(() => source.heartbeats >= 3, 'three heartbeats');
    expect(source.told).toEqual(['snapshot start']);
  });

  it('are freed when their clients go away', async () => {
    const opened = await Promise.all([follow(), follow(), follow()]);
    expect(gateway.hub.counts().followers).toBe(3);
    for (const source of opened) source.close();
    await until(() => gateway.hub.counts().followers === 0, 'no followers');
  });

  it('are bounded in number: the next is 503 with Retry-After, and has room when one went (n and n+1)', async () => {
    const cancels: (() => void)[] = [];
    for (let n = 1; n < LIMITS.live_clients_max; n += 1) {
      const opened = gateway.hub.follow(null);
      if (!opened.ok) throw new Error(opened.failure.message);
      cancels.push(() => void opened.value.cancel());
    }
    await follow();
    const refused = await rawRequest(gateway.url, 'GET', '/v1/events');
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
    expect(JSON.parse(refused.body).error.code).toBe('service_unavailable');
    cancels.pop()?.();
    await follow();
    for (const cancel of cancels) cancel();
    await until(() => gateway.hub.counts().followers === 2, 'two followers');
  });

  it('end when the gateway stops, at once and without telling of lost hosts', async () => {
    await linked();
    const source = await follow();
    const begun_ms = performance.now();
    await gateway.close();
    await until(() => source.isOver, 'the end of the stream');
    expect(performance.now() - begun_ms).toBeLessThan(1_500);
    expect(source.told).toEqual(['snapshot start']);
    expect(gateway.hub.follow(null).ok).toBe(false);
  });

  it('are never kept or gathered on the way', async () => {
    const { headers } = await follow();
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
  });
});

describe('the route', () => {
  it('takes HEAD without opening a stream, and no other method', async () => {
    const head = await rawRequest(gateway.url, 'HEAD', '/v1/events');
    expect([head.status, head.headers['content-type'], head.body]).toEqual([200, 'text/event-stream', '']);
    expect(gateway.hub.counts().followers).toBe(0);
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const refused = await rawRequest(gateway.url, method, '/v1/events', AUTHORIZED);
      expect([refused.status, refused.headers.allow]).toEqual([405, 'GET,HEAD']);
    }
  });

  it.each([
    ['none', {}, 401],
    ['none', AUTHORIZED, 200],
    ['none', { authorization: 'Bearer wrong-token-0123456789' }, 401],
    ['topology', {}, 200],
    ['topology', { authorization: 'Bearer wrong-token-0123456789' }, 401],
    ['topology', { origin: 'https://elsewhere.example' }, 403],
    ['all', {}, 200],
  ] as const)('with --anonymous %s and %o is %i', async (anonymous, headers, status) => {
    const other = await startGateway({ anonymous });
    try {
      const head = await rawRequest(other.url, 'HEAD', '/v1/events', headers);
      expect(head.status).toBe(status);
      const opening = EventSource.open(other.url, undefined, headers);
      if (status === 200) sources.push(await opening);
      else await expect(opening).rejects.toThrow(`HTTP ${status}`);
    } finally {
      await other.close();
    }
  });
});

function withProcess({ properties }: NodePayload, change: object): NodePayload['properties'] {
  if (!('Proc' in properties)) throw new Error('not a proc');
  const process = {
    pid: 77,
    parent_pid: null,
    parent_proc: null,
    origin: 'started' as const,
    command: ['python3', 'train.py'],
    rank: null,
    local_rank: null,
    started_at: '2026-03-02T09:20:11.655Z',
    ended_at: null,
    exit_code: null,
    signal: null,
  };
  return { Proc: { ...properties.Proc, process: { ...process, ...change } } };
}

/** Makes that many events: one actor that changes its status, again and again. */
function flood(agent: FakeAgent, count: number, round = 0): void {
  for (let sent = 0; sent < count; ) {
    const nodes: NodePayload[] = [];
    for (; nodes.length < 500 && sent < count; sent += 1) {
      nodes.push(agent.actor(agent.actorRef, undefined, `step ${round}-${sent} ${'x'.repeat(200)}`));
    }
    agent.delta(nodes);
  }
}
