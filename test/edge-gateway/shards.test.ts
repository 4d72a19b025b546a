/** Directory and shards when one of them fails, is lost, or belongs elsewhere in between: what is listed and told stays true. */

import { afterEach, describe, expect, it, vi } from 'vitest';
import { sleep, success } from '../../src/base/index.ts';
import type { EventBatch } from '../../src/contract/index.ts';
import type { PublishedNode } from '../../src/edge-gateway/hub/published.ts';
import { LIMITS } from '../../src/edge-gateway/limits.ts';
import { nodeChanged } from '../../src/edge-gateway/live/events.ts';
import { type ChangeReport, ChangeReporter } from '../../src/edge-gateway/shards/change-reporter.ts';
import { hostNode, procNode } from '../support/evicting-hub.ts';
import { Parts, type PartsOptions } from '../support/parts.ts';
import { until } from '../support/until.ts';

let made: Parts[] = [];

afterEach(() => {
  vi.useRealTimers();
  for (const parts of made) parts.close();
  made = [];
});

function start(options: PartsOptions = {}): Parts {
  const parts = new Parts(options);
  made.push(parts);
  return parts;
}

const health = async (parts: Parts) => (await parts.shards[0]?.fetch(new Request('http://peer/health')))?.status;

describe('a directory that does not answer', () => {
  it('hears of all hosts when it does again, though nothing more happens', async () => {
    vi.useFakeTimers({ now: 1_700_000_000_000 });
    const parts = start();
    const before = parts.link('before');
    await vi.advanceTimersByTimeAsync(0);
    expect(await parts.listed()).toEqual(['before']);
    const events = await parts.follow();
    parts.onDirectory = () => {
      throw new Error('out of reach');
    };
    before.closed();
    parts.link('after');
    await vi.advanceTimersByTimeAsync(20_000);
    expect([parts.reports.length, parts.behind]).toEqual([1 + LIMITS.report_tries_max, 1]);
    const again = async () => {
      expect(parts.shards[0]?.dueAt_ms()).toBe(Date.now() + LIMITS.report_again_ms);
      vi.advanceTimersByTime(LIMITS.report_again_ms);
      const ticked = parts.shards[0]?.tick();
      await vi.advanceTimersByTimeAsync(20_000);
      await ticked;
    };
    await again();
    expect([parts.reports.length, parts.behind]).toEqual([1 + 2 * LIMITS.report_tries_max, 2]);
    parts.onDirectory = () => {};
    await again();
    expect(await parts.listed()).toEqual(['after', 'before']);
    await vi.advanceTimersByTimeAsync(0);
    expect(events).toEqual(['snapshot start', 'host_linked after', 'host_lost before']);
  });
});

describe('a shard that was lost before what it told had arrived', () => {
  it('names all its hosts', async () => {
    const parts = start();
    parts.onDirectory = () => new Promise(() => {});
    parts.link('a');
    parts.link('b');
    await until(() => parts.reports.length === 1, 'the first message');
    parts.onDirectory = () => {};
    parts.loseShard(0);
    expect(await health(parts)).toBe(200);
    expect(await parts.listed()).toEqual(['a', 'b']);
  });
});

describe('how many hosts there are', () => {
  it('is answered while changes keep coming', async () => {
    const parts = start();
    const session = parts.link('a');
    let seq = 1;
    const change = () => {
      for (let n = 0; n < LIMITS.report_events_max; n += 1) {
        seq += 1;
        session.receive(JSON.stringify({ type: 'delta', seq, nodes: [procNode('a', 0, String(seq))], removed: [] }));
      }
    };
    parts.onDirectory = async (path) => {
      if (path !== '/changes' || seq > 40 * LIMITS.report_events_max) return;
      await sleep(1);
      change();
    };
    session.receive(
      JSON.stringify({
        type: 'sync',
        seq: 2,
        nodes: [hostNode('a', [procNode('a', 0).identity]), procNode('a', 0)],
        more: false,
      }),
    );
    seq = 2;
    change();
    expect(await health(parts)).toBe(200);
    expect(parts.reports.length).toBeLessThan(10);
  });
});

describe('hosts that moved to another shard', () => {
  it('are not told as removed when the one where they were forgets them', async () => {
    const parts = start();
    const hosts = ['gpu-0', 'gpu-1', 'gpu-2', 'gpu-3'];
    for (const host of hosts) parts.link(host);
    await health(parts);
    parts.spreadOver(2);
    const moved = hosts.filter((host) => parts.homeOf(host) === 1);
    expect(moved).not.toEqual([]);
    for (const host of moved) parts.link(host);
    await until(async () => (await parts.listed()).length === hosts.length, 'the hosts that moved');
    const events = await parts.follow();
    parts.loseShard(0);
    await health(parts);
    const told = hosts.filter((host) => !moved.includes(host)).map((host) => `host_lost ${host}`);
    await until(() => events.length > told.length, 'what the other told');
    expect(events).toEqual(['snapshot start', ...told]);
    expect(await parts.listed()).toEqual(hosts);
  });

  it('are not taken where they were, by a gateway that still counts as before', async () => {
    const parts = start({ shards: 2 });
    const wrong = 1 - parts.homeOf('a');
    parts.linkAt(wrong, 'a');
    parts.link('a');
    await until(async () => (await parts.listed()).length === 1, 'the host');
    expect(parts.refused).toEqual(['wrong_shard']);
    expect(parts.shards.map(({ hub }) => hub.counts().hosts)[wrong]).toBe(0);
  });
});

describe('what the directory could not write', () => {
  it('is not shown, is told again, and outlives the directory then', async () => {
    const parts = start();
    let failures = 0;
    parts.onQuery = (query) => {
      if (!query.startsWith('INSERT OR REPLACE INTO directory') || failures > 0) return;
      failures += 1;
      throw new Error('disk full');
    };
    parts.onDirectory = async (path) => {
      if (path === '/changes') expect(await parts.listed()).toEqual([]);
    };
    parts.link('a');
    expect(await health(parts)).toBe(200);
    expect([parts.reports.length, await parts.listed()]).toEqual([2, ['a']]);
    parts.loseDirectory();
    expect(await parts.listed()).toEqual(['a']);
  });
});

describe('live updates that wait for the directory', () => {
  /** Tells events of so many characters while the directory is busy, and gives whether the next message names all hosts. */
  const isWholeAfter = async (sizes: readonly number[]): Promise<boolean> => {
    const parts = start();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let tellings = 0;
    const told: ChangeReport[] = [];
    const reporter = new ChangeReporter({
      shard: 's',
      directory: {
        fetch: async (request) => {
          told.push((await request.json()) as ChangeReport);
          tellings += 1;
          if (tellings === 1) await held;
          return new Response(null, { status: 204 });
        },
      },
      hosts: () => parts.shards[0]?.hub.hosts() ?? [],
      mark: { get: () => false, set: () => {} },
      onBehind: () => {},
      limits: LIMITS,
    });
    const host = { name: 'a', identity: 'x' };
    const node = { identity: 'x', kind: 'proc', parent: 'y', as_of_ms: 0, children: [], since: null };
    const change = (status: number) => {
      const read = { ...node, status: JSON.stringify('s'.repeat(status)) } as unknown as PublishedNode;
      return { type: 'node_changed', node: read } as const;
    };
    const overhead = nodeChanged(host, change(0), LIMITS)[1].length;
    reporter.changed(host, change(0));
    await until(() => tellings === 1, 'the first message');
    for (const size of sizes) reporter.changed(host, change(size - overhead));
    release();
    await reporter.settled();
    return told[1]?.whole === true;
  };

  it('take so many characters, and for one more all hosts are named instead', async () => {
    const size = LIMITS.live_event_max_chars / 2;
    const sizes = Array.from({ length: LIMITS.live_events_max_bytes / size - 1 }, () => size);
    expect(await isWholeAfter([...sizes, size])).toBe(false);
    expect(await isWholeAfter([...sizes, size + 1])).toBe(true);
  });

  it('are so many, and for one more all hosts are named instead', async () => {
    const sizes = Array.from({ length: LIMITS.live_events_max }, () => 500);
    expect(await isWholeAfter(sizes)).toBe(false);
    expect(await isWholeAfter([...sizes, 500])).toBe(true);
  });
});

describe('snapshots', () => {
  const batches: EventBatch[] = [];
  const telemetry = {
    query: async () => success(new Response()),
    storeDump: async () => success(undefined),
    ingest: async (batch: EventBatch) => {
      batches.push(batch);
      return success(undefined);
    },
  };
  const captures = () => batches.filter(({ tables = {} }) => 'snapshots' in tables).length;

  it('are due at the interval that is set now, or never, whatever was planned before', async () => {
    const parts = start({ telemetry, snapshot_interval_ms: 86_400_000 });
    parts.link('a');
    expect(await health(parts)).toBe(200);
    vi.useFakeTimers({ now: (parts.directory.dueAt_ms() ?? 0) + 1 });
    const tick = async () => {
      const ticked = parts.directory.tick();
      // Planned at once: while it is under way it is not due again.
      expect(parts.directory.dueAt_ms()).toBeGreaterThan(Date.now());
      await ticked;
    };
    await tick();
    expect([captures(), parts.directory.dueAt_ms()]).toEqual([1, Date.now() + 86_400_000]);
    parts.loseDirectory({ snapshot_interval_ms: 30_000 });
    expect(parts.directory.dueAt_ms()).toBe(Date.now() + 30_000);
    vi.setSystemTime(Date.now() + 30_000);
    await tick();
    expect(captures()).toBe(2);
    parts.loseDirectory({ snapshot_interval_ms: 0 });
    expect(parts.directory.dueAt_ms()).toBeNull();
  });

  it('are taken of a shard one at a time', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = { ...telemetry, ingest: (batch: EventBatch) => held.then(() => telemetry.ingest(batch)) };
    const parts = start({ telemetry: slow });
    parts.link('a');
    const capture = async () => {
      const body = JSON.stringify({ id: crypto.randomUUID(), snapshot_ts: 0 });
      return (await parts.shards[0]?.fetch(new Request('http://peer/capture', { method: 'POST', body })))?.json();
    };
    const first = capture();
    expect(await capture()).toBe(false);
    release();
    expect([await first, await capture()]).toEqual([true, true]);
  });
});
