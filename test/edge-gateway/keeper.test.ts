/** A hub whose object is dropped at any point of a link's life goes on as if nothing had been. */

import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { failure, type Outcome, success } from '../../src/base/index.ts';
import { CLOSE, type EventBatch, type NodePayload } from '../../src/contract/index.ts';
import { SqliteKeeper } from '../../src/edge-gateway/hub/sqlite-keeper.ts';
import { LIMITS } from '../../src/edge-gateway/limits.ts';
import type { Telemetry } from '../../src/edge-gateway/ports.ts';
import {
  EvictingHub,
  type EvictingOptions,
  HEARTBEAT_MS,
  hostNode,
  hostRef,
  procNode,
  procRef,
  sqlOf,
  stateOf,
} from '../support/evicting-hub.ts';

let made: EvictingHub[] = [];

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
});

afterEach(() => {
  for (const each of made) each.close();
  made = [];
  vi.useRealTimers();
});

function start(options: EvictingOptions = {}): EvictingHub {
  const hub = new EvictingHub(options);
  made.push(hub);
  return hub;
}

/** A store whose answers the test gives, in order. */
class Store implements Telemetry {
  readonly batches: number[] = [];
  readonly #answers: ((outcome: Outcome<void>) => void)[] = [];
  query = async () => success(new Response());
  storeDump = async () => success(undefined);
  ingest({ seq }: EventBatch): Promise<Outcome<void>> {
    this.batches.push(seq);
    return new Promise((resolve) => this.#answers.push(resolve));
  }
  async answer(outcome: Outcome<void> = success(undefined)): Promise<void> {
    this.#answers.shift()?.(outcome);
    await vi.advanceTimersByTimeAsync(0);
  }
}

describe('eviction at each step of a link', () => {
  it('before hello, after welcome, in the middle of a sync of three frames, and after it', () => {
    const evicting = start();
    const agent = evicting.open('a');
    evicting.evict();
    agent.hello('a');
    evicting.evict();
    expect(agent.types).toEqual(['welcome']);
    const nodes = stateOf('a', 4);
    agent.sync(1, nodes.slice(0, 2), true);
    evicting.evict();
    agent.sync(2, nodes.slice(2, 4), true);
    expect(evicting.hub.read(hostRef('a'))).toMatchObject({ ok: false, failure: { code: 'not_found' } });
    evicting.evict();
    agent.delta(3, [procNode('a', 0, 'changed while staged')], [procRef('a', 2)]);
    evicting.evict();
    expect([evicting.rows('hub_stage'), evicting.rows('hub_nodes')]).toEqual([3, 0]);
    agent.sync(4, nodes.slice(4), false);
    const shown = (n: number) => evicting.hub.read(procRef('a', n));
    const before = [0, 1, 2, 3].map(shown);
    expect(before.map((each) => !(each instanceof Promise) && each.ok)).toEqual([true, true, false, true]);
    expect(before[0]).toMatchObject({ value: expect.stringContaining('changed while staged') });
    evicting.evict();
    expect([0, 1, 2, 3].map(shown)).toEqual(before);
    expect(evicting.rows('hub_stage')).toBe(0);
    expect([agent.types, agent.code]).toEqual([['welcome'], null]);
    expect(evicting.told).toEqual(['linked a, read again']);
  });

  it('after hello with another host than the link was opened for (the lease of a name is by link)', () => {
    const evicting = start();
    const agent = evicting.open('a', { name: 'a-only', hosts: ['a'] });
    evicting.evict();
    agent.hello('b');
    expect(agent.frames).toMatchObject([{ type: 'refuse', code: 'host_mismatch' }]);
    const other = evicting.open(null, { name: 'a-only', hosts: ['a'] });
    evicting.evict();
    other.hello('b');
    expect(other.frames).toMatchObject([{ type: 'refuse', code: 'host_forbidden' }]);
  });

  it('after a gap: the stage is gone, and the tail of the old state is not taken for a new one', () => {
    const evicting = start();
    const agent = evicting.agent('a', stateOf('a', 1));
    const before = evicting.hub.read(procRef('a', 0));
    agent.sync(2, stateOf('a', 1, 'new'), true);
    agent.delta(4, []);
    expect([agent.types, evicting.rows('hub_stage')]).toEqual([['welcome', 'resync'], 0]);
    evicting.evict();
    agent.sync(5, [procNode('a', 1, 'of the old state')], false);
    agent.delta(6, [procNode('a', 0, 'of the old state')]);
    expect(evicting.hub.read(procRef('a', 0))).toEqual(before);
    evicting.evict();
    agent.sync(7, stateOf('a', 1, 'fresh'), false);
    expect(evicting.hub.read(procRef('a', 0))).toMatchObject({ value: expect.stringContaining('fresh') });
    expect([agent.types, agent.code]).toEqual([['welcome', 'resync'], null]);
  });

  it('stale frames and gaps are still seen by their numbers', () => {
    const evicting = start();
    const agent = evicting.agent('a', stateOf('a', 1));
    agent.delta(2, [procNode('a', 0, 'two')]);
    evicting.evict();
    agent.delta(2, [procNode('a', 0, 'stale')]);
    expect(evicting.hub.read(procRef('a', 0))).toMatchObject({ value: expect.stringContaining('two') });
    expect(evicting.hub.counts().stale_frames).toBe(1);
    agent.delta(4, []);
    expect(agent.types).toEqual(['welcome', 'resync']);
  });

  it('bye after waking removes the host and its rows', () => {
    const evicting = start();
    const agent = evicting.agent('a', stateOf('a', 3));
    evicting.evict();
    agent.say({ type: 'bye', reason: 'done' });
    expect([evicting.rows('hub_hosts'), evicting.rows('hub_nodes')]).toEqual([0, 0]);
    evicting.evict();
    expect(evicting.hub.hosts()).toEqual([]);
    expect(evicting.told).toEqual(['linked a, read again', 'removed a']);
  });

  it('an attachment stays well below 2 KB, with the longest name and all that events may hold', () => {
    const evicting = start({ telemetry: new Store() });
    const name = 'n'.repeat(100);
    const agent = evicting.open(name, { name: 'p'.repeat(64), hosts: [name] });
    agent.hello(name);
    agent.sync(1, [hostNode(name)], true);
    for (let i = 0; i < 16; i += 1) {
      agent.say({ type: 'events', batch: { producer: randomUUID(), seq: 1e15, lost_rows: 0, tables: {} } });
    }
    expect(new TextEncoder().encode(agent.attachment).length).toBeLessThan(1_900);
  });
});

describe('what a link left behind that ended unseen', () => {
  it('is no stage of a host that nobody publishes', () => {
    const evicting = start();
    const gone = evicting.open();
    gone.hello('gone');
    gone.sync(1, [hostNode('gone')], true);
    const still = evicting.open();
    still.hello('still');
    still.sync(1, [hostNode('still', [procRef('still', 0)])], true);
    evicting.evict((sockets) => sockets.filter((socket) => socket === still));
    expect(evicting.rows('hub_stage')).toBe(1);
    still.sync(2, [procNode('still', 0)]);
    expect([evicting.hub.counts().nodes, evicting.rows('hub_stage')]).toEqual([2, 0]);
  });

  it('takes nothing from the link that came after it, though its end could not be written', () => {
    let isFull = false;
    const evicting = start({
      onQuery: (query) => {
        if (isFull && query.startsWith('INSERT OR REPLACE INTO hub_hosts')) throw new Error('disk full');
      },
    });
    const first = evicting.agent('a');
    isFull = true;
    first.drop();
    isFull = false;
    const second = evicting.open();
    second.hello('a');
    second.sync(1, [hostNode('a')], true);
    evicting.evict();
    second.sync(2, [procNode('a', 0)]);
    expect([second.code, evicting.hub.counts().links]).toEqual([null, 1]);
  });
});

describe('reads', () => {
  it('give the same bytes before and after, root and tree included, and answer 504 for a host whose link is gone', () => {
    const evicting = start();
    evicting.agent('gpu-10', stateOf('gpu-10', 3));
    evicting.agent('gpu-9', stateOf('gpu-9', 2));
    evicting.agent('gone', stateOf('gone', 1)).drop();
    const references = ['root', ...['gpu-9', 'gpu-10', 'gone'].flatMap((host) => [hostRef(host), procRef(host, 0)])];
    const shown = () => [
      ...references.map((reference) => evicting.hub.read(reference)),
      evicting.hub.tree('http://x'),
      evicting.hub.counts(),
    ];
    const before = shown();
    evicting.evict();
    expect(shown()).toEqual(before);
    expect(evicting.hub.read(procRef('gone', 0))).toMatchObject({
      failure: { code: 'gateway_timeout', details: { last_known: { identity: procRef('gone', 0) } } },
    });
  });

  it('load the nodes of the host that is asked for, of no other, and none for a list of hosts', () => {
    const loads: string[] = [];
    const evicting = start({ onQuery: (query) => query.includes('FROM hub_nodes WHERE host') && loads.push(query) });
    const agent = evicting.agent('a', stateOf('a', 2));
    evicting.agent('b', stateOf('b', 2));
    evicting.evict();
    expect(evicting.hub.counts()).toMatchObject({ hosts: 2, links: 2, nodes: 6 });
    expect(evicting.hub.read('root')).toMatchObject({ ok: true });
    expect(evicting.hub.hosts().map(({ addr }) => addr)).toEqual(['unix:a', 'unix:b']);
    agent.say({ type: 'heartbeat' });
    evicting.tick();
    expect(loads.length).toBe(0);
    evicting.hub.read(procRef('a', 0));
    evicting.hub.read(procRef('a', 1));
    expect(loads.length).toBe(1);
    evicting.hub.tree('http://x');
    expect(loads.length).toBe(2);
  });

  it('follow nothing where somebody else tells what changes', () => {
    const evicting = start();
    expect(evicting.hub.follow(null)).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    expect(evicting.hub.counts().followers).toBe(0);
  });
});

describe('what is written', () => {
  it('is what has changed, and nothing twice', () => {
    const evicting = start();
    const rows = (act: () => void): number => {
      const before = evicting.written;
      act();
      return evicting.written - before;
    };
    const agent = evicting.open();
    expect(rows(() => agent.hello('a'))).toBe(0);
    expect(rows(() => agent.sync(1, stateOf('a', 3)))).toBe(5);
    expect(rows(() => agent.say({ type: 'heartbeat' }))).toBe(0);
    expect(rows(() => agent.delta(2, [procNode('a', 0, 'new'), procNode('a', 1)]))).toBe(1);
    expect(rows(() => agent.delta(3, [procNode('a', 3)], [procRef('a', 2), procRef('a', 9)]))).toBe(2);
    expect(rows(() => agent.delta(4, [procNode('a', 4)]))).toBe(2);
    expect(rows(() => evicting.evict())).toBe(0);
    expect(rows(() => agent.sync(5, [...stateOf('a', 2), procNode('a', 3), procNode('a', 4)]))).toBe(3);
    // Two frames of a stage, then what they change, then the two are dropped.
    expect(rows(() => agent.sync(6, [hostNode('a')], true))).toBe(1);
    expect(rows(() => agent.sync(7, [procNode('a', 0, 'x')], true))).toBe(1);
    expect(rows(() => agent.sync(8, [procNode('a', 1)]))).toBe(7);
    expect(rows(() => agent.drop())).toBe(1);
    expect(rows(() => evicting.evict())).toBe(0);
  });

  it('is not what an agent answered when it was asked, until it publishes the same', async () => {
    const evicting = start();
    const proc = procRef('a', 0);
    const actorAt = (as_of_ms: number): NodePayload => {
      return { ...procNode('a', 0, '', as_of_ms), identity: `x.${proc}`, parent: proc };
    };
    const agent = evicting.agent('a', [...stateOf('a', 1), actorAt(0)]);
    const before = evicting.written;
    const asked = evicting.hub.read(`x.${proc}`);
    const call = agent.frames.at(-1);
    if (call?.type !== 'call') throw new Error('no call');
    agent.say({ type: 'answer', call: call.call, part: JSON.stringify(actorAt(1)), more: false });
    expect(await asked).toMatchObject({ ok: true, value: JSON.stringify(actorAt(1)) });
    expect(evicting.written - before).toBe(0);
    agent.delta(2, [actorAt(1)]);
    expect(evicting.written - before).toBe(1);
    agent.delta(3, [actorAt(1)]);
    expect(evicting.written - before).toBe(1);
    evicting.evict(() => []);
    const gone = await evicting.hub.read(`x.${proc}`);
    expect(gone).toMatchObject({ failure: { details: { last_known: actorAt(1) } } });
  });

  it('of a link that ended unseen is dropped when the next begins a state of its own', () => {
    const evicting = start();
    const incarnation = randomUUID();
    const first = evicting.agent('a', stateOf('a', 1), incarnation);
    first.sync(2, [hostNode('a'), procNode('a', 7)], true);
    evicting.evict(() => []);
    const second = evicting.open();
    second.hello('a', incarnation);
    second.sync(1, [hostNode('a')], true);
    evicting.evict();
    second.sync(2, [procNode('a', 1)]);
    expect(evicting.hub.read(procRef('a', 7))).toMatchObject({ ok: false, failure: { code: 'not_found' } });
    expect([evicting.rows('hub_nodes'), evicting.rows('hub_stage')]).toEqual([2, 0]);
  });

  it('when it cannot be: the link is closed, nothing is shown that was not kept, and the next link mends it', () => {
    let isFull = false;
    const evicting = start({
      onQuery: (query) => {
        if (isFull && query.includes('INTO hub_nodes')) throw new Error('database or disk is full');
      },
    });
    const agent = evicting.agent('a', stateOf('a', 2));
    isFull = true;
    agent.delta(2, [procNode('a', 0, 'too much')], [procRef('a', 1)]);
    expect([agent.code, agent.reason]).toEqual([CLOSE.going_away, 'the state could not be kept']);
    expect(evicting.hub.read(procRef('a', 0))).toMatchObject({
      failure: { code: 'gateway_timeout', details: { last_known: { properties: { Error: { message: '' } } } } },
    });
    isFull = false;
    evicting.agent('a', stateOf('a', 2, 'fits'));
    const before = [0, 1].map((n) => evicting.hub.read(procRef('a', n)));
    evicting.evict();
    expect([0, 1].map((n) => evicting.hub.read(procRef('a', n)))).toEqual(before);
    expect(before[1]).toMatchObject({ ok: true });
  });

  it('by a later release is not touched', () => {
    const db = new DatabaseSync(':memory:');
    new SqliteKeeper(sqlOf(db));
    new SqliteKeeper(sqlOf(db));
    db.exec('UPDATE hub_schema SET version = 2');
    expect(() => new SqliteKeeper(sqlOf(db))).toThrow(/version 2, and this release reads 1/);
    db.close();
  });
});

describe('names', () => {
  it('a contested one is still contested after waking, in any order of sockets, and the holder that lives keeps it', () => {
    const evicting = start();
    const holder = evicting.agent('a');
    vi.advanceTimersByTime(10);
    const newcomer = evicting.open();
    newcomer.hello('a');
    evicting.evict((sockets) => sockets.reverse());
    expect(newcomer.types).toEqual([]);
    expect(evicting.hub.dueAt_ms()).toBe(Date.now() + HEARTBEAT_MS / 5);
    vi.advanceTimersByTime(HEARTBEAT_MS / 5);
    holder.beat();
    evicting.tick();
    expect(newcomer.frames).toMatchObject([{ type: 'refuse', code: 'host_name_taken', retry: false }]);
    expect(holder.code).toBeNull();
  });

  it('the holder that is silent is replaced, and those that wait are judged in the order that they came', () => {
    const evicting = start();
    const holder = evicting.agent('a');
    vi.advanceTimersByTime(10);
    const first = evicting.open();
    first.hello('a');
    vi.advanceTimersByTime(10);
    const second = evicting.open();
    second.hello('a');
    evicting.evict((sockets) => sockets.reverse());
    for (let waited_ms = 0; waited_ms < 1.6 * HEARTBEAT_MS; waited_ms += HEARTBEAT_MS / 5) {
      vi.advanceTimersByTime(HEARTBEAT_MS / 5);
      evicting.tick();
      evicting.evict((sockets) => sockets.reverse());
    }
    expect([holder.code, first.types, second.types]).toEqual([CLOSE.replaced, ['welcome'], []]);
  });

  it('the same incarnation replaces its older link at once, after waking too', () => {
    const evicting = start();
    const incarnation = randomUUID();
    const older = evicting.agent('a', stateOf('a', 1), incarnation);
    evicting.evict();
    const newer = evicting.open();
    newer.hello('a', incarnation);
    expect([older.code, newer.types]).toEqual([CLOSE.replaced, ['welcome']]);
    // The runtime may still have the older socket when it wakes the hub again.
    older.code = null;
    evicting.evict();
    newer.sync(1, stateOf('a', 1, 'newer'));
    expect(evicting.hub.read(procRef('a', 0))).toMatchObject({ value: expect.stringContaining('newer') });
  });

  it('two that were kept as live for one name: one goes, and is told so only once all are restored', () => {
    const evicting = start();
    const agent = evicting.agent('a', stateOf('a', 1));
    const double = evicting.open();
    double.attachment = agent.attachment;
    evicting.evict();
    expect([agent.code, double.code]).toEqual([null, CLOSE.replaced]);
    expect(double.kept.phase).toBe('over');
    agent.delta(2, [procNode('a', 0, 'still here')]);
    expect(evicting.hub.read(procRef('a', 0))).toMatchObject({ value: expect.stringContaining('still here') });
  });

  it('a newcomer gets the name when the holder went unseen, and hosts whose link is gone are told as lost, once', () => {
    const evicting = start();
    const holder = evicting.agent('a', stateOf('a', 1));
    evicting.agent('b', stateOf('b', 1));
    const newcomer = evicting.open();
    newcomer.hello('a');
    evicting.evict((sockets) => sockets.filter((socket) => socket !== holder && socket === newcomer));
    expect(newcomer.types).toEqual(['welcome']);
    expect(evicting.told.slice(2)).toEqual(['lost a', 'lost b']);
    evicting.evict();
    expect(evicting.told.length).toBe(4);
    expect(evicting.hub.counts()).toMatchObject({ hosts: 2, links: 0 });
  });

  it('newcomers for one name, n and n + 1, also across waking', () => {
    const evicting = start();
    evicting.agent('a');
    const waiting = Array.from({ length: LIMITS.contenders_max }, () => {
      const socket = evicting.open();
      socket.hello('a');
      return socket;
    });
    evicting.evict();
    expect(waiting.flatMap(({ types }) => types)).toEqual([]);
    const tooMany = evicting.open();
    tooMany.hello('a');
    expect(tooMany.frames).toMatchObject([{ type: 'refuse', code: 'host_name_taken' }]);
  });
});

describe('events', () => {
  const producer = randomUUID();
  const batch = (seq: number): EventBatch => ({ producer, seq, lost_rows: 0, tables: {} });

  it('a batch that was at the store has to come again before a later one, and is acknowledged once', async () => {
    const store = new Store();
    const evicting = start({ telemetry: store });
    const agent = evicting.agent('a');
    agent.say({ type: 'events', batch: batch(1) });
    agent.say({ type: 'events', batch: batch(2) });
    evicting.evict();
    await store.answer();
    agent.say({ type: 'events', batch: batch(3) });
    agent.say({ type: 'events', batch: batch(2) });
    expect(store.batches).toEqual([1, 2]);
    await store.answer();
    // What the dropped object was told, nobody was.
    expect(agent.types).toEqual(['welcome']);
    agent.say({ type: 'events', batch: batch(1) });
    await store.answer();
    evicting.evict();
    agent.say({ type: 'events', batch: batch(2) });
    await store.answer();
    expect(agent.frames.slice(1)).toEqual([
      { type: 'ack', producer, seq: 1 },
      { type: 'ack', producer, seq: 2 },
    ]);
    expect(agent.kept.events).toEqual({});
  });

  it('a batch that the store refused for now is still awaited after waking; an acknowledged one is not', async () => {
    const store = new Store();
    const evicting = start({ telemetry: store });
    const agent = evicting.agent('a');
    agent.say({ type: 'events', batch: batch(1) });
    await store.answer();
    expect(agent.kept.events).toEqual({});
    agent.say({ type: 'events', batch: batch(2) });
    await store.answer(failure('service_unavailable', 'later'));
    evicting.evict();
    agent.say({ type: 'events', batch: batch(3) });
    expect([store.batches, agent.kept.events]).toEqual([[1, 2], { [producer]: 2 }]);
    agent.say({ type: 'events', batch: batch(2) });
    await store.answer();
    expect(agent.frames.at(-1)).toEqual({ type: 'ack', producer, seq: 2 });
  });
});

describe('calls', () => {
  it('a late answer to a call from before is dropped, and no number is used twice', async () => {
    const evicting = start();
    const proc = procRef('a', 0);
    const actor: NodePayload = { ...procNode('a', 0), identity: `x.${proc}`, parent: proc };
    const agent = evicting.agent('a', [...stateOf('a', 1), actor]);
    void evicting.hub.read(`x.${proc}`);
    const numberOf = () => {
      const frame = agent.frames.at(-1);
      return frame?.type === 'call' ? frame.call : -1;
    };
    const before = numberOf();
    evicting.evict();
    const asked = evicting.hub.read(`x.${proc}`);
    expect(numberOf()).toBeGreaterThan(before);
    const answer = (call: number, message: string) => {
      const part = JSON.stringify({ ...actor, properties: { Error: { code: 'x', message } } });
      agent.say({ type: 'answer', call, part, more: false });
    };
    answer(before, 'late');
    answer(numberOf(), 'fresh');
    expect(await asked).toMatchObject({ value: expect.stringContaining('fresh') });
    expect(evicting.hub.counts().late_answers).toBe(1);
  });
});

describe('what is due', () => {
  it('nothing, where there is nothing', () => {
    const evicting = start();
    expect(evicting.hub.dueAt_ms()).toBeNull();
  });

  it('a hello, a whole state, a link that is silent, a host that is gone: each at its time, evicted or not', () => {
    const evicting = start();
    const started_ms = Date.now();
    const mute = evicting.open();
    expect(evicting.hub.dueAt_ms()).toBe(started_ms + LIMITS.hello_wait_ms);
    const agent = evicting.open();
    agent.hello('a');
    evicting.evict();
    const due = () => (evicting.hub.dueAt_ms() ?? 0) - Date.now();
    expect(due()).toBe(3 * HEARTBEAT_MS);
    vi.advanceTimersByTime(3 * HEARTBEAT_MS - 1);
    agent.beat();
    vi.advanceTimersByTime(1);
    evicting.tick();
    expect(due()).toBe(3 * HEARTBEAT_MS - 1);
    while (Date.now() < started_ms + LIMITS.hello_wait_ms) {
      agent.beat();
      vi.advanceTimersByTime(HEARTBEAT_MS / 2);
      evicting.tick();
      evicting.evict();
    }
    expect([mute.code, agent.code]).toEqual([CLOSE.protocol, null]);
    while (agent.code === null) {
      const due_ms = evicting.hub.dueAt_ms() ?? 0;
      vi.setSystemTime(due_ms - 1);
      agent.beat();
      vi.setSystemTime(due_ms);
      evicting.tick();
    }
    expect([agent.reason, Date.now() - started_ms]).toEqual(['no whole sync', LIMITS.sync_wait_ms]);
    expect(evicting.hub.dueAt_ms()).toBeNull();
    const silent = evicting.agent('b');
    vi.advanceTimersByTime(3 * HEARTBEAT_MS);
    evicting.evict();
    evicting.tick();
    expect(silent.reason).toBe('silent for too long');
    evicting.evict();
    expect(due()).toBe(LIMITS.gone_host_kept_ms + 1 - 3 * HEARTBEAT_MS);
    vi.setSystemTime(evicting.hub.dueAt_ms() ?? 0);
    evicting.tick();
    expect([evicting.hub.dueAt_ms(), evicting.rows('hub_hosts'), evicting.rows('hub_nodes')]).toEqual([null, 0, 0]);
  });

  it('a state that begins anew has its own time to come whole, though the silence of its link is due later', () => {
    const evicting = start({ heartbeat_ms: LIMITS.sync_wait_ms });
    const agent = evicting.agent('a', stateOf('a', 1));
    const due = () => (evicting.hub.dueAt_ms() ?? 0) - Date.now();
    // What is due too soon is found so by a tick.
    evicting.tick();
    expect(due()).toBe(3 * LIMITS.sync_wait_ms);
    agent.sync(2, [hostNode('a')], true);
    expect(due()).toBe(LIMITS.sync_wait_ms);
    agent.sync(3, [], false);
    evicting.tick();
    expect(due()).toBe(3 * LIMITS.sync_wait_ms);
    agent.delta(5, []);
    expect(due()).toBe(LIMITS.sync_wait_ms);
    evicting.evict();
    expect(due()).toBe(LIMITS.sync_wait_ms);
  });

  it('after a stall, what came meanwhile is read before anybody is judged silent', () => {
    const evicting = start();
    const agent = evicting.agent('a');
    vi.advanceTimersByTime(10 * HEARTBEAT_MS);
    evicting.evict();
    evicting.tick();
    expect(agent.code).toBeNull();
    expect(evicting.hub.dueAt_ms()).toBe(Date.now() + HEARTBEAT_MS / 5);
    vi.advanceTimersByTime(HEARTBEAT_MS / 5);
    evicting.tick();
    expect(agent.reason).toBe('silent for too long');
  });

  it('a host whose link is found gone has been gone for as long as it may be, not since its state was written', () => {
    const evicting = start({ heartbeat_ms: 60_000 });
    const agent = evicting.agent('a');
    const written = evicting.written;
    for (let minute = 0; minute < 30 * 60; minute += 1) {
      vi.setSystemTime(Date.now() + 60_000);
      agent.beat();
      evicting.tick();
    }
    expect(evicting.written - written).toBe((30 * 60 * 60_000) / LIMITS.heard_kept_ms);
    evicting.evict(() => []);
    expect(evicting.hub.hosts()[0]?.age_ms).toBeLessThanOrEqual(LIMITS.heard_kept_ms);
    evicting.tick();
    evicting.tick();
    expect(evicting.hub.counts()).toMatchObject({ hosts: 1, links: 0 });
  });

  it('an agent that talks all the time hears a heartbeat in answer, without any timer', () => {
    const evicting = start();
    const agent = evicting.agent('a');
    const beats = () => agent.frames.filter(({ type }) => type === 'heartbeat').length;
    let heard_ms = Date.now();
    for (let seq = 2; seq < 100; seq += 1) {
      vi.advanceTimersByTime(HEARTBEAT_MS * 0.7);
      const before = beats();
      agent.delta(seq, []);
      if (seq % 3 === 0) evicting.evict();
      if (beats() > before) heard_ms = Date.now();
      expect(Date.now() - heard_ms).toBeLessThan(2 * HEARTBEAT_MS);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  it('a link whose token is revoked is closed at the next tick, after waking too', () => {
    let isRevoked = false;
    const evicting = start({ mayStay: ({ token }) => token !== 'abc' || !isRevoked });
    const agent = evicting.open(null, { name: 'n', hosts: ['a'], token: 'abc' });
    agent.hello('a');
    evicting.evict();
    evicting.tick();
    expect(agent.code).toBeNull();
    isRevoked = true;
    evicting.tick();
    expect(agent.code).toBe(CLOSE.protocol);
  });
});

describe('bounds with a keeper, at n and at n + 1', () => {
  it('nodes and characters of a host, before and after waking', () => {
    const evicting = start({ limits: { state_per_host_max_chars: 100_000 } });
    const agent = evicting.agent('a', [hostNode('a'), procNode('a', 0)]);
    const chars = evicting.hub.hosts().flatMap((host) => [...host.nodes()].map(({ text }) => text.length));
    const left = 100_000 - chars.reduce((sum, each) => sum + each, 0);
    agent.delta(2, [procNode('a', 0, 'x'.repeat(left))]);
    evicting.evict();
    expect(agent.code).toBeNull();
    agent.delta(3, [procNode('a', 0, 'x'.repeat(left + 1))]);
    expect([agent.code, agent.reason]).toEqual([CLOSE.protocol, 'a host publishes at most 100000 characters']);
  });

  it('nodes of a host whose state is staged', () => {
    const evicting = start();
    const agent = evicting.open();
    agent.hello('a');
    agent.sync(1, [hostNode('a')], true);
    const nodes = Array.from({ length: LIMITS.nodes_per_host_max }, (_, n) => procNode('a', n));
    for (let at = 1, seq = 2; at < LIMITS.nodes_per_host_max; at += 5_000, seq += 1) {
      agent.sync(seq, nodes.slice(at, at + 5_000), true);
      evicting.evict();
    }
    expect(agent.code).toBeNull();
    agent.sync(6, nodes.slice(0, 1), true);
    expect(agent.code).toBe(CLOSE.protocol);
  });

  it('hosts that are gone: the one that has been gone longest makes room, with its rows', () => {
    const evicting = start();
    for (let i = 0; i < LIMITS.hosts_max; i += 1) {
      evicting.agent(`h${i}`).drop();
      evicting.sockets.length = 0;
      vi.advanceTimersByTime(1);
    }
    evicting.evict();
    expect(evicting.hub.counts().hosts).toBe(LIMITS.hosts_max);
    evicting.agent('one-more').drop();
    expect([evicting.hub.counts().hosts, evicting.rows('hub_hosts')]).toEqual([LIMITS.hosts_max, LIMITS.hosts_max]);
    expect(evicting.hub.read(hostRef('h0'))).toMatchObject({ failure: { code: 'not_found' } });
  });

  it('hosts in all: the one too many is refused after waking, and may come again', () => {
    const evicting = start();
    for (let i = 0; i < LIMITS.hosts_max; i += 1) evicting.agent(`h${i}`);
    evicting.evict();
    const tooMany = evicting.open();
    tooMany.hello('one-more');
    expect(tooMany.frames).toMatchObject([{ type: 'refuse', code: 'too_many_hosts', retry: true }]);
    expect(evicting.hub.counts()).toMatchObject({ hosts: LIMITS.hosts_max, links: LIMITS.hosts_max });
  });

  it('hosts whose link is found gone on waking are gone hosts, and kept', () => {
    const evicting = start();
    for (let i = 0; i < LIMITS.hosts_max; i += 1) evicting.agent(`h${i}`);
    evicting.evict(() => []);
    expect(evicting.hub.counts()).toMatchObject({ hosts: LIMITS.hosts_max, links: 0 });
    expect(evicting.rows('hub_hosts')).toBe(LIMITS.hosts_max);
  });
});
