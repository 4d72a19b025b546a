/**
 * The gateway in workerd, whose objects are dropped from memory while their sockets stay open: whatever was in the middle of
 * something goes on. An object sleeps after some ten seconds without an event, so these tests wait for that side by side.
 */
import { describe, expect, test } from 'vitest';
import { encodeRef, type NodePayload } from '../../../src/contract/index.ts';
import { startCli, startSite } from '../../support/cli.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { AUTHORIZED, rawRequest, TOKEN } from '../../support/gateway.ts';
import { startDemo } from '../../support/python-process.ts';
import { untilAsleep } from '../../support/sleep.ts';
import { until } from '../../support/until.ts';
import { workerBundle } from '../../support/worker-bundle.ts';
import { startWorkerd, type WorkerdProcess } from '../../support/workerd.ts';

const HOSTS = ['gpu-0', 'gpu-1', 'gpu-2', 'gpu-3', 'gpu-4', 'gpu-5'];

const bundle = workerBundle();

/** A gateway in workerd and the agents that dialled it, which a test ends. */
class Mesh {
  running: WorkerdProcess;
  readonly agents: FakeAgent[] = [];

  private constructor(running: WorkerdProcess) {
    this.running = running;
  }

  static async start(shards: number, heartbeat_ms: number): Promise<Mesh> {
    const numbers = { MESHSCOPE_SHARDS: shards, MESHSCOPE_SNAPSHOT_MS: 0, MESHSCOPE_HEARTBEAT_MS: heartbeat_ms };
    const variables = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]));
    return new Mesh(await startWorkerd(bundle(), variables));
  }

  async dial(host: string, onCall: (agent: FakeAgent, call: number) => void = () => {}): Promise<FakeAgent> {
    const answer = { onCall: ({ call }: { readonly call: number }, self: FakeAgent) => onCall(self, call) };
    const agent = await FakeAgent.dial({ url: this.running.url, token: TOKEN, host, ...answer });
    this.agents.push(agent);
    return agent;
  }

  /** An open socket that has not said hello. */
  async open(host: string, heartbeats = true): Promise<FakeAgent> {
    const agent = await FakeAgent.open({ url: this.running.url, token: TOKEN, host, heartbeats });
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

async function withMesh(shards: number, run: (mesh: Mesh) => Promise<void>, heartbeat_ms = 20_000): Promise<void> {
  const mesh = await Mesh.start(shards, heartbeat_ms);
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
      const arriving = await mesh.dial('arriving');
      await until(async () => (await mesh.counts()).links === 3, 'three hosts');

      // One is in the middle of its first state, one of its second; one was asked to begin again.
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

      const paths = ['/v1/root', '/v1/tree', ...[steady, gap, restating].flatMap(pathsOf)];
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
      await until(async () => (await mesh.get(arriving.hostRef)).status === 200, 'the rest of a state');
      expect((await mesh.node('root')).children).toContain(arriving.hostRef);
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

      for (const agent of [steady, gap, restating, arriving]) {
        expect([agent.host, agent.closeCode, agent.frames('welcome').length]).toEqual([agent.host, null, 1]);
        expect(agent.frames('resync')).toHaveLength(agent === gap ? 1 : 0);
      }
      expect(await mesh.counts()).toMatchObject({ hosts: 4, links: 4, gaps: 0, stale_frames: 0, calls: 0 });
    }),
  );

  // A holder that is neither heard nor silent for long enough: judged anew every fifth of a heartbeat, so that only long ones
  // let the object sleep in between.
  test('keep who waits for a name that another holds', () =>
    withMesh(
      1,
      async (mesh) => {
        const holder = await mesh.open('held', false);
        holder.hello();
        holder.sync();
        await until(async () => (await mesh.get(holder.hostRef)).status === 200, 'the holder');
        const newcomer = await mesh.open('held');
        newcomer.hello();
        const nobody = async () => {};
        await untilAsleep(mesh.running.output, nobody);
        expect([newcomer.closeCode, newcomer.frames('welcome')]).toEqual([null, []]);
        holder.drop();
        await until(() => newcomer.frames('welcome').length === 1, 'the name to be free');
        newcomer.sync(newcomer.mesh('2032-01-01T00:00:00.000Z'));
        await until(async () => {
          const { status, body } = await mesh.get(newcomer.procRef);
          return status === 200 && JSON.parse(body).as_of.startsWith('2032');
        }, 'the state of the newcomer');
        expect(await mesh.counts()).toMatchObject({ hosts: 1, links: 1 });
      },
      60_000,
    ));
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

  test('with another number of shards: a host that belongs elsewhere now is forgotten until it dials there', () =>
    withMesh(1, async (mesh) => {
      await Promise.all(HOSTS.map((host) => mesh.publish(host)));
      // Of four shards, gpu-5 is in another than the first.
      const others = HOSTS.filter((host) => host !== 'gpu-5');
      await mesh.restart(4);
      await Promise.all(others.map((host) => mesh.publish(host)));
      expect((await mesh.listed()).root).toEqual(others.map(refOf));
      expect((await mesh.listed()).tree).toHaveLength(others.length);
      expect((await mesh.get(refOf('gpu-5'))).status).toBe(404);
      expect(await mesh.counts()).toMatchObject({ hosts: 5, links: 5 });
      await mesh.publish('gpu-5');
      expect((await mesh.listed()).root).toEqual(HOSTS.map(refOf));
    }));
});

test('agents move from a Node gateway to a Worker by another URL, and all is called as before', async () => {
  const site = await startSite(['gateway']);
  const worker = await startWorkerd(bundle(), { MESHSCOPE_TOKEN: site.token, MESHSCOPE_SNAPSHOT_MS: '0' });
  const jobs = await Promise.all(['busy', 'blocked', 'alternating'].map(startDemo));
  const env = { MESHSCOPE_TOKEN: site.token };
  /** What is read of the mesh at a gateway, once all three agents are there. */
  const seenAt = async (url: string) => {
    const agents = jobs.map(({ pid }, n) =>
      startCli(['agent', '--gateway', url, '--name', `gpu-${n}`, '--quiet', '--pid', String(pid)], env),
    );
    const ask = async (path: string) => (await rawRequest(url, 'GET', path, bearerOf(site.token))).body;
    try {
      await Promise.all(agents.map((agent) => agent.says(/connected to/)));
      await until(async () => {
        const tree = await ask('/v1/tree');
        return jobs.every(({ pid }) => tree.includes(`-${pid}<`));
      }, 'three hosts with a proc each');
      const { children: hosts } = JSON.parse(await ask('/v1/root')) as NodePayload;
      const nodes = hosts.map(async (host) => JSON.parse(await ask(`/v1/${encodeRef(host)}`)).children);
      const dumps = jobs.map(async ({ pid }, n) => {
        const { children } = JSON.parse(await ask(`/v1/${encodeRef(refOf(`gpu-${n}`))}`)) as NodePayload;
        const proc = children.find((reference) => reference.includes(`-${pid}<`)) ?? '';
        return JSON.parse(await ask(`/v1/pyspy/${encodeRef(proc)}`)).Ok?.pid;
      });
      const tree = (await ask('/v1/tree')).replaceAll(url, 'URL');
      return { tree, hosts, procs: await Promise.all(nodes), pids: await Promise.all(dumps) };
    } finally {
      for (const agent of agents) agent.signal('SIGTERM');
      await Promise.all(agents.map(({ ended }) => ended));
    }
  };
  try {
    const before = await seenAt(site.url);
    expect(before.hosts).toEqual(['gpu-0', 'gpu-1', 'gpu-2'].map(refOf));
    expect(before.pids).toEqual(jobs.map(({ pid }) => pid));
    expect(await seenAt(worker.url)).toEqual(before);
  } finally {
    await Promise.all(jobs.map(({ end }) => end()));
    await worker.close();
    await site.stop();
  }
});

function bearerOf(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}
