import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type EventBatch,
  type GatewayFrame,
  hostLocation,
  locationKey,
  type NodePayload,
  type Outcome,
  success,
  timestamp,
} from '../../contract/index.ts';
import {
  CALLS_PER_HOST_MAX,
  CONTENDERS_MAX,
  EVENT_BATCHES_PER_LINK_MAX,
  GONE_HOSTS_MAX,
  HOSTS_MAX,
  NODES_PER_HOST_MAX,
} from '../limits.ts';
import type { Link, LinkReceiver } from '../ports.ts';
import { SILENT } from '../ports.ts';
import { CallBudget, CallTable } from './calls.ts';
import { EventCounts, EventRelay } from './event-relay.ts';
import { MeshHub } from './hub.ts';
import { PublishedStream } from './stream.ts';

/** The hub takes any pair of functions for a socket, so bounds in the thousands need no thousands of sockets. */
class Peer implements Link {
  readonly frames: GatewayFrame[] = [];
  code: number | null = null;
  readonly receiver: LinkReceiver;

  constructor(hub: MeshHub, host: string) {
    this.receiver = hub.accept(this);
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
    for (let i = 0; i < HOSTS_MAX; i += 1) {
      expect(new Peer(hub, `h${i}`).frames[0]?.type).toBe('welcome');
    }
    expect(new Peer(hub, 'one-more').frames[0]).toMatchObject({ type: 'refuse', code: 'too_many_hosts', retry: true });
    hub.close();
  });

  it('gone hosts: the one that has been gone longest is forgotten', () => {
    const hub = startHub();
    for (let i = 0; i <= GONE_HOSTS_MAX; i += 1) {
      const peer = new Peer(hub, `h${i}`);
      peer.say({ type: 'sync', seq: 1, nodes: [hostNode(`h${i}`)], more: false });
      peer.receiver.closed();
      expect(hub.hosts().length).toBe(Math.min(i + 1, GONE_HOSTS_MAX));
    }
    expect(hub.read('host:host_agent.service@ipc://h0')).toMatchObject({ ok: false, failure: { code: 'not_found' } });
    hub.close();
  });

  it('newcomers for one name: the one too many is refused at once, the others wait', () => {
    const hub = startHub();
    new Peer(hub, 'a');
    const waiting = Array.from({ length: CONTENDERS_MAX }, () => new Peer(hub, 'a'));
    expect(waiting.flatMap(({ frames }) => frames)).toEqual([]);
    expect(new Peer(hub, 'a').frames[0]).toMatchObject({ type: 'refuse', code: 'host_name_taken' });
    hub.close();
  });

  it('nodes of a host', () => {
    const children = Array.from({ length: NODES_PER_HOST_MAX }, (_, i) => `p${i}@ipc://a`);
    const nodes = children.map((identity) => errorNode(identity));
    const ownHost = locationKey(hostLocation('a'));
    const sync = (some: NodePayload[]) =>
      new PublishedStream(ownHost).take({ type: 'sync', seq: 1, nodes: [hostNode('a'), ...some], more: false }).kind;
    expect(sync(nodes.slice(1))).toBe('replace');
    expect(sync(nodes)).toBe('violation');
  });

  it('calls of a host: the one too many ends at once, and one that has ended makes room', async () => {
    const budget = new CallBudget();
    const table = new CallTable(() => {}, budget);
    const request = { method: 'introspect', reference: 'x' } as const;
    const calls = Array.from({ length: CALLS_PER_HOST_MAX }, () => table.start(request, 60_000));
    expect(budget.calls).toBe(CALLS_PER_HOST_MAX);
    expect((await table.start(request, 60_000).end).kind).toBe('full');
    calls[0]?.cancel();
    table.start(request, 60_000);
    expect(budget.calls).toBe(CALLS_PER_HOST_MAX);
    table.loseAll();
    expect([budget.calls, budget.chars, (await calls[1]?.end)?.kind]).toEqual([0, 0, 'lost']);
  });

  it('a call that is not answered ends late, is cancelled, and what comes then is dropped', async () => {
    const sent: string[] = [];
    const budget = new CallBudget();
    const table = new CallTable(({ type }) => sent.push(type), budget);
    expect((await table.start({ method: 'introspect', reference: 'x' }, 5).end).kind).toBe('late');
    table.answer(1, '{}', false);
    expect([sent, budget.late_answers]).toEqual([['call', 'cancel'], 1]);
  });

  it('event batches that wait: the one too many is dropped, and comes again in order', async () => {
    const counts = new EventCounts();
    const acks: number[] = [];
    const commits: (() => void)[] = [];
    const store = () => new Promise<Outcome<void>>((resolve) => commits.push(() => resolve(success(undefined))));
    const telemetry = { query: async () => success(''), storeDump: async () => success(undefined), ingest: store };
    const relay = new EventRelay((frame) => frame.type === 'ack' && acks.push(frame.seq), telemetry, SILENT, counts);
    const producer = randomUUID();
    const batch = (seq: number): EventBatch => ({ producer, seq, lost_rows: 0, tables: {} });
    // One is at the store, the rest wait.
    for (let seq = 1; seq <= EVENT_BATCHES_PER_LINK_MAX + 1; seq += 1) relay.take(batch(seq));
    expect(counts.dropped_batches).toBe(0);
    relay.take(batch(EVENT_BATCHES_PER_LINK_MAX + 2));
    relay.take(batch(EVENT_BATCHES_PER_LINK_MAX + 3));
    expect(counts.dropped_batches).toBe(2);
    for (let seq = 1; seq <= EVENT_BATCHES_PER_LINK_MAX + 1; seq += 1) {
      while (commits.length === 0) await Promise.resolve();
      commits.shift()?.();
      while (acks.length < seq) await Promise.resolve();
    }
    relay.take(batch(EVENT_BATCHES_PER_LINK_MAX + 3));
    expect(counts.dropped_batches).toBe(3);
    relay.take(batch(EVENT_BATCHES_PER_LINK_MAX + 2));
    expect(counts.dropped_batches).toBe(3);
  });
});

function errorNode(identity: string): NodePayload {
  const parent = 'host:host_agent.service@ipc://a';
  return { identity, properties: { Error: { code: 'x', message: '' } }, children: [], parent, as_of: timestamp(0) };
}
