import { randomUUID } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { type Outcome, SILENT, success, timestamp } from '../../base/index.ts';
import {
  ANSWER_MAX_CHARS,
  CLOSE,
  type EventBatch,
  type GatewayFrame,
  hostLocation,
  locationKey,
  type NodePayload,
  parseActorRef,
} from '../../contract/index.ts';
import type { Link, LinkReceiver } from '../../link/index.ts';
import { LIMITS } from '../limits.ts';
import type { Dialler } from '../ports.ts';
import { agentCalls, agentFailure, hubBudget } from './calls.ts';
import { EventCounts, EventRelay } from './event-relay.ts';
import { HostState } from './host.ts';
import { keyOfName } from './host-link.ts';
import { nodeStore } from './host-nodes.ts';
import { MeshHub } from './hub.ts';
import { readPublished } from './published.ts';
import { PublishedStream } from './stream.ts';

const ANYBODY: Dialler = { principal: { name: 'anybody', hosts: null }, host: null };

/** The hub takes any pair of functions for a socket, so bounds in the thousands need no thousands of sockets. */
class Peer implements Link {
  readonly frames: GatewayFrame[] = [];
  code: number | null = null;
  readonly receiver: LinkReceiver;

  constructor(hub: MeshHub, host: string) {
    this.receiver = hub.accept(this, ANYBODY);
    const started_at = timestamp(Date.now());
    this.say({ type: 'hello', version: 1, host, incarnation: randomUUID(), agent_version: '0', started_at });
  }

  send(text: string): void {
    this.frames.push(JSON.parse(text));
  }

  close(code: number): void {
    this.code = code;
  }

  say(frame: unknown): void {
    this.receiver.receive(JSON.stringify(frame));
  }
}

function startHub(): MeshHub {
  return new MeshHub({ identity: { started_at: timestamp(0), started_by: 'tester', version: '0' } });
}

function hostNode(host: string, children: string[] = []): NodePayload {
  const memory = { process_rss_bytes: null, process_vm_size_bytes: null };
  return {
    identity: `host:host_agent.service@ipc://${host}`,
    properties: { Host: { addr: `unix:${host}`, num_procs: children.length, system_children: [], memory } },
    children,
    parent: 'root',
    as_of: timestamp(0),
  };
}

describe('bounds of the hub, at n and at n + 1', () => {
  it('hosts: the one too many is refused and may come again', () => {
    const hub = startHub();
    for (let i = 0; i < LIMITS.hosts_max; i += 1) {
      expect(new Peer(hub, `h${i}`).frames[0]?.type).toBe('welcome');
    }
    expect(new Peer(hub, 'one-more').frames[0]).toMatchObject({ type: 'refuse', code: 'too_many_hosts', retry: true });
    hub.close();
  });

  it('gone hosts: all are kept, and the one that has been gone longest makes room for a newcomer', () => {
    const hub = startHub();
    for (let i = 0; i < LIMITS.hosts_max; i += 1) {
      const peer = new Peer(hub, `h${i}`);
      peer.say({ type: 'sync', seq: 1, nodes: [hostNode(`h${i}`)], more: false });
      peer.receiver.closed();
    }
    expect(hub.hosts().length).toBe(LIMITS.hosts_max);
    expect(new Peer(hub, 'one-more').frames[0]?.type).toBe('welcome');
    expect(hub.hosts().length).toBe(LIMITS.hosts_max - 1);
    expect(hub.read('host:host_agent.service@ipc://h0')).toMatchObject({ ok: false, failure: { code: 'not_found' } });
    hub.close();
  });

  it('newcomers for one name: the one too many is refused at once, the others wait', () => {
    const hub = startHub();
    new Peer(hub, 'a');
    const waiting = Array.from({ length: LIMITS.contenders_max }, () => new Peer(hub, 'a'));
    expect(waiting.flatMap(({ frames }) => frames)).toEqual([]);
    expect(new Peer(hub, 'a').frames[0]).toMatchObject({ type: 'refuse', code: 'host_name_taken' });
    hub.close();
  });

  it('nodes of a host', () => {
    const children = Array.from({ length: LIMITS.nodes_per_host_max }, (_, i) => `p${i}@ipc://a`);
    const nodes = children.map((identity) => errorNode(identity));
    const ownHost = locationKey(hostLocation('a'));
    const sync = (some: NodePayload[]) =>
      new PublishedStream(ownHost).take({ type: 'sync', seq: 1, nodes: [hostNode('a'), ...some], more: false }).kind;
    expect(sync(nodes.slice(1))).toBe('replace');
    expect(sync(nodes)).toBe('violation');
  });

  it('nodes of a state that is still staged, deltas included', () => {
    const stream = new PublishedStream(locationKey(hostLocation('a')));
    const nodes = Array.from({ length: LIMITS.nodes_per_host_max }, (_, i) => errorNode(`p${i}@ipc://a`));
    expect(stream.take({ type: 'sync', seq: 1, nodes: [hostNode('a')], more: true }).kind).toBe('begun');
    expect(stream.take({ type: 'delta', seq: 2, nodes: nodes.slice(1), removed: [] }).kind).toBe('nothing');
    expect(stream.take({ type: 'delta', seq: 3, nodes: nodes.slice(0, 1), removed: [] }).kind).toBe('violation');
  });

  it('characters of a host, staged and shown', () => {
    const properties = { Error: { code: 'x', message: 'x'.repeat(1024 * 1024) } };
    const count = LIMITS.state_per_host_max_chars / properties.Error.message.length;
    const nodes = Array.from({ length: count }, (_, i) => ({ ...errorNode(`p${i}@ipc://a`), properties }));
    const ownHost = locationKey(hostLocation('a'));
    const stream = new PublishedStream(ownHost);
    const host = new HostState(keyOfName('a'), 'a', new Map());
    stream.take({ type: 'sync', seq: 1, nodes: [hostNode('a')], more: true });
    for (const [i, node] of nodes.entries()) {
      const isOver = i === count - 1;
      const step = stream.take({ type: 'delta', seq: i + 2, nodes: [node], removed: [] });
      expect(step.kind).toBe(isOver ? 'violation' : 'nothing');
      const published = readPublished(node, ownHost, nodeStore());
      expect(typeof published === 'string' || host.change([published], []) === null).toBe(!isOver);
    }
  });

  it('characters of a host: an answer that does not fit is shown to who asked, and not kept', async () => {
    const proc = 'service@ipc://a';
    const actor = (as_of_ms: number, chars: number): NodePayload => ({
      ...errorNode(`x.${proc}`),
      properties: { Error: { code: 'x', message: 'x'.repeat(chars) } },
      parent: proc,
      as_of: timestamp(as_of_ms),
    });
    const part_chars = ANSWER_MAX_CHARS / 2;
    const nodes = Array.from({ length: LIMITS.state_per_host_max_chars / part_chars - 1 }, (_, i) => ({
      ...errorNode(`p${i}@ipc://a`),
      properties: { Error: { code: 'x', message: 'x'.repeat(part_chars) } },
    }));
    const published = [hostNode('a'), actor(0, 1), ...nodes].map((node) => readPublished(node, 'ipc://a', nodeStore()));
    const host = new HostState(keyOfName('a'), 'a', new Map());
    const calls = agentCalls(() => {}, hubBudget(LIMITS), LIMITS);
    host.session = { calls, hello: null, heard_at_ms: 0, alive_at_ms: 0, hasPublished: true, close: () => {} };
    expect(
      host.change(
        published.filter((node) => typeof node !== 'string'),
        [],
      ),
    ).toBeNull();
    const ref = parseActorRef(`x.${proc}`);
    if (!ref.ok) throw new Error(ref.error);
    const ask = async (call: number, answer: NodePayload) => {
      const asked = host.introspect(ref.value, `x.${proc}`);
      calls.answer(call, JSON.stringify(answer), false);
      const end = await asked?.call.answer;
      return [end?.kind, JSON.parse(host.node(`x.${proc}`)?.text ?? '').as_of];
    };
    expect(await ask(1, actor(1, part_chars))).toEqual(['fresh', timestamp(0)]);
    expect(await ask(2, actor(2, 2))).toEqual(['fresh', timestamp(2)]);
  });

  it('links: the one too many is refused and may come again, and one that has ended makes room', () => {
    const hub = startHub();
    const open = () => {
      const frames: string[] = [];
      const receiver = hub.accept({ send: (text) => frames.push(text), close: () => {} }, ANYBODY);
      return { frames, receiver };
    };
    const links = Array.from({ length: LIMITS.links_max }, open);
    expect(links.flatMap(({ frames }) => frames)).toEqual([]);
    expect(JSON.parse(open().frames[0] ?? '')).toMatchObject({ type: 'refuse', code: 'too_many_links', retry: true });
    links[0]?.receiver.closed();
    expect(open().frames).toEqual([]);
    hub.close();
  });

  it('a link that comes after the end is told to go', () => {
    const hub = startHub();
    hub.close();
    expect(new Peer(hub, 'a')).toMatchObject({ code: CLOSE.going_away, frames: [] });
  });

  it('requests that wait: the one too many is answered 503, and the others wait on', async () => {
    const hub = startHub();
    const peer = new Peer(hub, 'a');
    peer.say({ type: 'sync', seq: 1, nodes: [hostNode('a')], more: false });
    const actor = 'x.service@ipc://a';
    const reads = Array.from({ length: LIMITS.waiters_max }, () => hub.read(actor));
    const refused = await hub.read(actor);
    expect(refused).toMatchObject({ failure: { code: 'service_unavailable', details: { retry_after_s: 1 } } });
    peer.say({ type: 'fault', call: 1, error: { code: 'not_found', message: 'gone' } });
    const codes = (await Promise.all(reads)).map((outcome) => (outcome.ok ? 'ok' : outcome.failure.code));
    expect(new Set(codes)).toEqual(new Set(['not_found']));
    expect(hub.read(actor)).toBeInstanceOf(Promise);
    hub.close();
  });

  it('hosts that are gone for long are forgotten', async () => {
    vi.useFakeTimers();
    const hub = startHub();
    const peer = new Peer(hub, 'a');
    peer.say({ type: 'sync', seq: 1, nodes: [hostNode('a')], more: false });
    peer.receiver.closed();
    await vi.advanceTimersByTimeAsync(LIMITS.gone_host_kept_ms);
    expect(hub.hosts()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(hub.hosts()).toHaveLength(0);
    hub.close();
    vi.useRealTimers();
  });

  it('a sync that an agent begins of itself has its own time to come whole', async () => {
    vi.useFakeTimers();
    const hub = startHub();
    const peer = new Peer(hub, 'a');
    peer.say({ type: 'sync', seq: 1, nodes: [hostNode('a')], more: false });
    const wait = async (wait_ms: number) => {
      for (let waited_ms = 0; waited_ms < wait_ms; waited_ms += 1_000) {
        peer.say({ type: 'heartbeat' });
        await vi.advanceTimersByTimeAsync(1_000);
      }
    };
    await wait(2 * LIMITS.sync_wait_ms);
    peer.say({ type: 'sync', seq: 2, nodes: [hostNode('a')], more: true });
    await wait(LIMITS.sync_wait_ms - 1_000);
    expect(peer.code).toBeNull();
    await wait(3_000);
    expect(peer.code).toBe(CLOSE.protocol);
    hub.close();
    vi.useRealTimers();
  });

  it('calls in all', async () => {
    const budget = hubBudget(LIMITS);
    const request = { method: 'introspect', reference: 'x' } as const;
    const tables = Array.from({ length: LIMITS.calls_max / LIMITS.calls_per_host_max + 1 }, () =>
      agentCalls(() => {}, budget, LIMITS),
    );
    for (const table of tables.slice(1)) {
      for (let i = 0; i < LIMITS.calls_per_host_max; i += 1) table.start(request, 60_000);
    }
    expect(budget.calls).toBe(LIMITS.calls_max);
    expect(await tables[0]?.start(request, 60_000).end).toEqual({ kind: 'full', bound: 'calls' });
    for (const table of tables) table.loseAll();
    expect(budget.calls).toBe(0);
  });

  it('answers in assembly: characters of one and of all, and parts', async () => {
    const budget = hubBudget(LIMITS);
    const table = agentCalls(() => {}, budget, LIMITS);
    const start = () => table.start({ method: 'introspect', reference: 'x' }, 60_000).end;
    const whole = 'x'.repeat(ANSWER_MAX_CHARS);
    const count = LIMITS.answers_max_chars / ANSWER_MAX_CHARS;
    const ends = Array.from({ length: count + 1 }, start);
    for (let call = 1; call <= count; call += 1) table.answer(call, whole, true);
    expect(budget.chars).toBe(LIMITS.answers_max_chars);
    table.answer(count + 1, 'x', true);
    expect(await ends[count]).toEqual({ kind: 'full', bound: 'answers' });
    table.answer(1, '', false);
    expect(await ends[0]).toEqual({ kind: 'answer', text: whole });
    table.answer(2, 'x', false);
    const bounds = `${ANSWER_MAX_CHARS} characters in ${LIMITS.answer_parts_max} parts`;
    const tooLarge = { kind: 'too_large', bounds } as const;
    expect(await ends[1]).toEqual(tooLarge);
    expect(agentFailure(tooLarge)).toMatchObject({ code: 'internal_error', message: expect.stringContaining(bounds) });
    const many = start();
    for (let part = 0; part < LIMITS.answer_parts_max; part += 1) table.answer(count + 2, '', true);
    expect(budget.calls).toBe(count - 1);
    table.answer(count + 2, '', true);
    expect(await many).toEqual(tooLarge);
    table.loseAll();
    expect([budget.calls, budget.chars]).toEqual([0, 0]);
  });

  it('calls of a host: the one too many ends at once, and one that has ended makes room', async () => {
    const budget = hubBudget(LIMITS);
    const table = agentCalls(() => {}, budget, LIMITS);
    const request = { method: 'introspect', reference: 'x' } as const;
    const calls = Array.from({ length: LIMITS.calls_per_host_max }, () => table.start(request, 60_000));
    expect(budget.calls).toBe(LIMITS.calls_per_host_max);
    expect((await table.start(request, 60_000).end).kind).toBe('full');
    calls[0]?.cancel();
    table.start(request, 60_000);
    expect(budget.calls).toBe(LIMITS.calls_per_host_max);
    table.loseAll();
    expect([budget.calls, budget.chars, (await calls[1]?.end)?.kind]).toEqual([0, 0, 'lost']);
  });

  it('a call that is not answered ends late, is cancelled, and what comes then is dropped', async () => {
    const sent: string[] = [];
    const budget = hubBudget(LIMITS);
    const table = agentCalls(({ type }) => sent.push(type), budget, LIMITS);
    expect((await table.start({ method: 'introspect', reference: 'x' }, 5).end).kind).toBe('late');
    table.answer(1, '{}', false);
    expect([sent, budget.late_answers]).toEqual([['call', 'cancel'], 1]);
  });

  function relayOf() {
    const counts = new EventCounts();
    const acks: string[] = [];
    const commits: (() => void)[] = [];
    const telemetry = {
      query: async () => success(new Response()),
      storeDump: async () => success(undefined),
      ingest: () => new Promise<Outcome<void>>((resolve) => commits.push(() => resolve(success(undefined)))),
    };
    const tell = (frame: GatewayFrame) => frame.type === 'ack' && acks.push(`${frame.producer} ${frame.seq}`);
    const relay = new EventRelay(tell, telemetry, SILENT, counts, LIMITS);
    const batch = (producer: string, seq: number): EventBatch => ({ producer, seq, lost_rows: 0, tables: {} });
    /** Lets the store commit what it was given first, until so many are acknowledged. */
    const commitUntil = async (count: number): Promise<void> => {
      while (acks.length < count) {
        commits.shift()?.();
        await Promise.resolve();
      }
    };
    return { relay, counts, acks, commits, batch, commitUntil };
  }

  it('event batches that wait: the one too many is dropped, and comes again in order', async () => {
    const { relay, counts, acks, batch, commitUntil } = relayOf();
    const producer = randomUUID();
    const last = LIMITS.event_batches_per_link_max + 1;
    // One is at the store, the rest wait.
    for (let seq = 1; seq <= last; seq += 1) relay.take(batch(producer, seq));
    expect(counts.dropped_batches).toBe(0);
    relay.take(batch(producer, last + 1));
    relay.take(batch(producer, last + 2));
    expect(counts.dropped_batches).toBe(2);
    await commitUntil(last);
    expect(acks.at(-1)).toBe(`${producer} ${last}`);
    relay.take(batch(producer, last + 2));
    expect(counts.dropped_batches).toBe(3);
    relay.take(batch(producer, last + 1));
    expect(counts.dropped_batches).toBe(3);
  });

  it('event batches that come again while they are here, with no room left: what follows them still passes', async () => {
    const { relay, counts, acks, batch, commitUntil } = relayOf();
    const producer = randomUUID();
    const last = LIMITS.event_batches_per_link_max + 1;
    for (let seq = 1; seq <= last; seq += 1) relay.take(batch(producer, seq));
    for (const seq of [1, 2, last]) relay.take(batch(producer, seq));
    await commitUntil(last);
    relay.take(batch(producer, last + 1));
    await commitUntil(last + 1);
    expect([counts.dropped_batches, acks.length]).toEqual([0, last + 1]);
  });

  it('producers at the store at a time: those of one too many wait, and none waits for another', async () => {
    const { relay, counts, acks, commits, batch, commitUntil } = relayOf();
    const producers = Array.from({ length: LIMITS.event_batches_per_link_max + 1 }, () => randomUUID());
    for (const producer of producers) relay.take(batch(producer, 1));
    expect(commits).toHaveLength(LIMITS.event_batches_per_link_max);
    commits.splice(3, 1)[0]?.();
    while (acks.length === 0) await Promise.resolve();
    expect(acks).toEqual([`${producers[3]} 1`]);
    expect(commits).toHaveLength(LIMITS.event_batches_per_link_max);
    await commitUntil(producers.length);
    expect(new Set(acks).size).toBe(producers.length);
    expect(counts.dropped_batches).toBe(0);
  });
});

function errorNode(identity: string): NodePayload {
  const parent = 'host:host_agent.service@ipc://a';
  return { identity, properties: { Error: { code: 'x', message: '' } }, children: [], parent, as_of: timestamp(0) };
}
