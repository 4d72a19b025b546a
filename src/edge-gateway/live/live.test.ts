/** The bounds of live updates, at n and n+1, and what the stream does with a client that never reads. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { changesOf, differenceOf } from '../hub/node-change.ts';
import { sinceOf, statusOf } from '../hub/node-status.ts';
import type { PublishedNode } from '../hub/published.ts';
import { LIMITS } from '../limits.ts';
import { LiveClient } from './client.ts';
import { LiveFeed } from './feed.ts';
import { LiveLog } from './log.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('the log', () => {
  it('keeps so many events, and drops the oldest for one more', () => {
    const log = new LiveLog(LIMITS);
    for (let n = 0; n < LIMITS.live_events_max; n += 1) log.append('t', '{}');
    expect([log.kept.events, log.after(0) === null]).toEqual([LIMITS.live_events_max, false]);
    log.append('t', '{}');
    expect([log.kept.events, log.after(0) === null, log.after(1) === null]).toEqual([
      LIMITS.live_events_max,
      true,
      false,
    ]);
  });

  it('keeps so many bytes, and drops the oldest for one more', () => {
    const log = new LiveLog(LIMITS);
    const overhead = log.frame('t', '', 1).length;
    const half = LIMITS.live_events_max_bytes / 2 - overhead;
    log.append('t', 'x'.repeat(half));
    log.append('t', 'x'.repeat(half));
    expect(log.kept).toEqual({ events: 2, bytes: LIMITS.live_events_max_bytes });
    log.append('t', '');
    expect(log.kept).toEqual({ events: 2, bytes: LIMITS.live_events_max_bytes / 2 + overhead });
    // One that is over the bound alone leaves nothing, and everybody has to read again.
    log.append('t', 'x'.repeat(LIMITS.live_events_max_bytes));
    expect([log.kept, log.after(3), log.after(4)]).toEqual([
      { events: 0, bytes: 0 },
      null,
      { bytes: new Uint8Array(), last: 4 },
    ]);
    log.append('t', '');
    expect([log.kept.events, log.after(4)?.last]).toEqual([1, 5]);
  });

  it('hands out a chunk up to its bound, at least one event, and what is left next time', () => {
    const log = new LiveLog(LIMITS);
    const data = 'x'.repeat(LIMITS.live_chunk_max_bytes / 2 - log.frame('t', '', 1).length);
    for (const more of ['', '', 'x', '', 'x'.repeat(LIMITS.live_chunk_max_bytes)]) log.append('t', data + more);
    const chunks: number[] = [];
    for (let last = 0; last < log.last; ) {
      const chunk = log.after(last);
      if (chunk === null) throw new Error('dropped');
      chunks.push(chunk.last);
      last = chunk.last;
    }
    expect(chunks).toEqual([2, 3, 4, 5]);
  });

  it('reads only ids of its own run, up to the latest', () => {
    const log = new LiveLog(LIMITS);
    log.append('t', '{}');
    const id = /id: (\S+)/.exec(new TextDecoder().decode(log.frame('t', '', 1)))?.[1] ?? '';
    const run = id.split('.')[0];
    expect(log.numberOf(id)).toBe(1);
    expect(log.numberOf(`${run}.0`)).toBe(0);
    for (const other of [
      '',
      '1',
      `${run}.2`,
      `${run}.01`,
      `${run}.-1`,
      `${run}.1 `,
      `${run}.1e1`,
      id.replace('.', ':'),
    ]) {
      expect([other, log.numberOf(other)]).toEqual([other, null]);
    }
    expect(new LiveLog(LIMITS).numberOf(id)).toBeNull();
  });
});

describe('a client', () => {
  it('takes nothing while it does not read, and is cut after its time', async () => {
    vi.useFakeTimers();
    const ended: LiveClient[] = [];
    const client = new LiveClient(new LiveLog(LIMITS), null, 5_000, LIMITS, (each) => ended.push(each));
    const reader = client.stream.getReader();
    await reader.read();
    await vi.advanceTimersByTimeAsync(LIMITS.live_stall_ms - 1);
    expect(ended).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toEqual([client]);
    await expect(reader.read()).rejects.toThrow('not read for 60 s');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that reads is never cut, however long nothing happens', async () => {
    vi.useFakeTimers();
    const ended: LiveClient[] = [];
    const client = new LiveClient(new LiveLog(LIMITS), null, 5_000, LIMITS, (each) => ended.push(each));
    const reader = client.stream.getReader();
    let heartbeats = 0;
    const reading = (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        if (new TextDecoder().decode(value) === ': heartbeat\n\n') heartbeats += 1;
      }
    })();
    await vi.advanceTimersByTimeAsync(3 * LIMITS.live_stall_ms);
    expect([ended, heartbeats]).toEqual([[], (3 * LIMITS.live_stall_ms) / 5_000]);
    client.close();
    await reading;
    expect([ended, vi.getTimerCount()]).toEqual([[client], 0]);
  });
});

describe('an event', () => {
  it('goes without its status when it is longer than its bound', async () => {
    const feed = new LiveFeed(5_000, LIMITS);
    const opened = feed.open(null);
    if (!opened.ok) throw new Error(opened.failure.message);
    const reader = opened.value.getReader();
    const next = async () => new TextDecoder().decode((await reader.read()).value);
    await next();
    const tell = async (status_chars: number) => {
      const status = JSON.stringify('x'.repeat(status_chars));
      feed.changed({ name: 'a', identity: 'host:a' }, { type: 'node_changed', node: node('p', { status }) });
      return /^data: (.*)$/m.exec(await next())?.[1] ?? '';
    };
    const overhead = (await tell(0)).length;
    expect(await tell(LIMITS.live_event_max_chars - overhead)).toHaveLength(LIMITS.live_event_max_chars);
    expect(await tell(LIMITS.live_event_max_chars - overhead + 1)).toMatch(/"status":null}$/);
    feed.close();
  });

  it('holds texts up to their bound', () => {
    const failure = (code: string, message: string) =>
      statusOf(
        {
          identity: 'x',
          properties: { Error: { code, message } },
          children: [],
          parent: null,
          as_of: '2026-03-02T09:20:11.655Z',
        },
        LIMITS,
      );
    const whole = 'x'.repeat(LIMITS.live_text_max_chars);
    expect(failure('c', whole)).toEqual({ Error: { code: 'c', message: whole } });
    expect(failure('c', `${whole}y`)).toEqual({ Error: { code: 'c', message: `${whole.slice(1)}…` } });
  });
});

describe('a change', () => {
  it('is one of status, of children and of their order, and of nothing else', () => {
    const before = node('p', { children: ['a', 'b'] });
    expect(changesOf(before, node('p', { children: ['a', 'b'], as_of_ms: 7, text: 'other', since: 'now' }))).toEqual(
      [],
    );
    for (const change of [{ status: '{}' }, { children: ['b', 'a'] }, { children: ['a'] }]) {
      const after = node('p', { children: ['a', 'b'], ...change });
      expect(changesOf(before, after)).toEqual([{ type: 'node_changed', node: after }]);
    }
  });

  it('of a label is another node, since clients know nodes by their references', () => {
    const [before, after] = [node('p'), node('p', { identity: 'renamed' })];
    expect(changesOf(before, after).map(({ type }) => type)).toEqual(['node_removed', 'node_added']);
  });

  it('of a whole state is told one by one up to the bound', () => {
    const state = (count: number) => new Map(Array.from({ length: count }, (_, n) => [`p${n}`, node(`p${n}`)]));
    expect(differenceOf(new Map(), state(LIMITS.live_sync_changes_max), LIMITS)).toHaveLength(
      LIMITS.live_sync_changes_max,
    );
    expect(differenceOf(new Map(), state(LIMITS.live_sync_changes_max + 1), LIMITS)).toBeNull();
    expect(differenceOf(state(LIMITS.live_sync_changes_max), new Map(), LIMITS)).toHaveLength(
      LIMITS.live_sync_changes_max,
    );
    expect(differenceOf(state(LIMITS.live_sync_changes_max + 1), new Map(), LIMITS)).toBeNull();
  });
});

it('the start of what an actor does is that of its oldest handler, whatever their order', () => {
  const handler = (oldest_since: string) => ({ name: 'step', active_count: 1, oldest_since });
  const [early, late] = ['2026-03-02T09:20:11.655Z', '2026-03-02T09:20:12.000Z'];
  for (const active_handlers of [
    [handler(early), handler(late)],
    [handler(late), handler(early)],
  ]) {
    expect(sinceOf(actorWith(active_handlers))).toBe(early);
  }
  expect(sinceOf(actorWith([]))).toBeNull();
});

function actorWith(active_handlers: { name: string; active_count: number; oldest_since: string }[]) {
  return {
    identity: 'x',
    properties: {
      Actor: {
        actor_status: 'idle',
        actor_type: 't',
        instance_id: '0195a1c2-7d10-7c33-9f00-2b6a5d1e9c01',
        messages_processed: 0,
        created_at: null,
        last_message_handler: null,
        total_processing_time_us: 0,
        queue_depth: 0,
        flight_recorder: null,
        is_system: false,
        inbound_ordering: null,
        failure_info: null,
        execution: { active_count: active_handlers.length, active_handlers, complete: true, truncated: false },
      },
    },
    children: [],
    parent: 'p',
    as_of: '2026-03-02T09:20:11.655Z',
  };
}

function node(key: string, change: Partial<PublishedNode> = {}): PublishedNode {
  return {
    key,
    identity: key,
    kind: 'proc',
    text: '',
    children: [],
    as_of_ms: 0,
    parent: 'host:a',
    status: 'null',
    since: null,
    addr: null,
    ...change,
  };
}
