/**
 * The same frames with evictions anywhere between them, and without any: the agents are sent the same, readers read the
 * same bytes, followers are told the same. And no tick does anything before `dueAt_ms` said that it would.
 */

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { failure, type Outcome, success } from '../../src/base/index.ts';
import type { NodePayload } from '../../src/contract/index.ts';
import type { Telemetry } from '../../src/edge-gateway/ports.ts';
import {
  EvictingHub,
  HEARTBEAT_MS,
  hostNode,
  hostRef,
  procNode,
  procRef,
  type Socket,
  stateOf,
} from '../support/evicting-hub.ts';

const HOSTS = ['a', 'b'];
const PROCS = 4;
const SOCKETS = 4;
const PRODUCER = '00000000-0000-4000-8000-00000000000';

type Step =
  | { readonly do: 'hello'; readonly socket: number; readonly host: number; readonly incarnation: number }
  | {
      readonly do: 'sync';
      readonly socket: number;
      readonly procs: number;
      readonly part: 'all' | 'head' | 'tail' | 'mid';
    }
  | {
      readonly do: 'delta';
      readonly socket: number;
      readonly put: readonly number[];
      readonly removed: readonly number[];
    }
  | { readonly do: 'skip' | 'repeat' | 'heartbeat' | 'beat' | 'bye' | 'drop'; readonly socket: number }
  | { readonly do: 'events'; readonly socket: number; readonly seq: number; readonly isStored: boolean }
  | { readonly do: 'wait'; readonly fifths: number };

const socket = fc.nat(SOCKETS - 1);
const procs = fc.array(fc.nat(PROCS - 1), { maxLength: 3 });

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('hello'), socket, host: fc.nat(1), incarnation: fc.nat(1) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('sync'),
      socket,
      procs: fc.nat(PROCS),
      part: fc.constantFrom('all', 'head', 'tail', 'mid'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delta'), socket, put: procs, removed: procs }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('skip', 'repeat', 'heartbeat', 'heartbeat', 'beat', 'beat', 'bye', 'drop'),
      socket,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('events'),
      socket,
      seq: fc.integer({ min: 1, max: 2 }),
      isStored: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), fifths: fc.integer({ min: 1, max: 4 }) }) },
) as fc.Arbitrary<Step>;

/** A step, and the order of the sockets in an eviction after it; null when there is none. */
const script = fc.array(fc.tuple(steps, fc.option(fc.boolean(), { freq: 2 })), { minLength: 5, maxLength: 60 });

class Store implements Telemetry {
  isUp = true;
  query = async () => success(new Response());
  storeDump = async () => success(undefined);
  async ingest(): Promise<Outcome<void>> {
    return this.isUp ? success(undefined) : failure('service_unavailable', 'down');
  }
}

class Run {
  readonly store = new Store();
  readonly evicting: EvictingHub;
  readonly #seqs = new Map<Socket, number>();
  readonly #open: Socket[] = [];
  /** Of the payloads, so that each differs from the one before. */
  #version = 0;

  constructor(evicts: boolean) {
    this.evicting = new EvictingHub({ telemetry: this.store, evicts });
  }

  async play(script: readonly (readonly [Step, boolean | null])[]): Promise<string[]> {
    const seen: string[] = [];
    for (const [step, eviction] of script) {
      await this.#do(step);
      if (eviction !== null) this.evicting.evict((sockets) => (eviction ? sockets.reverse() : sockets));
      seen.push(this.#look());
    }
    return seen;
  }

  async #do(step: Step): Promise<void> {
    this.#version += 1;
    if (step.do === 'wait') {
      for (let i = 0; i < step.fifths; i += 1) {
        vi.advanceTimersByTime(HEARTBEAT_MS / 5);
        this.#tick();
      }
      return;
    }
    const socket = this.#socketAt(step.socket);
    const next = (this.#seqs.get(socket) ?? 0) + 1;
    const host = socket.session?.hello?.host ?? 'a';
    switch (step.do) {
      case 'hello':
        return socket.hello(HOSTS[step.host] ?? 'a', `00000000-0000-4000-8000-00000000000${step.incarnation}`);
      case 'sync':
        this.#seqs.set(socket, next);
        return socket.sync(next, this.#part(host, step.procs, step.part), step.part === 'head' || step.part === 'mid');
      case 'delta': {
        this.#seqs.set(socket, next);
        const removed = step.removed.map((n) => procRef(host, n));
        return socket.delta(next, [...step.put.map((n) => this.#proc(host, n)), hostNode(host)], removed);
      }
      case 'skip':
        this.#seqs.set(socket, next);
        return;
      case 'repeat':
        return socket.delta(Math.max(1, next - 1), []);
      case 'heartbeat':
        return socket.say({ type: 'heartbeat' });
      case 'beat':
        return socket.beat();
      case 'bye':
        return socket.say({ type: 'bye', reason: 'done' });
      case 'drop':
        return socket.drop();
      case 'events': {
        this.store.isUp = step.isStored;
        const producer = PRODUCER + step.socket;
        socket.say({ type: 'events', batch: { producer, seq: step.seq, lost_rows: 0, tables: {} } });
        await vi.advanceTimersByTimeAsync(0);
      }
    }
  }

  #proc(host: string, n: number): NodePayload {
    return procNode(host, n, `${this.#version}`);
  }

  #part(host: string, procs: number, part: 'all' | 'head' | 'tail' | 'mid'): NodePayload[] {
    const all = stateOf(host, procs, `${this.#version}`);
    return part === 'all' ? all : part === 'head' ? all.slice(0, 2) : all.slice(1);
  }

  /** A socket is opened anew when it has closed. */
  #socketAt(index: number): Socket {
    const known = this.#open[index];
    if (known?.code === null) return known;
    const opened = this.evicting.open();
    this.#open[index] = opened;
    return opened;
  }

  #tick(): void {
    const due_ms = this.evicting.hub.dueAt_ms();
    const before = this.#look();
    this.evicting.tick();
    if (this.#look() !== before) expect(due_ms).toBeLessThanOrEqual(Date.now());
  }

  /** Everything that can be seen from outside. */
  #look(): string {
    const { hub, sockets, told } = this.evicting;
    const references = HOSTS.flatMap((host) => [
      hostRef(host),
      ...Array.from({ length: PROCS }, (_, n) => procRef(host, n)),
    ]);
    const { hosts, links, nodes } = hub.counts();
    return JSON.stringify({
      sent: sockets.map(({ frames, code, reason }) => [
        frames.filter(({ type }) => type !== 'heartbeat'),
        code,
        reason,
      ]),
      reads: ['root', ...references].map((reference) => hub.read(reference)),
      tree: hub.tree('http://x'),
      counts: { hosts, links, nodes },
      told,
    });
  }
}

describe('eviction, at any place in any sequence of frames', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('is seen by nobody: neither agents nor readers nor followers', async () => {
    const play = async (evicts: boolean, script: readonly (readonly [Step, boolean | null])[]) => {
      vi.setSystemTime(1_700_000_000_000);
      const run = new Run(evicts);
      try {
        return await run.play(script);
      } finally {
        run.evicting.close();
      }
    };
    await fc.assert(
      fc.asyncProperty(script, async (script) => {
        expect(await play(true, script)).toEqual(await play(false, script));
      }),
      { numRuns: 300, seed: 4 },
    );
  });
});
