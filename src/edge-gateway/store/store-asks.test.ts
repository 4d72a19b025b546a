import { describe, expect, it } from 'vitest';
import type { Failure } from '../../base/index.ts';
import {
  ASK_PART_CHARS,
  ASK_WINDOW_CHARS,
  ASKS_MAX,
  type AskFrame,
  type StoreGatewayFrame,
} from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import { StoreAsks } from './store-asks.ts';

const LATER_MS = 60_000;
const GONE: Failure = { code: 'service_unavailable', message: 'gone' };

function start(lastNumber = 0) {
  const sent: StoreGatewayFrame[] = [];
  const asks = new StoreAsks((frame) => sent.push(frame), LIMITS, lastNumber);
  const parts = () => sent.filter((frame): frame is AskFrame => frame.type === 'ask');
  const chars = () => parts().reduce((sum, { part }) => sum + part.length, 0);
  return { asks, sent, parts, chars };
}

describe('bounds of what is asked of a linked store', () => {
  it('calls in flight: n are sent, n + 1 is 503 with a time to come again, and one that ends makes room', async () => {
    const { asks, parts } = start();
    const all = Array.from({ length: ASKS_MAX }, () => asks.ask('query', '{}', LATER_MS));
    expect(parts()).toHaveLength(ASKS_MAX);
    const refused = await asks.ask('query', '{}', LATER_MS);
    expect(refused).toMatchObject({
      ok: false,
      failure: { code: 'service_unavailable', details: { retry_after_s: 1 } },
    });
    expect(parts()).toHaveLength(ASKS_MAX);
    asks.answer(1, '1', false);
    expect(await all[0]).toEqual({ ok: true, value: '1' });
    const next = asks.ask('query', '{}', LATER_MS);
    expect(parts()).toHaveLength(ASKS_MAX + 1);
    asks.end(GONE);
    expect(await next).toEqual({ ok: false, failure: GONE });
    expect(await Promise.all(all.slice(1))).toEqual(all.slice(1).map(() => ({ ok: false, failure: GONE })));
  });

  it('characters that wait to be sent: n are kept, n + 1 is 503', async () => {
    const { asks, chars } = start();
    const first = asks.ask('store_dump', 'x'.repeat(ASK_WINDOW_CHARS), LATER_MS);
    expect(chars()).toBe(ASK_WINDOW_CHARS);
    const waiting = asks.ask('store_dump', 'y'.repeat(LIMITS.store_waiting_max_chars), LATER_MS);
    const refused = await asks.ask('query', 'z', LATER_MS);
    expect(refused).toMatchObject({
      ok: false,
      failure: { code: 'service_unavailable', details: { retry_after_s: 1 } },
    });
    asks.fault(2, { code: 'bad_request', message: 'no' });
    expect((await waiting).ok).toBe(false);
    void asks.ask('query', 'z', LATER_MS);
    asks.end(GONE);
    await first;
  });

  it('characters on their way: n are sent, n + 1 waits for `got`, and a call that ends gives back all that it took', async () => {
    const { asks, parts, chars } = start();
    const large = asks.ask('store_dump', 'x'.repeat(ASK_WINDOW_CHARS + 1), LATER_MS);
    const small = asks.ask('query', 'q', LATER_MS);
    expect(chars()).toBe(ASK_WINDOW_CHARS);
    asks.got(1);
    expect(chars()).toBe(ASK_WINDOW_CHARS + 2);
    expect(parts().map(({ call, more }) => `${call}${more ? '+' : '.'}`)).toEqual(['1+', '1+', '1+', '1+', '1.', '2.']);
    asks.fault(1, { code: 'payload_too_large', message: 'no' });
    expect(await large).toMatchObject({ failure: { code: 'bad_request' } });
    const third = asks.ask('ingest', 'y'.repeat(ASK_WINDOW_CHARS - 1), LATER_MS);
    expect(chars()).toBe(2 * ASK_WINDOW_CHARS + 1);
    asks.end(GONE);
    await Promise.all([small, third]);
  });

  it('takes no more `got` than there were parts to get, whoever sends them', async () => {
    const { asks, chars } = start();
    const large = asks.ask('store_dump', 'x'.repeat(2 * ASK_PART_CHARS), LATER_MS);
    for (let i = 0; i < 100; i += 1) asks.got(1);
    const other = asks.ask('store_dump', 'y'.repeat(ASK_WINDOW_CHARS), LATER_MS);
    expect(chars()).toBe(ASK_PART_CHARS + ASK_WINDOW_CHARS);
    asks.end(GONE);
    await Promise.all([large, other]);
  });

  it('characters of answers being put together: n are given, n + 1 is a proxy error and cancelled', async () => {
    const { asks, sent } = start();
    const half = 'x'.repeat(LIMITS.telemetry_answer_max_bytes / 2);
    const whole = asks.ask('query', '{}', LATER_MS);
    asks.answer(1, half, true);
    asks.answer(1, half, false);
    const given = await whole;
    expect(given.ok && given.value.length).toBe(LIMITS.telemetry_answer_max_bytes);
    const [slow, over] = [asks.ask('query', '{}', LATER_MS), asks.ask('query', '{}', LATER_MS)];
    asks.answer(2, half, true);
    asks.answer(3, half, true);
    asks.answer(3, 'x', false);
    expect(await over).toMatchObject({ ok: false, failure: { code: 'proxy_error' } });
    expect(sent.at(-1)).toEqual({ type: 'cancel', call: 3 });
    asks.answer(2, half, false);
    expect((await slow).ok).toBe(true);
  });
});

describe('the end of what is asked', () => {
  it('at the deadline is a timeout, and tells the store', async () => {
    const { asks, sent } = start(41);
    expect(await asks.ask('query', '{}', 20)).toMatchObject({ failure: { code: 'gateway_timeout' } });
    expect(sent).toMatchObject([
      { type: 'ask', call: 42, deadline_ms: 20 },
      { type: 'cancel', call: 42 },
    ]);
    asks.answer(42, 'late', false);
    asks.fault(42, { code: 'x', message: 'late' });
    expect(sent).toHaveLength(2);
  });

  it('by a client that has gone before anything was sent tells nobody', async () => {
    const { asks, sent } = start();
    void asks.ask('store_dump', 'x'.repeat(ASK_WINDOW_CHARS), LATER_MS);
    const before = sent.length;
    const client = new AbortController();
    const waiting = asks.ask('query', '{}', LATER_MS, client.signal);
    client.abort();
    expect(await waiting).toMatchObject({ ok: false });
    expect(await asks.ask('query', '{}', LATER_MS, client.signal)).toMatchObject({ ok: false });
    expect(sent).toHaveLength(before);
    asks.end(GONE);
  });

  it('after the link has ended is the reason of that end', async () => {
    const { asks, sent } = start();
    asks.end(GONE);
    expect(await asks.ask('query', '{}', LATER_MS)).toEqual({ ok: false, failure: GONE });
    expect(sent).toEqual([]);
  });
});
