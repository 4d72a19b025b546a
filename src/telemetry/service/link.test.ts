import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { sleep } from '../../base/index.ts';
import {
  ANSWER_PART_CHARS,
  ASKS_MAX,
  type AskFrame,
  type StoreFrame,
  type StoreGatewayFrame,
  type StoreMethod,
} from '../../contract/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import { openCore, type TelemetryCore } from './core.ts';
import { type StoreConnection, serveStoreLink } from './link.ts';

const ENDLESS = JSON.stringify({ sql: 'select count(*) from range(10000000) a, range(10000000) b' });
const LATER_MS = 60_000;
const poll = <T>(look: () => T) => expect.poll(look, { timeout: 20_000 });

/** The gateway's end of a link, in this process; the store at the other is a real one. */
class Gateway implements StoreConnection {
  readonly frames: StoreFrame[] = [];
  unsent_bytes = 0;
  readonly closed: Promise<void>;
  close: () => void = () => {};
  #listener: (frame: StoreGatewayFrame) => void = () => {};

  constructor() {
    this.closed = new Promise((resolve) => {
      this.close = resolve;
    });
  }

  send(frame: StoreFrame): boolean {
    this.frames.push(frame);
    return true;
  }

  listen(listener: (frame: StoreGatewayFrame) => void): void {
    this.#listener = listener;
  }

  ask(call: number, method: StoreMethod, part: string, change: Partial<AskFrame> = {}): void {
    this.#listener({ type: 'ask', call, deadline_ms: LATER_MS, method, part, more: false, ...change });
  }

  cancel(call: number): void {
    this.#listener({ type: 'cancel', call });
  }

  /** What has come for a call: the text of its answer, or its fault; null as long as it is not answered. */
  endOf(call: number): { text: string; parts: number } | { code: string; message: string } | null {
    const parts: string[] = [];
    for (const frame of this.frames) {
      if (frame.type === 'fault' && frame.call === call) return frame.error;
      if (frame.type !== 'answer' || frame.call !== call) continue;
      parts.push(frame.part);
      if (!frame.more) return { text: parts.join(''), parts: parts.length };
    }
    return null;
  }

  async untilEnd(call: number) {
    for (;;) {
      const end = this.endOf(call);
      if (end !== null) return end;
      await sleep(5);
    }
  }
}

let folder = '';
let core: TelemetryCore | null = null;
const gateways: Gateway[] = [];

async function start(
  limits: Partial<TelemetryLimits> = {},
  lines: string[] = [],
): Promise<{ core: TelemetryCore; dial: () => Gateway }> {
  folder = await mkdtemp(join(tmpdir(), 'meshscope-link-'));
  const opened = await openCore({ data_dir: folder, limits, log: { warn: (line) => lines.push(line) } });
  if (!opened.ok) throw new Error(opened.failure.message);
  const { value } = opened;
  core = value;
  const dial = () => {
    const gateway = new Gateway();
    gateways.push(gateway);
    serveStoreLink(value.requests, gateway);
    return gateway;
  };
  return { core: value, dial };
}

afterEach(async () => {
  for (const gateway of gateways.splice(0)) gateway.close();
  await core?.close();
  core = null;
  await rm(folder, { recursive: true, force: true });
});

const batch = (seq = 1) => JSON.stringify({ producer: randomUUID(), seq, lost_rows: 0, tables: {} });

describe('what is asked over a link', () => {
  test('is answered as over HTTP, one part for each but the last confirmed', async () => {
    const gateway = (await start()).dial();
    const text = batch();
    gateway.ask(1, 'ingest', text.slice(0, 9), { more: true });
    gateway.ask(2, 'query', '{"sql":"select 18446744073709551615::UBIGINT as big"}');
    gateway.ask(1, 'ingest', text.slice(9));
    expect(await gateway.untilEnd(1)).toEqual({ text: '{"acked":1}', parts: 1 });
    expect(await gateway.untilEnd(2)).toMatchObject({ text: expect.stringContaining('{"big":18446744073709551615}') });
    expect(gateway.frames.filter(({ type }) => type === 'got')).toEqual([{ type: 'got', call: 1 }]);
  });

  test.each<[StoreMethod, string, string]>([
    ['query', '{"sql":', 'bad_request'],
    ['query', '{}', 'unprocessable'],
    ['query', '{"sql":"drop table actors"}', 'bad_request'],
    ['ingest', '{}', 'bad_request'],
    ['store_dump', '{}', 'bad_request'],
  ])('%s with %s is the fault %s', async (method, body, code) => {
    const gateway = (await start()).dial();
    gateway.ask(1, method, body);
    expect(await gateway.untilEnd(1)).toMatchObject({ code });
  });

  test('gives large answers in parts, those of several calls in turns', async () => {
    const { core: running, dial } = await start();
    const gateway = dial();
    const sql = JSON.stringify({ sql: "select repeat('x', 500000) as x" });
    gateway.unsent_bytes = running.limits.link_unsent_max_bytes + 1;
    const answered: Promise<unknown>[] = [];
    const { requests } = running;
    const answer = requests.answer.bind(requests);
    requests.answer = (...asked) => {
      const given = answer(...asked);
      answered.push(given);
      return given;
    };
    gateway.ask(1, 'query', sql);
    gateway.ask(2, 'query', sql);
    await Promise.all(answered);
    gateway.unsent_bytes = 0;
    const ends = [await gateway.untilEnd(1), await gateway.untilEnd(2)];
    const whole = { parts: 4, text: expect.stringContaining('x'.repeat(500_000)) };
    expect(ends).toMatchObject([whole, whole]);
    const parts = gateway.frames.flatMap((frame) => (frame.type === 'answer' ? [frame] : []));
    expect(Math.max(...parts.map(({ part }) => part.length))).toBe(ANSWER_PART_CHARS);
    const [first, second] = parts.map(({ call }) => call);
    expect(parts.map(({ call }) => call)).toEqual([0, 1, 2, 3].flatMap(() => [first, second]));
  });

  test('is given up when it is cancelled, late, or its link has ended, and holds nothing then', async () => {
    const { core: running, dial } = await start();
    const [gateway, other] = [dial(), dial()];
    gateway.ask(1, 'query', ENDLESS);
    gateway.ask(2, 'query', ENDLESS, { deadline_ms: 50 });
    gateway.ask(3, 'store_dump', 'x'.repeat(1_000), { more: true });
    other.ask(1, 'ingest', 'x'.repeat(1_000), { more: true });
    gateway.cancel(1);
    gateway.cancel(3);
    other.close();
    await poll(() => running.requests.bodies.heldBytes).toBe(0);
    await poll(() => running.sandbox.load.sql_running).toBe(0);
    // Parts of a call that is over begin no new one.
    gateway.ask(3, 'store_dump', 'x');
    gateway.ask(4, 'ingest', batch());
    expect(await gateway.untilEnd(4)).toMatchObject({ text: '{"acked":1}' });
    expect([1, 2, 3].map((call) => gateway.endOf(call))).toEqual([null, null, null]);
  });
});

describe('a write whose call is over', () => {
  test('holds its body until it is stored: whoever cancels and asks again gets no more room by that', async () => {
    const { core: running, dial } = await start();
    const gateway = dial();
    const { promise: stored, resolve: store } = Promise.withResolvers<void>();
    const { requests } = running;
    const answer = requests.answer.bind(requests);
    requests.answer = async (...asked) => {
      await stored;
      return answer(...asked);
    };
    const text = batch();
    gateway.ask(1, 'ingest', text);
    gateway.cancel(1);
    expect(requests.bodies.heldBytes).toBe(text.length);
    store();
    await poll(() => requests.bodies.heldBytes).toBe(0);
    expect(gateway.endOf(1)).toBeNull();
  });
});

test('what nobody expected is answered, and the link goes on', async () => {
  const lines: string[] = [];
  const { core: running, dial } = await start({}, lines);
  const gateway = dial();
  running.sandbox.query = () => Promise.reject(new Error('a surprise'));
  gateway.ask(1, 'query', '{"sql":"select 1"}');
  expect(await gateway.untilEnd(1)).toMatchObject({ code: 'internal_error', message: expect.stringContaining('log') });
  expect(lines).toEqual(['query failed: a surprise']);
  gateway.ask(2, 'ingest', batch());
  expect(await gateway.untilEnd(2)).toMatchObject({ text: '{"acked":1}' });
});

describe('bounds of a link', () => {
  test.each<[StoreMethod, Partial<TelemetryLimits>]>([
    ['query', { query_body_max_bytes: 200 }],
    ['ingest', { ingest_body_max_bytes: 200 }],
    ['store_dump', { dump_body_max_bytes: 200 }],
  ])('bytes of the body of %s: n are read, n + 1 is refused before the rest has come', async (method, limits) => {
    const gateway = (await start(limits)).dial();
    gateway.ask(1, method, '"ü"'.padEnd(199));
    expect(await gateway.untilEnd(1)).not.toMatchObject({ code: 'payload_too_large' });
    gateway.ask(2, method, '"ü"'.padEnd(200), { more: true });
    expect(await gateway.untilEnd(2)).toMatchObject({ code: 'payload_too_large' });
  });

  test('bytes of all bodies: n are held, n + 1 is refused, over links and HTTP together', async () => {
    const { core: running, dial } = await start({ bodies_in_flight_max_bytes: 1_000 });
    const [first, second] = [dial(), dial()];
    first.ask(1, 'ingest', 'x'.repeat(1_000), { more: true });
    expect(first.frames).toEqual([{ type: 'got', call: 1 }]);
    second.ask(1, 'ingest', '1');
    expect(await second.untilEnd(1)).toMatchObject({ code: 'service_unavailable' });
    expect(running.requests.bodies.heldBytes).toBe(1_000);
  });

  test('calls at once: n are taken, n + 1 is refused', async () => {
    const gateway = (await start()).dial();
    for (let call = 1; call <= ASKS_MAX; call += 1) gateway.ask(call, 'ingest', ' ', { more: true });
    expect(gateway.frames.filter(({ type }) => type === 'got')).toHaveLength(ASKS_MAX);
    gateway.ask(ASKS_MAX + 1, 'ingest', ' ');
    expect(gateway.endOf(ASKS_MAX + 1)).toMatchObject({ code: 'service_unavailable' });
    gateway.cancel(1);
    gateway.ask(ASKS_MAX + 2, 'ingest', batch());
    expect(await gateway.untilEnd(ASKS_MAX + 2)).toMatchObject({ text: '{"acked":1}' });
  });

  test('bytes that the link has not sent: with n answers go out, with n + 1 they wait', async () => {
    const gateway = (await start({ link_unsent_max_bytes: 100 })).dial();
    gateway.unsent_bytes = 100;
    gateway.ask(1, 'ingest', batch());
    await gateway.untilEnd(1);
    gateway.unsent_bytes = 101;
    gateway.ask(2, 'ingest', batch());
    // Another answer that comes later finds the first still waiting.
    gateway.ask(3, 'ingest', '{}');
    expect(await gateway.untilEnd(3)).toMatchObject({ code: 'bad_request' });
    expect(gateway.endOf(2)).toBeNull();
    gateway.unsent_bytes = 0;
    expect(await gateway.untilEnd(2)).toMatchObject({ text: '{"acked":1}' });
  });

  test('characters of answers that wait: n are kept, n + 1 is refused', async () => {
    const acked = '{"acked":1}'.length;
    const { core: running, dial } = await start({ link_answers_max_chars: 2 * acked, link_unsent_max_bytes: 1 });
    const gateway = dial();
    gateway.unsent_bytes = 2;
    for (const call of [1, 2, 3]) gateway.ask(call, 'ingest', batch());
    await poll(async () => (await running.store.health()).batches_stored).toBe(3);
    const refused = await Promise.race([1, 2, 3].map((call) => gateway.untilEnd(call)));
    expect(refused).toMatchObject({ code: 'service_unavailable' });
    gateway.unsent_bytes = 0;
    await poll(() => gateway.frames.filter(({ type }) => type === 'answer').length).toBe(2);
  });
});
