/** Everything above the port takes a kind of proc that it has never seen: one without a process, with actors that come and go. */
import { describe, expect, it } from 'vitest';
import { type Cell, type Outcome, sleep, success } from '../../src/base/index.ts';
import {
  type ConfigDumpResult,
  type NodePayload,
  type NodeRef,
  type ProcRef,
  type PySpyProfileOutcome,
  parseNodeRef,
  parseProcRef,
  renderRef,
} from '../../src/contract/index.ts';
import { Calls } from '../../src/node-agents/host/calls.ts';
import { HostNodes } from '../../src/node-agents/host/host-nodes.ts';
import { HostRows } from '../../src/node-agents/host/host-rows.ts';
import { Publisher } from '../../src/node-agents/host/publisher.ts';
import { ServiceProc } from '../../src/node-agents/host/service-proc.ts';
import { LIMITS } from '../../src/node-agents/limits.ts';
import { actorNode } from '../../src/node-agents/procs/actor-node.ts';
import type { HostedProc, NodeChanges } from '../../src/node-agents/procs/hosted-proc.ts';
import { Lifecycle } from '../../src/node-agents/procs/lifecycle.ts';
import { ProcRegistry } from '../../src/node-agents/procs/registry.ts';
import { ProcStopper } from '../../src/node-agents/procs/stopper.ts';
import type { CoreRows } from '../../src/node-agents/producer/core-rows.ts';
import { testProcHost } from '../support/proc-host.ts';
import { until } from '../support/until.ts';

const PROC = 'workers-2<5>@tcp://10.0.0.1:2600';

/** A proc that is somewhere else, and is known only by what is said there. */
class RemoteProc implements HostedProc {
  readonly ref = procRefOf(PROC);
  readonly name = 'workers-2';
  readonly identity = null;
  readonly group = null;
  readonly asked: string[] = [];
  readonly #lifecycle = new Lifecycle({ kind: 'running' });
  #actors: readonly string[] = [];
  #changes = new Map<string, NodePayload>();
  #gone: string[] = [];

  get state() {
    return this.#lifecycle.state;
  }

  onChange(listener: () => void): void {
    this.#lifecycle.onChange(listener);
  }

  spawn(actor: string): void {
    this.#actors = [...this.#actors, actor];
    this.#changes.set(actor, this.#actor(actor));
    this.#lifecycle.touch();
  }

  end(actor: string): void {
    this.#actors = this.#actors.filter((each) => each !== actor);
    this.#gone.push(actor);
    this.#lifecycle.touch();
  }

  procNode(): NodePayload {
    const properties = { ...new ServiceProc(testProcHost(), 0).procNode().properties };
    return {
      identity: PROC,
      properties,
      children: [...this.#actors],
      parent: 'root',
      as_of: new Date(0).toISOString(),
    };
  }

  pushedNodes(): readonly NodePayload[] {
    return [this.procNode(), ...this.#actors.map((actor) => this.#actor(actor))];
  }

  takeChanges(): NodeChanges {
    const changes = { nodes: [this.procNode(), ...this.#changes.values()], removed: this.#gone };
    this.#changes = new Map();
    this.#gone = [];
    return changes;
  }

  references(): readonly string[] {
    return [PROC, ...this.#actors];
  }

  async node(ref: NodeRef): Promise<NodePayload | null> {
    await sleep(1);
    this.asked.push(renderRef(ref));
    return this.pushedNodes().find(({ identity }) => identity === renderRef(ref)) ?? null;
  }

  async stacks(): Promise<Outcome<string>> {
    return success('{"relayed":true}');
  }

  async profile(): Promise<Outcome<PySpyProfileOutcome>> {
    return success({ kind: 'no_samples', duration_s: 1 });
  }

  async config(): Promise<Outcome<ConfigDumpResult>> {
    return { ok: false, failure: { code: 'gateway_timeout', message: 'it does not answer' } };
  }

  report(rows: CoreRows): void {
    rows.actorStatus(1n, null, 'Processing');
  }

  async stop(): Promise<void> {
    throw new Error('not to be stopped from here');
  }

  kill(): void {}

  #actor(reference: string): NodePayload {
    const ref = parseNodeRef(reference);
    if (!ref.ok || ref.value.kind !== 'actor') throw new Error(reference);
    return actorNode(ref.value, 0, {
      actor_status: 'idle',
      actor_type: 'X',
      instance_id: 'x',
      created_at: new Date(0).toISOString(),
      is_system: false,
    });
  }
}

function procRefOf(text: string): ProcRef {
  const ref = parseProcRef(text);
  if (!ref.ok) throw new Error(ref.error);
  return ref.value;
}

function startHost() {
  const host = testProcHost();
  const registry = new ProcRegistry(LIMITS);
  const service = new ServiceProc(host, 0);
  const nodes = new HostNodes(host.refs, service, registry);
  const published: { readonly nodes: readonly NodePayload[]; readonly removed: readonly string[] }[] = [];
  const link = {
    heartbeat_ms: 0,
    publish: (nodes: readonly NodePayload[], removed: readonly string[]) => void published.push({ nodes, removed }),
  };
  const publisher = new Publisher(nodes, registry, link, LIMITS);
  const rows: [string, readonly Cell[]][] = [];
  new HostRows((table, row) => void rows.push([table, row]), 'run', 'host', host.refs, registry);
  const answers: unknown[] = [];
  const calls = new Calls({
    host: { ref: host.refs.host, node: () => nodes.host() },
    findProc: (ref) => registry.find(ref),
    link: { send: (frame) => answers.push(frame) > 0, unsent_bytes: 0 },
    limits: LIMITS,
  });
  return { registry, nodes, publisher, published, rows, calls, answers };
}

describe('a kind of proc that the host does not know', () => {
  it('is a child of the host, with its own location, and its rows are those it reports', () => {
    const { registry, nodes, rows } = startHost();
    registry.add(new RemoteProc());
    expect(nodes.host().children).toContain(PROC);
    expect(nodes.all().map(({ identity }) => identity)).toContain(PROC);
    expect(rows.at(-1)).toMatchObject(['actor_status_events', { 2: 1n, 3: 'Processing' }]);
  });

  it('publishes which of its actors changed, and which are gone', async () => {
    const { registry, published } = startHost();
    const proc = new RemoteProc();
    const [one, two] = ['trainer<2>', 'trainer<3>'].map((actor) => `${actor}.${PROC}`);
    if (one === undefined || two === undefined) throw new Error('two actors');
    proc.spawn(one);
    registry.add(proc);
    await until(() => published.length === 1, 'the proc');
    proc.spawn(two);
    await until(() => published.length === 2, 'the second actor');
    expect(published[1]?.nodes.map(({ identity }) => identity)).toEqual([PROC, two]);
    proc.end(one);
    await until(() => published.length === 3, 'the end of the first');
    expect(published[2]).toMatchObject({ nodes: [{ identity: PROC, children: [two] }], removed: [one] });
  });

  it('answers for itself, and says itself why it cannot', async () => {
    const { registry, calls, answers } = startHost();
    const proc = new RemoteProc();
    const actor = `trainer<2>.${PROC}`;
    proc.spawn(actor);
    registry.add(proc);
    await calls.answer(1, { method: 'introspect', reference: actor }, 5_000);
    await calls.answer(2, { method: 'introspect', reference: `nobody<2>.${PROC}` }, 5_000);
    await calls.answer(3, { method: 'pyspy_dump', reference: PROC }, 5_000);
    await calls.answer(4, { method: 'config_dump', reference: PROC }, 5_000);
    await until(() => answers.length === 4, 'four answers');
    const byCall = Object.fromEntries((answers as { call: number }[]).map((answer) => [answer.call, answer]));
    expect(byCall[1]).toMatchObject({ type: 'answer', part: expect.stringContaining(actor) });
    expect(byCall[2]).toMatchObject({ type: 'fault', error: { code: 'not_found' } });
    expect(byCall[3]).toMatchObject({ type: 'answer', part: '{"relayed":true}' });
    expect(byCall[4]).toMatchObject({ type: 'fault', error: { code: 'gateway_timeout' } });
    expect(proc.asked).toHaveLength(2);
  });

  it("is not stopped with the host when it is not the host's to end", async () => {
    const { registry } = startHost();
    registry.add(new RemoteProc());
    await new ProcStopper(registry, LIMITS).stop(10);
  });
});
