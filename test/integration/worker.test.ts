/**
 * The gateway in workerd, whose objects are dropped from memory while their sockets stay open: whatever was in the middle of
 * something goes on. An object sleeps after some ten seconds without an event, so these tests wait for that side by side.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeRef, type NodePayload } from '../../src/contract/index.ts';
import { FakeAgent, until } from '../support/fake-agent.ts';
import { AUTHORIZED, rawRequest, TOKEN } from '../support/gateway.ts';
import { untilAsleep } from '../support/sleep.ts';
import { bundleWorker, startWorkerd, type WorkerdProcess } from '../support/workerd.ts';

const HOSTS = ['gpu-0', 'gpu-1', 'gpu-2', 'gpu-3', 'gpu-4', 'gpu-5'];

let folder = '';
let bundle = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshscope-worker-'));
  bundle = await bundleWorker(folder);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A gateway in workerd and the agents that dialled it, which a test ends. */
class Mesh {
  running: WorkerdProcess;
  readonly agents: FakeAgent[] = [];

  private constructor(running: WorkerdProcess) {
    this.running = running;
  }

  static async start(shards: number): Promise<Mesh> {
    const variables = { MESHSCOPE_SHARDS: String(shards), MESHSCOPE_SNAPSHOT_MS: '0' };
    return new Mesh(await startWorkerd(bundle, variables));
  }

  async dial(host: string, onCall: (agent: FakeAgent, call: number) => void = () => {}): Promise<FakeAgent> {
    const answer = { onCall: ({ call }: { readonly call: number }, self: FakeAgent) => onCall(self, call) };
    const agent = await FakeAgent.dial({ url: this.running.url, token: TOKEN, host, ...answer });
    this.agents.push(agent);
    return agent;
  }

  /** An open socket that has not said hello. */
  async open(host: string): Promise<FakeAgent> {
    const agent = await FakeAgent.open({ url: this.running.url, token: TOKEN, host });
    this.agents.push(agent);
    return agent;
  }

  /** An agent whose whole state is known. */
  async publish(host: string): Promise<FakeAgent> {
    const agent = await this.dial(host);
    agent.sync();
    await until(async () => (await this.get(agent.hostRef)).status === 200, `the state of ${host}`);
    return agent;
  }

  ask(path: string) {
    return rawRequest(this.running.url, 'GET', path, AUTHORIZED);
  }

  get(reference: string) {
    return this.ask(`/v1/${encodeRef(reference)}`);
  }

  async node(reference: string): Promise<NodePayload> {
    return JSON.parse((await this.get(reference)).body);
  }

  async counts(): Promise<Record<string, number>> {
    return JSON.parse((await this.ask('/healthz')).body);
  }

  /** Host references of the root, and the first line that the tree has for each host. */
  async listed(): Promise<{ root: readonly string[]; tree: readonly string[] }> {
    const { children } = await this.node('root');
    const { body } = await this.ask('/v1/tree');
    const lines = body.split('\n\n').map((part) => part.split('\n', 1)[0] ?? '');
    return { root: children, tree: lines.filter((line) => line !== '') };
  }

  /** Kills workerd and starts it again on what it stored; all links are gone. */
  async restart(shards: number): Promise<void> {
    this.running = await this.running.restart({ MESHSCOPE_SHARDS: String(shards) });
    for (const agent of this.agents.splice(0)) agent.drop();
  }

  async end(): Promise<void> {
    for (const agent of this.agents.splice(0)) agent.drop();
    await this.running.close();
  }
}

async function withMesh(shards: number, run: (mesh: Mesh) => Promise<void>): Promise<void> {
  const mesh = await Mesh.start(shards);
  try {
    await run(mesh);
  } finally {
    await mesh.end();
  }
}

const refOf = (host: string): string => `host:host_agent.service@ipc://${host}`;

describe.concurrent('objects that were dropped from memory', () => {
  test.each([
    [1, 'a read'],
    [4, 'a read'],
    [1, 'a frame'],
  ])('over %i shards, woken by %s, go on as if nothing had happened', (shards, waker) =>
    withMesh(shards, async (mesh) => {
      const held: number[] = [];
      const steady = await mesh.dial('steady', (self, call) => {
        if (held.length === 0) held.push(call);
        else self.answer(call, self.actor(self.actorRef, undefined, 'processing'));
      });
      steady.sync();
      const gap = await mesh.publish('gap');
      const restating = await mesh.publish('restating');
      const holder = await mesh.publish('held');
      const heir = await mesh.open('held');
      heir.hello();
      const arriving = await mesh.dial('arriving');
      await until(async () => (await mesh.counts()).links === 4, 'four hosts');

      // One is in the middle of its first state, one of its second; one was asked to begin again; one waits for its name.
      const [hostNode, ...others] = arriving.mesh();
      arriving.sync(hostNode === undefined ? [] : [hostNode], true);
      const [again, ...rest] = restating.mesh('2030-01-01T00:00:00.000Z');
      restating.sync(again === undefined ? [] : [again], true);
      gap.seq += 1;
      gap.delta([]);
      await until(() => gap.frames('resync').length === 1, 'the resync');
      // The agent leaves this unanswered, for now; the last known state is shown.
      if ((await mesh.get(steady.actorRef)).status !== 200) throw new Error('no actor');
      await until(async () => (await mesh.counts()).calls === 0, 'the call to be given up');

      const paths = ['/v1/root', '/v1/tree', ...[steady, gap, restating, holder].flatMap(pathsOf)];
      const read = async () =>
        Promise.all(paths.map(async (path) => `${path} ${dateless(path, await mesh.ask(path))}`));
      const before = await read();
      await untilAsleep(mesh.running.output, async () => {
        if (waker === 'a frame') steady.delta([]);
        await mesh.ask('/v1/tree');
      });
      expect(await read()).toEqual(before);

      // A call of another life is answered late, and dropped; a new one is answered.
      steady.answer(held[0] ?? 0, steady.actor(steady.actorRef, undefined, 'an old answer'));
      const actor = (await mesh.node(steady.actorRef)).properties;
      expect(actor).toMatchObject({ Actor: { actor_status: 'processing' } });
      await until(async () => (await mesh.counts()).late_answers === 1, 'the late answer to be counted');

      steady.delta([steady.proc(steady.procRef, [])]);
      await until(async () => (await mesh.node(steady.procRef)).children.length === 0, 'a delta');

      expect((await mesh.get(arriving.hostRef)).status).not.toBe(200);
      arriving.sync(others, false);
      await until(async () => (await mesh.node('root')).children.includes(arriving.hostRef), 'the rest of a state');
      expect((await mesh.node(arriving.actorRef)).identity).toBe(arriving.actorRef);

      expect((await mesh.node(restating.procRef)).as_of).not.toContain('2030');
      restating.sync(rest, false);
      await until(
        async () => (await mesh.node(restating.procRef)).as_of.startsWith('2030'),
        'the rest of a second state',
      );

      gap.delta([gap.proc(gap.procRef, [])]);
      gap.sync(gap.mesh('2031-01-01T00:00:00.000Z'));
      await until(async () => (await mesh.node(gap.procRef)).as_of.startsWith('2031'), 'the state after a gap');

      console.log(
        'DBG',
        holder.closeCode,
        heir.closeCode,
        heir.closeReason,
        JSON.stringify(heir.received.filter((f) => f.type !== 'heartbeat')),
        mesh.running.output.text.slice(-3000),
      );
      holder.drop();
      setTimeout(
        () =>
          console.log(
            'DBG2',
            holder.closeCode,
            heir.closeCode,
            heir.closeReason,
            JSON.stringify(heir.received.filter((f) => f.type !== 'heartbeat')),
            mesh.running.output.text.slice(-1000),
          ),
        5000,
      );
      await until(() => heir.frames('welcome').length === 1, 'the name to be free');
      heir.sync(heir.mesh('2032-01-01T00:00:00.000Z'));
      await until(async () => {
        const { status, body } = await mesh.get(heir.procRef);
        return status === 200 && JSON.parse(body).as_of.startsWith('2032');
      }, 'the heir');

      for (const agent of [steady, gap, restating, arriving, heir]) {
        expect([agent.host, agent.closeCode, agent.frames('welcome').length]).toEqual([agent.host, null, 1]);
        expect(agent.frames('resync')).toHaveLength(agent === gap ? 1 : 0);
      }
      expect(await mesh.counts()).toMatchObject({ hosts: 5, links: 5, gaps: 0, stale_frames: 0, calls: 0 });
    }),
  );
});

/** The body of an answer; the root alone is dated when it is read. */
function dateless(path: string, { body }: { readonly body: string }): string {
  return path === '/v1/root' ? body.replace(/"as_of":"[^"]*"/, '') : body;
}

function pathsOf(agent: FakeAgent): string[] {
  return [agent.hostRef, agent.procRef, agent.serviceRef].map((reference) => `/v1/${encodeRef(reference)}`);
}

describe.concurrent('workerd killed and started again', () => {
  test.each([1, 4])('over %i shards: hosts are gone with what they last said, until their agents return', (shards) =>
    withMesh(shards, async (mesh) => {
      await Promise.all(HOSTS.map((host) => mesh.publish(host)));
      const last = await mesh.node(refOf('gpu-3'));
      await mesh.restart(shards);
      expect((await mesh.listed()).root).toEqual(HOSTS.map(refOf));
      expect((await mesh.listed()).tree).toEqual(HOSTS.map((host) => `${refOf(host)} (unreachable)`));
      const gone = await mesh.get(refOf('gpu-3'));
      expect([gone.status, JSON.parse(gone.body).error]).toMatchObject([
        504,
        { code: 'gateway_timeout', details: { last_known: last } },
      ]);
      expect(await mesh.counts()).toMatchObject({ hosts: 6, links: 0 });
      await Promise.all(HOSTS.map((host) => mesh.publish(host)));
      const { root, tree } = await mesh.listed();
      expect(root).toEqual(HOSTS.map(refOf));
      expect(tree.map((line) => line.replace(/ +->.*/, ''))).toEqual(HOSTS.map((host) => `unix:${host}`));
      expect(await mesh.counts()).toMatchObject({ hosts: 6, links: 6, nodes: 24 });
    }),
  );

  test('with another number of shards: nobody is listed twice, and nobody who is not there', () =>
    withMesh(1, async (mesh) => {
      const names = HOSTS.map((host) => `unix:${host}`);
      await Promise.all(HOSTS.map((host) => mesh.publish(host)));
      for (const shards of [4, 2, 1]) {
        await mesh.restart(shards);
        await Promise.all(HOSTS.map((host) => mesh.publish(host)));
        const { root, tree } = await mesh.listed();
        expect([shards, root]).toEqual([shards, HOSTS.map(refOf)]);
        expect([shards, tree.map((line) => line.replace(/ +->.*/, ''))]).toEqual([shards, names]);
        expect([shards, await mesh.counts()]).toMatchObject([shards, { hosts: 6, links: 6, nodes: 24 }]);
      }
    }));
});
