/**
 * Calls to agents: who shares one, how long each may last, what becomes of answers that are late, repeated, in pieces or
 * wrong, and that a call ends when nobody waits for it. Each case has a host of its own on one gateway.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeRef, type NodePayload } from '../../src/contract/index.ts';
import { LIMITS } from '../../src/edge-gateway/limits.ts';
import type { CallFrame, FakeAgent } from '../support/fake-agent.ts';
import { AUTHORIZED, type RawAnswer } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { Peers, type Start } from './start.ts';

const OPTS = '{"duration_s":7,"rate_hz":100,"native":false,"threads":false,"nonblocking":false}';
const READERS = 32;

export function callCases(start: Start): void {
  let peers: Peers;
  let agent: FakeAgent;
  let hostCount = 0;
  let onCall: (call: CallFrame) => void;
  const calls: CallFrame[] = [];

  beforeAll(async () => {
    peers = new Peers(await start({ heartbeat_ms: 1_000 }));
  });

  afterEach(async () => {
    agent.send({ type: 'bye', reason: 'the case is over' });
    if (agent.closeCode === null) await until(() => agent.closeCode !== null, 'the end of the link');
  });

  afterAll(() => peers.end());

  /** A host that nobody has heard of, whose state is shown, and which answers nothing unless told so. */
  async function linked(answer: (call: CallFrame) => void = () => {}): Promise<void> {
    hostCount += 1;
    calls.length = 0;
    onCall = answer;
    const take = (call: CallFrame) => {
      calls.push(call);
      onCall(call);
    };
    agent = await peers.dial({ host: `asked-${hostCount}`, onCall: take });
    agent.sync();
    await until(async () => (await ask('GET', agent.hostRef)).status === 200, 'the first state');
  }

  function ask(method: string, reference: string, prefix = '/v1/', body?: string): Promise<RawAnswer> {
    const headers = { ...AUTHORIZED, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    return peers.ask(method, `${prefix}${encodeRef(reference)}`, headers, body);
  }

  const read = (reference = agent.actorRef) => ask('GET', reference);
  const dump = () => ask('GET', agent.procRef, '/v1/pyspy/');
  const config = () => ask('GET', agent.procRef, '/v1/config/');
  const profile = () => ask('POST', agent.procRef, '/v1/pyspy_profile_svg/', OPTS);
  const error = (answer: RawAnswer) => JSON.parse(answer.body).error;
  const untilCalls = (count: number) => until(() => calls.length === count, `${count} calls`);
  /** An actor that the host has not published. */
  const unpublished = () => `ghost<ZG3F>.${agent.procRef}`;

  const introspects = () => calls.filter(({ request }) => request.method === 'introspect');

  /** A host that answers for its configuration at once, and for its actors when it is told to. */
  function holding(): Promise<void> {
    return linked(({ call, request }) => {
      if (request.method === 'config_dump') agent.answer(call, { entries: [] });
    });
  }

  /** By then what was asked before has come to the gateway: several calls that were asked later have been answered. */
  async function untilAsked(): Promise<void> {
    for (let n = 0; n < 5; n += 1) await config();
  }

  describe('readers of an actor', () => {
    it('share one call, and get the same answer', async () => {
      await holding();
      const answers = Array.from({ length: READERS }, () => read(unpublished()));
      await untilAsked();
      expect(introspects()).toHaveLength(1);
      const node = agent.actor(unpublished());
      agent.answer(introspects()[0]?.call ?? 0, node);
      const got = new Set((await Promise.all(answers)).map(({ status, body }) => `${status} ${body}`));
      expect([...got]).toEqual([`200 ${JSON.stringify(node)}`]);
      expect(introspects()).toHaveLength(1);
    });

    it('share it under whatever label they ask', async () => {
      await holding();
      const answers = ['ghost', 'nobody', 'somebody'].map((label) => read(unpublished().replace('ghost', label)));
      await untilAsked();
      agent.answer(introspects()[0]?.call ?? 0, agent.actor(unpublished()));
      const statuses = (await Promise.all(answers)).map(({ status }) => status);
      expect([statuses, introspects().length]).toEqual([[200, 200, 200], 1]);
    });

    it('do not share it with readers of another', async () => {
      await linked(({ call, request }) => agent.answer(call, agent.actor(request.reference)));
      const other = unpublished().replace('ZG3F', 'ZG3G');
      const answers = await Promise.all([read(unpublished()), read(other)]);
      expect(answers.map(({ status, body }) => [status, JSON.parse(body).identity])).toEqual([
        [200, unpublished()],
        [200, other],
      ]);
      expect(calls).toHaveLength(2);
    });

    it('that come after an answer get a fresh one', async () => {
      await linked(({ call, request }) => agent.answer(call, agent.actor(request.reference)));
      await read();
      await read();
      expect(calls).toHaveLength(2);
    });

    it('who go away leave the call to those who stay', async () => {
      await holding();
      const leave = peers.leaver(`/v1/${encodeRef(unpublished())}`);
      await until(() => introspects().length === 1, 'the call');
      const stays = read(unpublished());
      await untilAsked();
      leave();
      await untilAsked();
      expect(agent.frames('cancel')).toEqual([]);
      agent.answer(introspects()[0]?.call ?? 0, agent.actor(unpublished()));
      expect([(await stays).status, introspects().length]).toEqual([200, 1]);
    });

    it('who all go away end it', async () => {
      await holding();
      const leaving = [1, 2].map(() => peers.leaver(`/v1/${encodeRef(unpublished())}`));
      await untilAsked();
      for (const leave of leaving) leave();
      await until(() => agent.frames('cancel').length > 0, 'the cancel');
      expect(agent.frames('cancel')[0]?.call).toBe(introspects()[0]?.call);
    });

    it('share a fault too', async () => {
      await holding();
      const answers = [read(unpublished()), read(unpublished())];
      await untilAsked();
      const { call = 0 } = introspects()[0] ?? {};
      agent.send({ type: 'fault', call, error: { code: 'not_found', message: 'no such actor' } });
      const errors = (await Promise.all(answers)).map(error);
      expect(errors).toEqual(Array(2).fill({ code: 'not_found', message: 'no such actor' }));
    });
  });

  it.each([
    ['dumps', dump, { BinaryNotFound: { searched: [] } }],
    ['profiles', profile, { kind: 'ok', svg: '<svg/>' }],
    ['configurations', config, { entries: [] }],
  ] as const)('two %s of one proc are two calls', async (_, request, answer) => {
    await linked(() => {
      if (calls.length === 2) for (const { call } of calls) agent.answer(call, answer);
    });
    const answers = await Promise.all([request(), request()]);
    expect([answers.map(({ status }) => status), new Set(calls.map(({ call }) => call)).size]).toEqual([[200, 200], 2]);
  });

  describe('a call', () => {
    it.each([
      ['introspect', () => read(), 3_000],
      ['pyspy_dump', () => dump(), 13_000],
      ['pyspy_profile', () => profile(), 27_000],
      ['config_dump', () => config(), 5_000],
    ] as const)('%s names the node, and tells the agent its deadline', async (method, request, deadline_ms) => {
      await linked(({ call }) => agent.send({ type: 'fault', call, error: { code: 'not_found', message: 'x' } }));
      await request();
      const reference = method === 'introspect' ? agent.actorRef : agent.procRef;
      expect(calls).toMatchObject([{ type: 'call', deadline_ms, request: { method, reference } }]);
    });

    it('for a dump asks for locals only where the client does', async () => {
      await linked(({ call }) => agent.answer(call, { BinaryNotFound: { searched: [] } }));
      const asked = async (query: string) => {
        const answer = await peers.ask('GET', `/v1/pyspy/${encodeRef(agent.procRef)}${query}`, AUTHORIZED);
        return [answer.status === 400 ? error(answer).message : 'asked', calls.splice(0).map(({ request }) => request)];
      };
      const request = { method: 'pyspy_dump', reference: agent.procRef };
      expect(await asked('?locals=true')).toEqual(['asked', [{ ...request, locals: true }]]);
      for (const query of ['', '?locals=false', '?other=true'])
        expect(await asked(query)).toEqual(['asked', [request]]);
      expect(await asked('?locals=maybe')).toEqual(['locals: must be true or false, got maybe', []]);
    });

    it('names the node as its host does, whatever label it was asked for under', async () => {
      await linked(({ call }) => agent.answer(call, { entries: [] }));
      await ask('GET', agent.procRef.replace('trainer-0', 'nobody'), '/v1/config/');
      expect(calls[0]?.request.reference).toBe(agent.procRef);
    });

    it('for an actor that is known gives its last state meanwhile (S1)', async () => {
      await linked();
      const answer = await read();
      expect([answer.status, JSON.parse(answer.body).properties.Actor.actor_status]).toEqual([200, 'idle']);
    });

    it('is over with the link of its host, and its reader told so', async () => {
      await linked(() => agent.drop());
      const answer = await config();
      expect([answer.status, error(answer).code, error(answer).details.host]).toEqual([
        504,
        'gateway_timeout',
        agent.host,
      ]);
    });

    it('is over when the agent says bye', async () => {
      await linked(() => agent.send({ type: 'bye', reason: 'enough' }));
      expect((await config()).status).toBe(504);
    });

    it('whose client goes away is cancelled, long before its deadline', async () => {
      await linked();
      const body = OPTS.replace('7', '300');
      const leave = peers.leaver(`/v1/pyspy_profile_svg/${encodeRef(agent.procRef)}`, body);
      await untilCalls(1);
      expect(calls[0]?.deadline_ms).toBe(320_000);
      leave();
      await until(() => agent.frames('cancel').length === 1, 'the cancel');
      expect(agent.frames('cancel')[0]?.call).toBe(calls[0]?.call);
    });

    it('that is over leaves the others alone', async () => {
      await linked();
      const answers = [config(), config(), config()];
      await untilCalls(3);
      fault(1, 'internal_error', 'only this one');
      answerTo(2, { entries: [] });
      answerTo(0, { entries: [] });
      const statuses = (await Promise.all(answers)).map(({ status }) => status);
      expect(statuses.toSorted()).toEqual([200, 200, 500]);
    });
  });

  describe('an answer', () => {
    it('that is newer than what was published is kept', async () => {
      await linked(({ call }) =>
        agent.answer(call, agent.actor(agent.actorRef, '2099-01-01T00:00:00.000Z', 'working')),
      );
      await read();
      onCall = () => {};
      expect(JSON.parse((await read()).body).properties.Actor.actor_status).toBe('working');
    });

    it('that is older than what was published is given, and not kept', async () => {
      await linked(({ call }) => agent.answer(call, agent.actor(agent.actorRef, '2001-01-01T00:00:00.000Z', 'old')));
      expect(JSON.parse((await read()).body).properties.Actor.actor_status).toBe('old');
      onCall = () => {};
      expect(JSON.parse((await read()).body).properties.Actor.actor_status).toBe('idle');
    });

    it.each<[string, (self: FakeAgent) => unknown]>([
      ['another actor', (self) => self.actor(`other<ZG3F>.${self.procRef}`)],
      ['a proc', (self) => self.proc(self.procRef, [])],
      ['a node of another host', (self) => self.actor(self.actorRef.replace(self.host, 'elsewhere'))],
      ['no node', () => ({ identity: 'x' })],
      ['nothing', () => null],
      ['a node whose parent is wrong (NI-2)', (self) => ({ ...self.actor(self.actorRef), parent: self.hostRef })],
      ['a node with memory that is no object', (self) => withMemory(self.proc(self.actorRef, []), [])],
    ])('to a reader that is %s is a defect of the agent', async (_, answer) => {
      await linked(({ call }) => agent.answer(call, answer(agent)));
      const got = await read();
      expect([got.status, error(got).code]).toEqual([500, 'internal_error']);
      expect(error(got).message).toContain('failed to receive the node');
      expect(agent.closeCode).toBeNull();
    });

    it.each([
      ['a dump', dump, '{"Ok":{}}', 'failed to receive PySpyResult'],
      ['a dump', dump, '{"Ok":{},"Failed":{}}', 'failed to receive PySpyResult'],
      ['a configuration', config, '{"entries":7}', 'failed to receive ConfigDumpResult'],
      ['a configuration', config, 'nonsense', 'failed to receive ConfigDumpResult: the answer is not JSON'],
      ['a profile', profile, '{"kind":"sideways"}', 'failed to receive PySpyProfileResult'],
      ['a profile', profile, '', 'failed to receive PySpyProfileResult: the answer is not JSON'],
    ] as const)('for %s of another shape is a defect of the agent: %#', async (_, request, part, message) => {
      await linked(({ call }) => agent.send({ type: 'answer', call, part, more: false }));
      const got = await request();
      expect([got.status, error(got).code]).toEqual([500, 'internal_error']);
      expect(error(got).message).toContain(message);
    });

    it('in pieces is put together, wherever it was cut and whatever came between', async () => {
      await linked();
      const asked = config();
      await untilCalls(1);
      const { call = 0 } = calls[0] ?? {};
      const text = JSON.stringify({ entries: [entry('é\u{1f4a5}'), entry('x')] });
      for (const part of text) {
        agent.send({ type: 'answer', call, part, more: true });
        agent.send({ type: 'answer', call: call + 1_000, part: 'x', more: true });
      }
      agent.send({ type: 'answer', call, part: '', more: false });
      expect(JSON.parse((await asked).body)).toEqual(JSON.parse(text));
    });

    it.each([
      [LIMITS.answer_parts_max, 200, 0],
      [LIMITS.answer_parts_max + 1, 500, 1],
    ])('in %i parts is %i, and its call is cancelled %i times', async (parts, status, cancels) => {
      await linked(({ call }) => {
        const text = '{"entries":[]}';
        for (let n = 1; n < parts; n += 1) agent.send({ type: 'answer', call, part: n === 1 ? text : ' ', more: true });
        agent.send({ type: 'answer', call, part: ' ', more: false });
      });
      expect((await config()).status).toBe(status);
      // The link keeps the order of its frames, so a cancel has arrived before the call that follows it.
      onCall = ({ call }) => agent.answer(call, { entries: [] });
      expect((await config()).status).toBe(200);
      expect(agent.frames('cancel').map(({ call }) => call)).toEqual(calls.slice(0, cancels).map(({ call }) => call));
    });

    it('after a fault, and a fault after an answer, are dropped', async () => {
      await linked(({ call }) => {
        const isFirst = calls.length === 1;
        if (!isFirst) agent.answer(call, { entries: [] });
        agent.send({ type: 'fault', call, error: { code: 'not_found', message: 'gone' } });
        if (isFirst) agent.answer(call, { entries: [] });
      });
      const { late_answers = 0 } = await peers.counts();
      expect([(await config()).status, (await config()).status]).toEqual([404, 200]);
      await peers.untilCount('late_answers', late_answers + 2);
    });

    it('to a call of an earlier link is dropped', async () => {
      await linked();
      const asked = config();
      await untilCalls(1);
      const { call = 0 } = calls[0] ?? {};
      const before = agent;
      agent = await peers.dial({ host: before.host, incarnation: before.incarnation });
      expect((await asked).status).toBe(504);
      agent.sync();
      const { late_answers = 0 } = await peers.counts();
      agent.answer(call, { entries: [] });
      await peers.untilCount('late_answers', late_answers + 1);
    });
  });

  describe('a fault', () => {
    it.each([
      ['not_found', 404],
      ['bad_request', 400],
      ['gateway_timeout', 504],
      ['service_unavailable', 503],
      ['internal_error', 500],
      ['pyspy_failed', 500],
      ['profile_failed', 500],
      ['profile_output_unusable', 500],
    ])("%s is an agent's to give: %i, with its details", async (code, status) => {
      await linked(({ call }) =>
        agent.send({ type: 'fault', call, error: { code, message: 'so it is', details: { n: 1 } } }),
      );
      const got = await dump();
      expect([got.status, error(got)]).toEqual([status, { code, message: 'so it is', details: { n: 1 } }]);
    });

    it.each(['forbidden', 'unauthorized', 'method_not_allowed', 'proxy_error', 'payload_too_large', 'nonsense', ''])(
      "'%s' is not: it is passed on as an internal error",
      async (code) => {
        await linked(({ call }) => agent.send({ type: 'fault', call, error: { code, message: 'no' } }));
        const got = await config();
        expect([got.status, error(got)]).toEqual([500, { code: 'internal_error', message: 'no' }]);
      },
    );

    it('may tell when to come again', async () => {
      const details = { retry_after_s: 3 };
      await linked(({ call }) =>
        agent.send({ type: 'fault', call, error: { code: 'service_unavailable', message: 'busy', details } }),
      );
      const got = await dump();
      expect([got.status, got.headers['retry-after']]).toEqual([503, '3']);
    });
  });

  function answerTo(index: number, value: unknown): void {
    agent.answer(calls[index]?.call ?? 0, value);
  }

  function fault(index: number, code: string, message: string): void {
    agent.send({ type: 'fault', call: calls[index]?.call ?? 0, error: { code, message } });
  }
}

function entry(value: string) {
  return { name: 'n', value, default_value: null, source: 'Default', changed_from_default: false, env_var: null };
}

function withMemory(node: NodePayload, memory: unknown): NodePayload {
  if ('Proc' in node.properties) Object.assign(node.properties.Proc.debug, { memory });
  return node;
}
