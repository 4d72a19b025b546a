import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Outcome } from '../../base/index.ts';
import { CLOSE, HEARTBEAT_TEXT, type StoreGatewayFrame } from '../../contract/index.ts';
import type { Link } from '../../link/index.ts';
import { LIMITS } from '../limits.ts';
import { NO_TELEMETRY } from '../ports.ts';
import { StoreLink, type StoreLinkOptions } from './linked-store.ts';
import type { StoreSession } from './store-session.ts';

const DIALLER = { principal: { name: 'store', hosts: null }, host: null };
const INCARNATION = 'c6d6cf0e-6f0e-4b5a-9d7c-2f1f6d5a3b10';
const OTHER = '0a7b7a52-4b7b-4f2f-8c51-3a8f7d1c9e22';

class FakeLink implements Link {
  readonly sent: StoreGatewayFrame[] = [];
  closed: { code: number; reason: string } | null = null;
  heard_at_ms: number | null = null;

  send(text: string) {
    this.sent.push(JSON.parse(text));
  }

  close(code: number, reason: string) {
    this.closed ??= { code, reason };
  }

  heardAt_ms() {
    return this.heard_at_ms;
  }
}

const links: StoreLink[] = [];

function start(options: Partial<StoreLinkOptions> = {}): StoreLink {
  const store = new StoreLink({ version: 'test', heartbeat_ms: 50, timeout_ms: 5_000, ...options });
  links.push(store);
  return store;
}

function dial(store: StoreLink, incarnation = INCARNATION) {
  const link = new FakeLink();
  const session = store.accept(link, DIALLER);
  session.receive(JSON.stringify({ type: 'hello', version: 1, incarnation, service_version: 'test' }));
  return { link, session };
}

const answer = (session: StoreSession, call: number, part: string) =>
  session.receive(JSON.stringify({ type: 'answer', call, part, more: false }));

async function textOf(asked: Promise<Outcome<Response>>): Promise<string | null> {
  const outcome = await asked;
  return outcome.ok ? outcome.value.text() : null;
}

/** Lets what waits for a promise that is settled go on. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

const passed = (wait_ms: number) => {
  const until_ms = Date.now() + wait_ms;
  return new Promise<void>((resolve) => {
    const look = () => (Date.now() >= until_ms ? resolve() : setTimeout(look, 5));
    look();
  });
};

afterEach(() => {
  for (const store of links.splice(0)) store.close();
});

describe('links of stores', () => {
  it('n may be open at once, n + 1 is refused to come again', () => {
    const store = start();
    const open = Array.from({ length: LIMITS.store_links_max }, () => {
      const link = new FakeLink();
      return { link, session: store.accept(link, DIALLER) };
    });
    expect(open.filter(({ link }) => link.closed !== null)).toEqual([]);
    const link = new FakeLink();
    store.accept(link, DIALLER);
    expect(link.sent).toMatchObject([{ type: 'refuse', code: 'too_many_links', retry: true }]);
    open[0]?.session.closed();
    expect(dial(store).link.sent).toMatchObject([{ type: 'welcome' }]);
  });

  it('that say nothing for as long as a hello may take are closed, and not before', () => {
    vi.useFakeTimers();
    try {
      const link = new FakeLink();
      start().accept(link, DIALLER);
      vi.advanceTimersByTime(LIMITS.hello_wait_ms - 1);
      expect(link.closed).toBeNull();
      vi.advanceTimersByTime(1);
      expect(link.closed).toEqual({ code: CLOSE.protocol, reason: 'no hello' });
    } finally {
      vi.useRealTimers();
    }
  });

  it('are closed when the gateway stops, and none is taken afterwards', async () => {
    const store = start();
    const { link } = dial(store);
    const asked = store.query('x');
    await settled();
    store.close();
    expect(link.closed?.code).toBe(CLOSE.going_away);
    expect(await asked).toMatchObject({ failure: { code: 'service_unavailable' } });
    expect(dial(store).link.closed?.code).toBe(CLOSE.going_away);
  });

  it('whose token no longer stands are closed by the next call', async () => {
    let mayStay = true;
    const store = start({ mayStay: () => mayStay });
    const { link } = dial(store);
    expect(await store.absent()).toBeNull();
    mayStay = false;
    expect(await store.query('x')).toMatchObject({ failure: { code: 'service_unavailable' } });
    expect(link.closed).toEqual({ code: CLOSE.protocol, reason: 'token revoked' });
  });
});

describe('silence', () => {
  it('of three heartbeats ends the link at the next call, after the benefit of the doubt', async () => {
    const store = start();
    const { link } = dial(store);
    await passed(150);
    const began_ms = Date.now();
    expect(await store.query('x')).toMatchObject({ failure: { code: 'service_unavailable' } });
    expect(Date.now() - began_ms).toBeGreaterThanOrEqual(LIMITS.store_doubt_ms - 5);
    expect(link.closed?.reason).toBe('silent for too long');
  });

  it('that was this process standing still ends nothing: what was on its way is heard first', async () => {
    const store = start({ heartbeat_ms: 200 });
    const { link, session } = dial(store);
    await passed(600);
    const asked = store.query('x');
    session.receive(HEARTBEAT_TEXT);
    const asks = () => link.sent.filter((frame) => frame.type === 'ask');
    while (asks().length === 0) await settled();
    answer(session, asks()[0]?.call ?? 0, '"alive"');
    expect(await textOf(asked)).toBe('"alive"');
  });

  it('is none where the runtime answers the heartbeats by itself', async () => {
    const store = start();
    const { link } = dial(store);
    await passed(150);
    link.heard_at_ms = Date.now();
    expect(await store.absent()).toBeNull();
    expect(dial(store, OTHER).link.sent).toMatchObject([{ type: 'refuse', code: 'store_taken' }]);
  });
});

describe('an object that goes on for an earlier one', () => {
  it('restores the link, answers nothing twice, and never gives a number again', async () => {
    const before = start();
    const { link, session } = dial(before);
    void before.query('before');
    await settled();
    const [, old] = link.sent;
    const oldCall = old?.type === 'ask' ? old.call : 0;
    const kept = JSON.parse(JSON.stringify(session.kept()));
    expect(kept).toMatchObject({ phase: 'live', incarnation: INCARNATION, last_call: oldCall, dialler: DIALLER });
    expect(JSON.stringify(kept).length).toBeLessThan(1_024);

    const after = start();
    const restored = after.restore(link, kept);
    expect(await after.absent()).toBeNull();
    const asked = after.query('after');
    await settled();
    const next = link.sent.at(-1);
    if (next?.type !== 'ask') throw new Error('nothing was asked');
    expect(next.call).toBeGreaterThan(oldCall);
    answer(restored, oldCall, '"before"');
    answer(restored, next.call, '"after"');
    expect(await textOf(asked)).toBe('"after"');
    expect(link.closed).toBeNull();
  });

  it('gives no number again when the clock was put back', async () => {
    const store = start();
    const link = new FakeLink();
    const last_call = Date.now() * 1_000 + 1_000_000_000;
    store.restore(link, { phase: 'live', dialler: DIALLER, incarnation: OTHER, heard_at_ms: Date.now(), last_call });
    void store.query('x');
    await settled();
    expect(link.sent).toMatchObject([{ type: 'ask', call: last_call + 1 }]);
  });

  it('takes the hello of a link that had not said it', () => {
    const kept = start().accept(new FakeLink(), DIALLER).kept();
    expect(kept).toMatchObject({ phase: 'hello', incarnation: null });
    const link = new FakeLink();
    const hello = { type: 'hello', version: 1, incarnation: OTHER, service_version: 'test' };
    start().restore(link, kept).receive(JSON.stringify(hello));
    expect(link.sent).toMatchObject([{ type: 'welcome' }]);
  });

  it('knows that there was a store, when it is told so', async () => {
    expect(await start().absent()).toBe(NO_TELEMETRY);
    const heard_at_ms = Date.now() - 60_000;
    expect(await start({ heard_at_ms }).absent()).toMatchObject({
      code: 'service_unavailable',
      message: expect.stringContaining('60.'),
      details: { retry_after_s: 5 },
    });
    const store = start();
    const { session } = dial(store);
    session.closed();
    expect(store.heard_at_ms).toBeGreaterThan(heard_at_ms);
  });
});
