/**
 * What the release before says on the wire and left on disk works with this one. The fixtures are recorded from that release
 * (test/fixtures/release-0.1.0/record.ts), and are played back over real sockets, or opened by real processes.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { CLOSE, LINK_PATH, LINK_SUBPROTOCOL, STORE_PATH, STORE_SUBPROTOCOL } from '../../src/contract/index.ts';
import type { RunningGateway } from '../../src/edge-gateway/targets/node/node.ts';
import { checkedFetch } from '../support/answers.ts';
import { type Site, siteOf, startCli } from '../support/cli.ts';
import { AUTHORIZED, startGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';

const RELEASE = new URL('../fixtures/release-0.1.0/', import.meta.url);

// biome-ignore lint/suspicious/noExplicitAny: frames of another release have no type here
type AnyFrame = any;

interface Recorded {
  readonly from: 'dialler' | 'gateway';
  readonly frame: AnyFrame;
}

const { links, answers } = JSON.parse(readFileSync(new URL('wire.json', RELEASE), 'utf8')) as {
  links: Record<string, Recorded[]>;
  /** By method and path, what clients were answered then. */
  answers: Record<string, { status: number; body: AnyFrame }>;
};

const linkFrames = links[LINK_PATH] ?? [];
const storeFrames = links[STORE_PATH] ?? [];

/** What a peer of that release answers: for each question, in turn, what it answered to the same question then. */
class Answers {
  readonly #parts = new Map<string, AnyFrame[][]>();
  readonly #keyOf: (question: AnyFrame) => string;

  constructor(frames: readonly Recorded[], keyOf: (question: AnyFrame) => string) {
    this.#keyOf = keyOf;
    for (const { frame: question } of frames) {
      if (question.type !== 'call' && question.type !== 'ask') continue;
      const said = frames.flatMap(({ frame }) =>
        ['answer', 'fault'].includes(frame.type) && frame.call === question.call ? [frame] : [],
      );
      this.#parts.set(keyOf(question), [...(this.#parts.get(keyOf(question)) ?? []), said]);
    }
  }

  to(question: AnyFrame): AnyFrame[] {
    const known = this.#parts.get(this.#keyOf(question)) ?? [];
    const said = known.length > 1 ? known.shift() : known[0];
    return (said ?? []).map((frame) => ({ ...frame, call: question.call }));
  }
}

/** A peer that plays one of the recorded links back. */
class Peer {
  readonly received: AnyFrame[] = [];
  readonly socket: WebSocket;
  closeCode: number | null = null;

  constructor(url: string, subprotocol: string, replies: Answers) {
    this.socket = new WebSocket(url.replace('http', 'ws'), subprotocol, { headers: AUTHORIZED });
    this.socket.on('message', (data) => {
      const frame = JSON.parse(String(data));
      this.received.push(frame);
      if (frame.type === 'call' || frame.type === 'ask') for (const reply of replies.to(frame)) this.send(reply);
    });
    this.socket.on('close', (code) => {
      this.closeCode = code;
    });
  }

  send(frame: AnyFrame): void {
    this.socket.send(JSON.stringify(frame));
  }

  frames(type: string): AnyFrame[] {
    return this.received.filter((frame) => frame.type === type);
  }
}

const isFirstCall = ({ frame }: Recorded): boolean => frame.type === 'call';
/** What the agent said by itself before it was asked for the first time, and after that; `hello` comes first. */
const said = linkFrames.filter(({ from, frame }) => from === 'dialler' && !['answer', 'fault'].includes(frame.type));
const [hello, ...rest] = said.map(({ frame }) => frame);
const beforeCalls = linkFrames.slice(0, linkFrames.findIndex(isFirstCall)).map(({ frame }) => frame);
const state = rest.filter((frame) => beforeCalls.includes(frame));
const later = rest.filter((frame) => !beforeCalls.includes(frame));

describe('an agent and a store of the release before', () => {
  let gateway: RunningGateway;
  let agent: Peer;
  let store: Peer;

  /** Batches are known by their number, the rest by what is asked. */
  const askKey = ({ method, part }: AnyFrame): string => {
    const { producer, seq, sql } = JSON.parse(part);
    return [method, producer, seq, sql].join(' ');
  };

  async function dial(): Promise<void> {
    store = new Peer(`${gateway.url}${STORE_PATH}`, STORE_SUBPROTOCOL, new Answers(storeFrames, askKey));
    store.socket.once('open', () => store.send(storeFrames[0]?.frame));
    await until(() => store.frames('welcome').length === 1, 'the welcome of the store');
    const callKey = ({ request }: AnyFrame): string => JSON.stringify(request);
    const url = `${gateway.url}${LINK_PATH}?host=${hello.host}`;
    agent = new Peer(url, LINK_SUBPROTOCOL, new Answers(linkFrames, callKey));
    agent.socket.once('open', () => agent.send(hello));
    await until(() => agent.frames('welcome').length === 1, 'the welcome of the agent');
  }

  async function ask(request: string) {
    const [method = '', where = ''] = request.split(' ');
    const query = storeFrames.findLast(({ frame }) => frame.method === 'query')?.frame;
    const body = where === '/v1/query' ? { body: JSON.stringify({ sql: JSON.parse(query.part).sql }) } : {};
    const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
    const answer = await checkedFetch(gateway.url + where, { method, headers, ...body });
    return { status: answer.status, body: (await answer.json()) as AnyFrame };
  }

  beforeAll(async () => {
    gateway = await startGateway();
    await dial();
    for (const frame of state) agent.send(frame);
    await until(() => gateway.hub.counts().nodes >= 4, 'the state of the host');
  });

  afterAll(async () => {
    agent?.socket.terminate();
    store?.socket.terminate();
    await gateway?.close();
  });

  it('are what the fixture holds: state, calls of each kind, events, and requests of each kind', () => {
    const kinds = (frames: readonly Recorded[], from: string) =>
      new Set(frames.flatMap(({ from: by, frame }) => (by === from ? [frame.type] : [])));
    expect([...kinds(linkFrames, 'dialler')].sort()).toEqual(['answer', 'bye', 'delta', 'events', 'hello', 'sync']);
    expect(new Set(linkFrames.flatMap(({ frame }) => frame.request?.method ?? []))).toEqual(
      new Set(['introspect', 'config_dump', 'pyspy_dump']),
    );
    expect(new Set(storeFrames.flatMap(({ frame }) => frame.method ?? []))).toEqual(
      new Set(['query', 'ingest', 'store_dump']),
    );
  });

  it.each(Object.keys(answers).filter((request) => !request.includes('pyspy_dump')))(
    'are seen as they were then: %s',
    async (request) => {
      expect(await ask(request)).toEqual(answers[request]);
    },
  );

  it('take and store a dump', async () => {
    const [request = ''] = Object.keys(answers).filter((each) => each.includes('pyspy_dump'));
    const { status, body } = await ask(request);
    expect([status, body]).toEqual([answers[request]?.status, { dump_id: expect.stringMatching(/^[0-9a-f-]{36}$/) }]);
    const [asked] = store.frames('ask').filter(({ method }) => method === 'store_dump');
    expect(JSON.parse(asked.part).dump_id).toBe(body.dump_id);
  });

  it('have every batch acknowledged, and disconnect in order', async () => {
    const batches = rest.flatMap((frame) => (frame.type === 'events' ? [frame.batch] : []));
    expect(batches).not.toHaveLength(0);
    for (const frame of later.slice(0, -1)) agent.send(frame);
    await until(() => agent.frames('ack').length === batches.length, 'the acknowledgements');
    agent.send(later.at(-1));
    await until(() => agent.closeCode !== null, 'the close after bye');
    expect(agent.frames('ack').map(({ producer, seq }) => [producer, seq])).toEqual(
      batches.map(({ producer, seq }) => [producer, seq]),
    );
    expect(agent.frames('resync')).toEqual([]);
    expect(agent.closeCode).toBe(CLOSE.normal);
    expect((await ask(`GET /v1/${encodeURIComponent('host:host_agent.service@ipc://release-host')}`)).status).toBe(404);
    store.send({ type: 'bye', reason: 'the test is over' });
    await until(() => store.closeCode !== null, 'the close of the store');
    expect(store.closeCode).toBe(CLOSE.normal);
  });
});

describe('a peer of a release whose links have another version', () => {
  let gateway: RunningGateway;
  afterEach(() => gateway.close());

  it.each([
    ['an agent', `${LINK_PATH}?host=release-host`, LINK_SUBPROTOCOL, linkFrames],
    ['a store', STORE_PATH, STORE_SUBPROTOCOL, storeFrames],
  ])('%s is told what to install, and not to dial again', async (_, where, subprotocol, frames) => {
    gateway = await startGateway();
    const peer = new Peer(gateway.url + where, subprotocol, new Answers([], () => ''));
    peer.socket.once('open', () => peer.send({ ...frames[0]?.frame, version: 0 }));
    await until(() => peer.closeCode !== null, 'the close');
    expect(peer.received).toMatchObject([
      {
        type: 'refuse',
        code: 'version_mismatch',
        message: expect.stringContaining('install the same release on both'),
        retry: false,
      },
    ]);
    expect(peer.closeCode).toBe(CLOSE.protocol);
  });
});

describe('a data folder of the release before', () => {
  const recorded = JSON.parse(readFileSync(new URL('data.json', RELEASE), 'utf8')) as {
    readonly sql: string;
    readonly reader: string;
    readonly rows: readonly Record<string, unknown>[];
  };
  let folder: string;
  let site: Site;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'meshscope-compatibility-'));
    execFileSync('tar', ['-xzf', new URL('data.tar.gz', RELEASE).pathname, '-C', folder]);
    const data = path.join(folder, 'data');
    const args = ['up', '--port', '0', '--data', data, '--name', 'new-host', '--quiet', '--', 'sleep', '1000'];
    site = await siteOf(startCli(args), data);
  });

  afterAll(async () => {
    await site?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('gives its rows, sealed ones and those in the data file, and takes new ones beside them', async () => {
    const known = new Set(recorded.rows.map(({ id }) => id));
    expect(known.size).toBeGreaterThan(0);
    const ofThen = async () => (await site.query(recorded.sql)).filter(({ id }) => known.has(id));
    expect(await ofThen()).toEqual(recorded.rows);
    const fresh = () => site.query("select id from actors where full_name like '%@ipc://new-host'");
    await until(async () => (await fresh()).length > 0, 'a row of the new host');
    expect(await ofThen()).toEqual(recorded.rows);
  });

  it("admits its owner's token and the tokens in its file, each with its roles", async () => {
    const status = async (token: string, where: string) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const init = where === '/v1/query' ? { method: 'POST', body: JSON.stringify({ sql: 'select 1' }) } : {};
      return (await checkedFetch(site.url + where, { headers, ...init })).status;
    };
    expect(await status(site.token, '/v1/query')).toBe(200);
    expect(await status(recorded.reader, '/v1/root')).toBe(200);
    expect(await status(recorded.reader, '/v1/query')).toBe(200);
    expect(await status(recorded.reader, LINK_PATH)).toBe(403);
    expect(await status(`${recorded.reader}x`, '/v1/root')).toBe(401);
  });

  it('and a spool that an agent left are sent to the store by the next agent', async () => {
    const spool = path.join(folder, 'spool');
    const args = ['--name', 'spool-host', '--spool-dir', spool, '--quiet', '--', 'sleep', '1000'];
    const agent = startCli(['agent', '--gateway', site.url, ...args], { MESHSCOPE_TOKEN: site.token });
    const failures = () =>
      site.query(
        'select count(*) as n from actor_status_events e join actors a on a.id = e.actor_id ' +
          "where new_status = 'Failed' and full_name like '%spooled%'",
      );
    await until(async () => Number((await failures())[0]?.n) > 0, 'the failure in the spool');
    expect(await failures()).toEqual([{ n: 1 }]);
    agent.signal('SIGTERM');
    expect((await agent.ended).code).toBe(0);
  });
});
