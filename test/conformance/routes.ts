/** Routes, decoding, methods, bodies; nodes, the tree, stacks and profiles. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRef, type PySpyProfileOutcome } from '../../src/contract/index.ts';
import type { CallFrame, FakeAgent } from '../support/fake-agent.ts';
import { AUTHORIZED } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { type FakeStore, startStore } from './fake-store.ts';
import { type Capabilities, Peers, type Start } from './start.ts';

interface RouteCase {
  readonly method: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly status: number;
  readonly allow?: string;
  readonly type?: string;
  readonly code?: string;
  readonly message?: string;
}

const CASES: RouteCase[] = JSON.parse(readFileSync(new URL('../fixtures/routes.json', import.meta.url), 'utf8'));

export function routeCases(start: Start, capabilities: Capabilities): void {
  let peers: Peers;
  let store: FakeStore;
  let agent: FakeAgent;
  let onCall: (call: CallFrame) => void;

  function answerAll({ call, request }: CallFrame) {
    if (request.method === 'introspect') return agent.answer(call, agent.actor(request.reference));
    if (request.reference === agent.serviceRef && request.method.startsWith('pyspy')) {
      const message = `proc does not have a reachable handler (${agent.serviceRef})`;
      return agent.send({ type: 'fault', call, error: { code: 'not_found', message } });
    }
    if (request.method === 'config_dump') return agent.answer(call, { entries: [] });
    if (request.method === 'pyspy_profile') return agent.answer(call, { kind: 'ok', svg: '<svg/>' });
    agent.answer(call, { Ok: { pid: 7, binary: 'py-spy', capture_mode: 'native', stack_traces: [], warnings: [] } });
  }

  beforeAll(async () => {
    store = await startStore();
    peers = new Peers(await start({ telemetry_url: store.url }));
    onCall = answerAll;
    agent = await peers.dial({ onCall: (call) => onCall(call) });
    agent.sync();
    await peers.untilCount('hosts', 1);
  });

  afterAll(async () => {
    await peers.end();
    await store.close();
  });

  /** Fills `{proc}` and its like: encoded in paths, plain in messages. */
  function fill(text: string, encode: (reference: string) => string): string {
    return text
      .replaceAll('{proc}', encode(agent.procRef))
      .replaceAll('{host}', encode(agent.hostRef))
      .replaceAll('{actor}', encode(agent.actorRef))
      .replaceAll('{relabelled}', encode(agent.actorRef.replace('trainer<', 'nobody<')))
      .replaceAll('{service}', encode(agent.serviceRef))
      .replaceAll('{local}', encode(agent.serviceRef))
      .replaceAll('{twice}', encode(encode(agent.procRef)))
      .replaceAll('{plain}', capabilities.readsAnyTarget ? agent.procRef : agent.serviceRef);
  }

  describe('routes, decoding, methods and bodies', () => {
    it.each(
      CASES.map(
        (each) => [`${each.method} ${each.path.slice(0, 80)} ${(each.body ?? '').slice(0, 60)}`, each] as const,
      ),
    )('%s', async (_, { method, path, headers, body, status, allow, type, code, message }) => {
      const isServiceConfig = path === '/v1/config/{local}';
      const answer = await peers.ask(
        method,
        fill(path, encodeRef),
        {
          ...AUTHORIZED,
          ...headers,
          ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
        },
        body,
      );
      if (isServiceConfig) return expect(answer.status).toBe(200);
      expect(answer.status).toBe(status);
      if (allow !== undefined) expect(answer.headers.allow).toBe(allow);
      if (type !== undefined) expect(answer.headers['content-type']).toBe(type);
      if (method === 'HEAD') return expect(answer.body).toBe('');
      if (status === 200) return;
      expect(answer.headers['content-type']).toBe('application/json');
      const { error } = JSON.parse(answer.body);
      if (code !== undefined) expect(error.code).toBe(code);
      if (message !== undefined) expect(error.message).toBe(fill(message, String));
    });

    it('HEAD tells the length of what GET answers', async () => {
      for (const path of ['/v1/schema', `/v1/${encodeRef(agent.procRef)}`]) {
        const [head, get] = [await peers.ask('HEAD', path), await peers.ask('GET', path)];
        expect(head.headers['content-length']).toBe(String(Buffer.byteLength(get.body)));
        expect(head.headers['content-type']).toBe(get.headers['content-type']);
      }
    });

    it.each([
      [2 * 1024 * 1024, 200],
      [2 * 1024 * 1024 + 1, 413],
    ])('a body of %i bytes is answered %i, with and without a declared length', async (size_bytes, status) => {
      const sql = 'x'.repeat(size_bytes - '{"sql":""}'.length);
      const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
      const body = JSON.stringify({ sql });
      const chunked = await peers.ask('POST', '/v1/query', { ...headers, 'transfer-encoding': 'chunked' }, body);
      expect(chunked.status).toBe(status);
      const declared = { ...headers, 'content-length': String(size_bytes) };
      expect((await peers.ask('POST', '/v1/query', declared, body)).status).toBe(status);
    });

    it('a wrong shape names field and value', async () => {
      const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
      const { body } = await peers.ask('POST', '/v1/query', headers, '{"sql":17}');
      expect(JSON.parse(body).error.message).toMatch(/sql.*17/);
    });

    it('the answer to a query has the type that the store gives it', async () => {
      for (const accept of ['text/x-told', 'text/x-untold']) {
        const headers = { ...AUTHORIZED, 'content-type': 'application/json', accept };
        const init = { method: 'POST', headers, body: '{"sql":"300000"}' };
        const answer = await fetch(`${peers.gateway.url}/v1/query`, init);
        expect([answer.status, answer.headers.get('content-type')]).toEqual([200, accept]);
        expect(await answer.text()).toBe('x'.repeat(300_000));
      }
    });

    it('an answer is passed on while it comes, and stops when the client has gone away', async () => {
      const sql = String(60 * 1024 * 1024);
      const client = new AbortController();
      const response = await fetch(`${peers.gateway.url}/v1/query`, {
        method: 'POST',
        headers: { ...AUTHORIZED, 'content-type': 'application/json', accept: 'text/x-told' },
        body: JSON.stringify({ sql }),
        signal: client.signal,
      });
      const reader = response.body?.getReader();
      expect((await reader?.read())?.value?.length).toBeGreaterThan(0);
      client.abort();
      await until(() => store.cut.includes(sql), 'the store to be told');
    });

    it.each([
      [64 * 1024 * 1024, 200],
      [64 * 1024 * 1024 + 1, 500],
    ])('an answer of the store of %i bytes is %i', async (size_bytes, status) => {
      const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
      for (const accept of ['text/x-told', 'text/x-untold']) {
        const response = await fetch(`${peers.gateway.url}/v1/query`, {
          method: 'POST',
          headers: { ...headers, accept },
          body: JSON.stringify({ sql: String(size_bytes) }),
        });
        expect([accept, response.status]).toEqual([accept, status]);
        const body = await response.arrayBuffer();
        if (status === 200) expect(body.byteLength).toBe(size_bytes);
        else expect(JSON.parse(Buffer.from(body).toString()).error.code).toBe('proxy_error');
      }
    });

    it('a query answer passes through untouched, 64-bit integers included', async () => {
      const headers = { ...AUTHORIZED, 'content-type': 'application/json; charset=utf-8' };
      const { body } = await peers.ask('POST', '/v1/query', headers, '{"sql":"select 1"}');
      expect(body).toBe('{"rows":[{"sql":"select 1","big":9007199254740993}]}');
    });
  });

  it('metrics count requests by route and status, and what the mesh holds', async () => {
    const { status } = await peers.ask('GET', '/v1/root');
    const { body } = await peers.ask('GET', '/metrics');
    expect(body).toMatch(
      new RegExp(`^meshscope_gateway_requests_total\\{route="[^"]+",status="${status}"\\} \\d+$`, 'm'),
    );
    for (const name of ['hosts', 'links', 'nodes', 'calls', 'followers', 'gaps_total', 'late_answers_total']) {
      expect(body).toMatch(new RegExp(`^meshscope_gateway_${name} \\d+$`, 'm'));
    }
  });

  describe('nodes', () => {
    it('are answered with the text that was written when they came in, again and again', async () => {
      const path = `/v1/${encodeRef(agent.procRef)}`;
      const [first, second] = [await peers.ask('GET', path), await peers.ask('GET', path)];
      expect(first.body).toBe(second.body);
      expect(JSON.parse(first.body).identity).toBe(agent.procRef);
    });

    it('the gateway itself resolves, though nobody lists it (AI-1, AI-2, AI-3)', async () => {
      const info = JSON.parse((await peers.ask('GET', '/v1/admin')).body);
      expect(info).toMatchObject({
        host: '127.0.0.1',
        url: peers.gateway.url,
        proc_id: `local@tcp://127.0.0.1:${peers.gateway.port}`,
      });
      const actor = JSON.parse((await peers.ask('GET', `/v1/${encodeRef(info.actor_id)}`)).body);
      expect(actor).toMatchObject({ identity: info.actor_id, parent: info.proc_id });
      const proc = JSON.parse((await peers.ask('GET', `/v1/${encodeRef(info.proc_id)}`)).body);
      expect(proc.children).toEqual([info.actor_id]);
    });

    it('an unknown proc is a timeout for its configuration, without the wait', async () => {
      const answer = await peers.ask('GET', '/v1/config/nobody@ipc:%2F%2Fgpu-7', AUTHORIZED);
      expect([answer.status, JSON.parse(answer.body).error.code]).toEqual([504, 'gateway_timeout']);
    });
  });

  describe('the tree', () => {
    it('has a line and a link for host, proc and actor, and an empty line at the end', async () => {
      const { body } = await peers.ask('GET', '/v1/tree', { host: `localhost:${peers.gateway.port}` });
      const link = (reference: string) => `  ->  http://localhost:${peers.gateway.port}/v1/${encodeRef(reference)}\n`;
      expect(body).toBe(
        [
          `unix:gpu-7${link(agent.hostRef)}`,
          `├── service${link(agent.serviceRef)}`,
          `└── trainer-0<BLs6T7ZaDRB>${link(agent.procRef)}`,
          `    └── trainer[trainer<3SdB72fboyy>]${link(agent.actorRef)}`,
          '\n',
        ].join(''),
      );
    });

    it('takes the scheme from the proxy in front', async () => {
      const { body } = await peers.ask('GET', '/v1/tree', { 'x-forwarded-proto': 'https' });
      expect(body).toContain(`->  https://127.0.0.1:${peers.gateway.port}/v1/`);
    });
  });

  describe('stacks and profiles', () => {
    const post = (path: string, body = 'null') =>
      peers.ask('POST', path, { ...AUTHORIZED, 'content-type': 'application/json' }, body);
    const dumpPath = () => `/v1/pyspy_dump/${encodeRef(agent.procRef)}`;
    const opts = '{"duration_s":1,"rate_hz":100,"native":false,"threads":false,"nonblocking":false}';

    it('a stored dump gives the id under which it was stored', async () => {
      const { status, body } = await post(dumpPath());
      expect(status).toBe(200);
      expect(store.dumps.at(-1)).toMatchObject({ ...JSON.parse(body), proc_ref: agent.procRef, result: { pid: 7 } });
    });

    it.each([
      [
        { BinaryNotFound: { searched: ['PYSPY_BIN=/x', 'py-spy on PATH'] } },
        503,
        'service_unavailable',
        'searched: PYSPY_BIN=/x, py-spy on PATH',
      ],
      [
        { Failed: { pid: 7, binary: 'py-spy', exit_code: 1, stderr: 'Permission Denied' } },
        500,
        'pyspy_failed',
        'Permission Denied',
      ],
    ])('what was not captured is not stored: %o (PS-2)', async (result, status, code, text) => {
      const before = store.dumps.length;
      onCall = ({ call }) => agent.answer(call, result);
      const answer = await post(dumpPath());
      const live = await peers.ask('GET', `/v1/pyspy/${encodeRef(agent.procRef)}`, AUTHORIZED);
      onCall = answerAll;
      expect([answer.status, JSON.parse(answer.body).error.code]).toEqual([status, code]);
      expect(JSON.parse(answer.body).error.message).toContain(text);
      expect([live.status, JSON.parse(live.body)]).toEqual([200, result]);
      expect(store.dumps.length).toBe(before);
    });

    it('a flame graph is kept from acting in the name of this server', async () => {
      const answer = await post(`/v1/pyspy_profile_svg/${encodeRef(agent.procRef)}`, opts);
      expect([answer.status, answer.body, answer.headers['content-type']]).toEqual([200, '<svg/>', 'image/svg+xml']);
      expect(answer.headers['content-security-policy']).toContain('sandbox allow-scripts');
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
    });

    const failed: [PySpyProfileOutcome, number, string, string][] = [
      [{ kind: 'binary_not_found', searched: ['a', 'b'] }, 503, 'service_unavailable', 'searched: a, b'],
      [{ kind: 'timed_out', timeout_s: 16, stderr: ' slow \n' }, 504, 'gateway_timeout', 'timed out after 16s: slow'],
      [{ kind: 'exit_failure', exit_code: 1, stderr: 'no such process' }, 500, 'profile_failed', 'no such process'],
      [{ kind: 'no_samples', duration_s: 1 }, 500, 'profile_failed', 'idle'],
      [
        { kind: 'output_missing', pid: 7, binary: 'p' },
        500,
        'profile_output_unusable',
        'SVG file is missing (pid 7, p)',
      ],
      [{ kind: 'output_empty', pid: 7, binary: 'p' }, 500, 'profile_output_unusable', 'SVG output is empty (pid 7, p)'],
      [
        { kind: 'output_too_large', size_bytes: 9, limit_bytes: 8 },
        500,
        'profile_output_unusable',
        '9 bytes, the limit is 8',
      ],
      [{ kind: 'output_read_failure', error: 'e' }, 500, 'internal_error', 'failed to read SVG output: e'],
      [{ kind: 'subprocess_spawn_failure', error: 'e' }, 500, 'internal_error', 'failed to execute py-spy: e'],
      [{ kind: 'temp_dir_failure', error: 'e' }, 500, 'internal_error', 'failed to create temp dir: e'],
    ];
    it.each(failed)('outcome %o is answered %i %s (PP-6)', async (outcome, status, code, text) => {
      onCall = ({ call }) => agent.answer(call, outcome);
      const answer = await post(`/v1/pyspy_profile_svg/${encodeRef(agent.procRef)}`, opts);
      onCall = answerAll;
      const { error } = JSON.parse(answer.body);
      expect([answer.status, error.code]).toEqual([status, code]);
      expect(error.message).toContain(text);
    });
  });

  describe('without telemetry', () => {
    it('queries and stored dumps are not found, before anything else is looked at but the body', async () => {
      const bare = new Peers(await start());
      const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
      const dump = await bare.ask('POST', '/v1/pyspy_dump/nonsense', AUTHORIZED, 'null');
      const query = await bare.ask('POST', '/v1/query', headers, '{"sql":"select 1"}');
      const shape = await bare.ask('POST', '/v1/query', headers, '{}');
      await bare.end();
      expect([dump.status, query.status, shape.status]).toEqual([404, 404, 422]);
      expect(JSON.parse(query.body).error.message).toBe('dashboard not configured (no telemetry_url provided)');
    });
  });
}
