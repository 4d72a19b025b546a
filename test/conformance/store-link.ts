/** The link of a telemetry service that dials in: hello, asks, answers, events, its end; with stores that stall and lie. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ASK_PART_CHARS,
  ASK_WINDOW_CHARS,
  CLOSE,
  type EventBatch,
  encodeRef,
  FRAME_MAX_BYTES,
  HEARTBEAT_TEXT,
  STORE_PATH,
  STORE_SUBPROTOCOL,
} from '../../src/contract/index.ts';
import type { CallFrame, FakeAgent } from '../support/fake-agent.ts';
import { AUTHORIZED, TOKEN } from '../support/gateway.ts';
import { type Asked, LinkedStore, type LinkedStoreOptions } from '../support/linked-store.ts';
import { until } from '../support/until.ts';
import { startStore } from './fake-store.ts';
import { Peers, type Start } from './start.ts';

const HEARTBEAT_MS = 300;
const JSON_HEADERS = { ...AUTHORIZED, 'content-type': 'application/json' };
const NOT_CONFIGURED = { code: 'not_found', message: 'dashboard not configured (no telemetry_url provided)' };
/** An answer to a query, which has one value. */
const rows = (value: string | number) => JSON.stringify({ rows: [{ value }] });
const DUMP = { Ok: { pid: 7, binary: 'py-spy', capture_mode: 'native', stack_traces: [], warnings: [] } };

export function storeLinkCases(start: Start): void {
  let peers: Peers;
  const stores: LinkedStore[] = [];

  beforeEach(async () => {
    peers = new Peers(await start({ heartbeat_ms: HEARTBEAT_MS }));
  });

  afterEach(async () => {
    for (const store of stores.splice(0)) store.drop();
    await peers.end();
  });

  async function dial(options: Partial<LinkedStoreOptions> = {}): Promise<LinkedStore> {
    const store = await LinkedStore.dial({ url: peers.gateway.url, token: TOKEN, ...options });
    stores.push(store);
    return store;
  }

  async function open(options: Partial<LinkedStoreOptions> = {}): Promise<LinkedStore> {
    const store = await LinkedStore.open({ url: peers.gateway.url, token: TOKEN, ...options });
    stores.push(store);
    return store;
  }

  async function query(sql: string) {
    const { status, headers, body } = await peers.ask('POST', '/v1/query', JSON_HEADERS, JSON.stringify({ sql }));
    return { status, headers, body, error: JSON.parse(body).error };
  }

  async function linkedAgent(): Promise<FakeAgent> {
    const onCall = ({ call }: CallFrame, self: FakeAgent) => self.answer(call, DUMP);
    const agent = await peers.dial({ onCall });
    agent.sync();
    await peers.untilCount('hosts', 1);
    return agent;
  }

  const dumpOf = (agent: FakeAgent) => peers.ask('POST', `/v1/pyspy_dump/${encodeRef(agent.procRef)}`, AUTHORIZED);
  const isLinked = async (): Promise<boolean> => JSON.parse((await peers.ask('GET', '/healthz')).body).telemetry;
  const untilGone = () => until(async () => !(await isLinked()), 'the link to be seen as gone');

  describe('the path', () => {
    it('without an upgrade says what it is for', async () => {
      const { status, body } = await peers.ask('GET', STORE_PATH, AUTHORIZED);
      expect([status, JSON.parse(body).error.code]).toEqual([400, 'bad_request']);
      expect(body).toContain('meshscope telemetry --dial');
    });

    it('takes no other method', async () => {
      const { status, headers } = await peers.ask('POST', STORE_PATH, JSON_HEADERS, '{}');
      expect([status, headers.allow]).toEqual([405, 'GET,HEAD']);
    });

    it.each([
      ['a wrong token', 'wrong-token-0123456789'],
      ['none', ''],
    ])('needs the token: %s', async (_, token) => {
      await expect(open({ token })).rejects.toThrow('401');
    });

    it('chooses the subprotocol', async () => {
      expect((await open()).socket.protocol).toBe(STORE_SUBPROTOCOL);
    });
  });

  describe('hello', () => {
    it('is answered with welcome, which tells the heartbeat and the frame bound', async () => {
      expect((await dial()).received[0]).toEqual({
        type: 'welcome',
        version: 1,
        gateway_version: peers.gateway.version,
        heartbeat_ms: HEARTBEAT_MS,
        frame_max_bytes: FRAME_MAX_BYTES,
      });
      expect(await isLinked()).toBe(true);
    });

    it.each([
      ['another version', { version: 2 }, 'version_mismatch'],
      ['a field of the wrong form', { incarnation: 'x' }, 'bad_hello'],
    ])('with %s is refused without retry', async (_, change, code) => {
      const store = await open({ heartbeats: false });
      store.hello(change);
      await until(() => store.closeCode !== null, 'the close');
      expect(store.frames('refuse')).toMatchObject([{ code, retry: false }]);
      expect(store.closeCode).toBe(CLOSE.protocol);
    });

    it.each([
      ['not JSON', 'hello there'],
      ['another frame', JSON.stringify({ type: 'bye', reason: 'x' })],
    ])('that is %s closes the link with 1008', async (_, text) => {
      const store = await open({ heartbeats: false });
      store.send(text);
      await until(() => store.closeCode !== null, 'the close');
      expect(store.closeCode).toBe(CLOSE.protocol);
    });

    it.each([
      ['another hello', (store: LinkedStore) => store.hello(), CLOSE.protocol],
      ['no frame', (store: LinkedStore) => store.send('{"type":"sync"}'), CLOSE.protocol],
      ['too large a frame', (store: LinkedStore) => store.answer(1, 'x'.repeat(FRAME_MAX_BYTES)), CLOSE.too_large],
    ])('followed by %s closes the link', async (_, send, code) => {
      const store = await dial();
      store.stopHeartbeats();
      send(store);
      await until(() => store.closeCode !== null, 'the close');
      expect(store.closeCode).toBe(code);
    });

    it('to a gateway that has the URL of a store is refused without retry', async () => {
      const other = await startStore();
      const gateway = await start({ telemetry_url: other.url });
      const store = await dial({ url: gateway.url });
      expect(store.frames('refuse')).toMatchObject([{ code: 'store_configured', retry: false }]);
      expect(store.frames('refuse')[0]?.message).toContain('--telemetry');
      await gateway.close();
      await other.close();
    });
  });

  it('answers each heartbeat with one', async () => {
    const store = await dial({ heartbeats: false });
    for (let i = 0; i < 3; i += 1) store.send(HEARTBEAT_TEXT);
    await until(() => store.frames('heartbeat').length === 3, 'three heartbeats');
  });

  describe('one store at a time', () => {
    it('another incarnation is refused, to come again, while the first is alive', async () => {
      const first = await dial();
      const second = await dial();
      expect(second.frames('refuse')).toMatchObject([{ code: 'store_taken', retry: true }]);
      expect(first.closeCode).toBeNull();
    });

    it('another incarnation replaces one that has gone silent', async () => {
      const first = await dial({ heartbeats: false });
      await until(async () => (await dial()).frames('welcome').length === 1, 'a link that is welcome');
      await until(() => first.closeCode !== null, 'the close of the first link');
      expect(first.closeCode).toBe(CLOSE.replaced);
      expect(first.closeReason).toContain('silent');
    });

    it('the same incarnation replaces its older link at once', async () => {
      const first = await dial();
      first.stopHeartbeats();
      const second = await dial({
        incarnation: first.incarnation,
        onAsk: ({ call }, self) => self.answer(call, '{"rows":[]}'),
      });
      await until(() => first.closeCode === CLOSE.replaced, 'the first link to be replaced');
      expect((await query('select 1')).status).toBe(200);
      expect([first.asked.length, second.asked.length]).toEqual([0, 1]);
    });
  });

  describe('before any store has linked', () => {
    it('queries and stored dumps are not configured, and no dump is taken', async () => {
      const agent = await linkedAgent();
      expect(await query('select 1')).toMatchObject({ status: 404, error: NOT_CONFIGURED });
      const dump = await dumpOf(agent);
      expect([dump.status, JSON.parse(dump.body).error]).toEqual([404, NOT_CONFIGURED]);
      expect(agent.frames('call')).toEqual([]);
      expect(await isLinked()).toBe(false);
    });
  });

  describe('queries', () => {
    it('reach the store with their deadline, and their answer comes back as the text that it is', async () => {
      const text = '{"rows": [{"big":18446744073709551615}]}';
      const store = await dial({ onAsk: ({ call }, self) => self.answer(call, text) });
      expect(await query('select 1 as "ü"')).toMatchObject({ status: 200, body: text });
      expect(store.asked).toMatchObject([{ method: 'query', body: '{"sql":"select 1 as \\"ü\\""}' }]);
      expect(store.asked[0]?.deadline_ms).toBeGreaterThan(0);
    });

    it('carry what the client accepts, and are answered in the form that the store says', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => 255 - i);
      const onAsk = ({ call, body }: Asked, self: LinkedStore) => {
        const { accept } = JSON.parse(body);
        const answer = accept === 'text/csv' ? 'a,"b"\r\n1,ü\r\n' : Buffer.from(bytes).toString('base64');
        self.answer(call, `${accept}\n${answer}`);
      };
      const store = await dial({ onAsk });
      const ask = (accept: string) =>
        fetch(`${peers.gateway.url}/v1/query`, {
          method: 'POST',
          headers: { ...JSON_HEADERS, accept },
          body: JSON.stringify({ sql: 'x' }),
        });
      const csv = await ask('text/csv');
      expect([csv.status, csv.headers.get('content-type')]).toEqual([200, 'text/csv']);
      expect(await csv.text()).toBe('a,"b"\r\n1,ü\r\n');
      const arrow = await ask('application/vnd.apache.arrow.stream');
      expect(arrow.headers.get('content-type')).toBe('application/vnd.apache.arrow.stream');
      expect(new Uint8Array(await arrow.arrayBuffer())).toEqual(bytes);
      expect(store.asked[0]?.body).toBe('{"sql":"x","accept":"text/csv"}');
    });

    it('that fail are envelopes, whatever the client accepts', async () => {
      await dial({ onAsk: ({ call }, self) => self.fault(call, 'bad_request', 'no such table') });
      const headers = { ...JSON_HEADERS, accept: 'text/csv' };
      const answer = await peers.ask('POST', '/v1/query', headers, '{"sql":"x"}');
      expect([answer.status, answer.headers['content-type']]).toEqual([400, 'application/json']);
      expect(JSON.parse(answer.body).error).toMatchObject({ code: 'bad_request', message: 'no such table' });
    });

    it('are answered in parts', async () => {
      const parts = ['{"rows":[{"a":"', 'x'.repeat(100_000), '"}]', '', '}'];
      await dial({
        onAsk: ({ call }, self) =>
          parts.forEach((part, i) => {
            self.send({ type: 'answer', call, part, more: i < parts.length - 1 });
          }),
      });
      expect(await query('x')).toMatchObject({ status: 200, body: parts.join('') });
    });

    it('many at once are told apart by their numbers, which only grow', async () => {
      const onAsk = ({ call, body }: Asked, self: LinkedStore) => self.answer(call, `{"rows":[${body}]}`);
      const store = await dial({ onAsk });
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => query(`q${i}`)));
      expect(answers.map(({ body }) => body)).toEqual(answers.map((_, i) => `{"rows":[{"sql":"q${i}"}]}`));
      const calls = store.asked.map(({ call }) => call);
      expect(calls).toEqual([...new Set(calls)].sort((a, b) => a - b));
    });

    it('that are large come in parts, those of several in turns', async () => {
      const store = await dial({ onAsk: ({ call, body }, self) => self.answer(call, rows(body.length)) });
      const large = query('y'.repeat(6 * ASK_PART_CHARS));
      await until(() => store.frames('ask').length > 0, 'the ask');
      const small = await query('z');
      expect([small.body, (await large).body]).toEqual([rows(11), rows(6 * ASK_PART_CHARS + 10)]);
      expect(store.frames('ask').filter(({ part }) => part.length > ASK_PART_CHARS)).toEqual([]);
    });

    it('wait while more than the window is on its way', async () => {
      const store = await dial({ confirms: false, onAsk: ({ call }, self) => self.answer(call, rows(1)) });
      const large = query('y'.repeat(ASK_WINDOW_CHARS + ASK_PART_CHARS));
      const sent = () => store.frames('ask').reduce((sum, { part }) => sum + part.length, 0);
      await until(() => sent() === ASK_WINDOW_CHARS, 'a full window');
      // A sign of life that goes the same way shows that nothing else was under way.
      const heartbeats = store.frames('heartbeat').length;
      await until(() => store.frames('heartbeat').length >= heartbeats + 2, 'two more heartbeats');
      expect(sent()).toBe(ASK_WINDOW_CHARS);
      const call = store.frames('ask')[0]?.call ?? 0;
      store.send({ type: 'got', call });
      await until(() => sent() === ASK_WINDOW_CHARS + ASK_PART_CHARS, 'one more part');
      store.send({ type: 'got', call });
      expect((await large).body).toBe(rows(1));
    });

    it.each([
      ['bad_request', 400, 'bad_request'],
      ['unprocessable', 400, 'bad_request'],
      ['payload_too_large', 400, 'bad_request'],
      ['gateway_timeout', 504, 'gateway_timeout'],
      ['service_unavailable', 503, 'service_unavailable'],
      ['unauthorized', 500, 'proxy_error'],
      ['internal_error', 500, 'proxy_error'],
    ])('that the store faults as %s are %i %s', async (given, status, code) => {
      await dial({ onAsk: ({ call }, self) => self.fault(call, given, 'because') });
      const answer = await query('x');
      expect([answer.status, answer.error.code]).toEqual([status, code]);
      expect(answer.error.message).toContain('because');
    });

    it('drop answers that are late, repeated or unknown', async () => {
      const store = await dial({
        onAsk: ({ call }, self) => {
          self.answer(call, rows('first'));
          self.answer(call, rows('second'));
          self.fault(call, 'internal_error', 'no');
          self.answer(call + 1_000, rows('unknown'));
          self.send({ type: 'got', call: call + 1_000 });
        },
      });
      expect((await query('x')).body).toBe(rows('first'));
      expect((await query('x')).body).toBe(rows('first'));
      expect(store.closeCode).toBeNull();
    });

    it('are cancelled when the client goes away, long before the deadline', async () => {
      const store = await dial();
      const leave = peers.leaver('/v1/query', JSON.stringify({ sql: 'x' }));
      await until(() => store.asked.length === 1, 'the request to the store');
      const left_ms = performance.now();
      leave();
      await until(() => store.frames('cancel').length === 1, 'the cancel');
      const [asked] = store.asked;
      expect(store.frames('cancel')).toMatchObject([{ call: asked?.call }]);
      expect(performance.now() - left_ms).toBeLessThan((asked?.deadline_ms ?? 0) / 2);
    });
  });

  describe('the end of the link', () => {
    it('in the middle of a query answers it with 503, and says when the store was last heard', async () => {
      await dial({ onAsk: (_, self) => self.drop() });
      const { status, headers, error } = await query('x');
      expect([status, error.code]).toEqual([503, 'service_unavailable']);
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
      expect(error.message).toMatch(/link of the telemetry store is gone; it was last heard \d+\.\d s ago/);
      expect(Date.parse(error.details.last_seen)).toBeLessThanOrEqual(Date.now());
      expect(error.details.age_ms).toBeGreaterThanOrEqual(0);
    });

    it.each<[string, (store: LinkedStore) => void]>([
      ['without a word', (store) => store.drop()],
      ['with bye', (store) => store.send({ type: 'bye', reason: 'stopped' })],
    ])('%s makes queries and stored dumps 503 at once, and no dump is taken', async (_, end) => {
      const agent = await linkedAgent();
      end(await dial());
      await untilGone();
      expect((await query('x')).status).toBe(503);
      const dump = await dumpOf(agent);
      expect([dump.status, JSON.parse(dump.body).error.code]).toEqual([503, 'service_unavailable']);
      expect(agent.frames('call')).toEqual([]);
    });

    it('by silence is noticed by whoever asks', async () => {
      await dial({ heartbeats: false });
      await untilGone();
      expect((await query('x')).status).toBe(503);
    });

    it('mends when the store dials again', async () => {
      const first = await dial();
      first.drop();
      await untilGone();
      await dial({ incarnation: first.incarnation, onAsk: ({ call }, self) => self.answer(call, rows('back')) });
      expect((await query('x')).body).toBe(rows('back'));
    });
  });

  describe('stored dumps', () => {
    it('are handed to the store, and answered when it has committed', async () => {
      const agent = await linkedAgent();
      const store = await dial({ onAsk: ({ call }, self) => self.answer(call, '{}') });
      const { status, body } = await dumpOf(agent);
      expect(status).toBe(200);
      expect(store.asked).toMatchObject([{ method: 'store_dump' }]);
      expect(JSON.parse(store.asked[0]?.body ?? '')).toEqual({
        dump_id: JSON.parse(body).dump_id,
        proc_ref: agent.procRef,
        result: DUMP.Ok,
      });
    });

    it('whose link is cut before the answer say that they may not be stored', async () => {
      const agent = await linkedAgent();
      await dial({ onAsk: (_, self) => self.drop() });
      const { status, body } = await dumpOf(agent);
      expect(status).toBe(503);
      expect(JSON.parse(body).error.message).toContain('captured but not stored');
    });
  });

  describe('events', () => {
    const batch = (seq: number, producer: string): EventBatch => ({ producer, seq, lost_rows: 0, tables: {} });

    it('are acknowledged only after the store has answered', async () => {
      const agent = await linkedAgent();
      const store = await dial();
      agent.send({ type: 'events', batch: batch(1, agent.incarnation) });
      await until(() => store.asked.length === 1, 'the request to the store');
      expect(agent.frames('ack')).toEqual([]);
      const [asked] = store.asked;
      expect(JSON.parse(asked?.body ?? '')).toEqual(batch(1, agent.incarnation));
      store.answer(asked?.call ?? 0, '{"acked":1}');
      await until(() => agent.frames('ack').length === 1, 'the acknowledgement');
      expect(agent.frames('ack')).toMatchObject([{ producer: agent.incarnation, seq: 1 }]);
    });

    it('that no store takes wait in the agent, and are stored when one has linked', async () => {
      const agent = await linkedAgent();
      agent.send({ type: 'events', batch: batch(1, agent.incarnation) });
      await peers.untilCount('dropped_batches', 1);
      const store = await dial({ onAsk: ({ call }, self) => self.answer(call, '{"acked":1}') });
      agent.send({ type: 'events', batch: batch(1, agent.incarnation) });
      await until(() => agent.frames('ack').length === 1, 'the acknowledgement');
      expect(store.asked).toHaveLength(1);
    });

    it('whose link is cut before the answer are not acknowledged, and come again on the next', async () => {
      const agent = await linkedAgent();
      const first = await dial({ onAsk: (_, self) => self.drop() });
      agent.send({ type: 'events', batch: batch(1, agent.incarnation) });
      await peers.untilCount('dropped_batches', 1);
      expect(agent.frames('ack')).toEqual([]);
      const onAsk = ({ call }: Asked, self: LinkedStore) => self.answer(call, '{"acked":1}');
      const second = await dial({ incarnation: first.incarnation, onAsk });
      agent.send({ type: 'events', batch: batch(1, agent.incarnation) });
      await until(() => agent.frames('ack').length === 1, 'the acknowledgement');
      expect(second.asked.map(({ body }) => JSON.parse(body).seq)).toEqual([1]);
    });

    it('that can never be stored are acknowledged and counted', async () => {
      const agent = await linkedAgent();
      await dial({ onAsk: ({ call }, self) => self.fault(call, 'bad_request', 'no such table') });
      agent.send({ type: 'events', batch: batch(1, randomUUID()) });
      await until(() => agent.frames('ack').length === 1, 'the acknowledgement');
      expect((await peers.counts()).poison_batches).toBe(1);
    });
  });
}
