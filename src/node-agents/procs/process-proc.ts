/** What all procs that are processes have in common: two actors, stacks by py-spy, and rows that follow the process. */
import { type Outcome, success, uuidV7 } from '../../base/index.ts';
import {
  type ConfigDumpResult,
  type NodePayload,
  type NodeRef,
  type ProcRef,
  type PySpyProfileOpts,
  type PySpyProfileOutcome,
  refKey,
  renderRef,
} from '../../contract/index.ts';
import type { PySpy } from '../inspect/pyspy/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { ProcessIdentity } from '../procfs/index.ts';
import type { CoreRows } from '../producer/core-rows.ts';
import type { HostedProc, NodeChanges, StacksRequest } from './hosted-proc.ts';
import type { HostRefs } from './identity.ts';
import { endOf, Lifecycle, type ProcState } from './lifecycle.ts';
import { type ProcessFacts, ProcessNodes } from './process-nodes.ts';
import { type GroupPlace, ProcessRows } from './process-rows.ts';
import { profileOf, type StackTarget, stacksOf } from './process-stacks.ts';

/** What the procs of one host share. */
export interface ProcHost {
  readonly name: string;
  readonly refs: HostRefs;
  readonly pyspy: PySpy;
  /** The agent's settings, which a process's proc shows as its own. */
  readonly config: () => ConfigDumpResult;
  readonly limits: AgentLimits;
}

export abstract class ProcessProc implements HostedProc {
  abstract readonly group: number | null;
  protected readonly lifecycle: Lifecycle;
  readonly #host: ProcHost;
  readonly #facts: ProcessFacts;
  readonly #nodes: ProcessNodes;
  readonly #rows: ProcessRows;

  constructor(host: ProcHost, facts: ProcessFacts, place: GroupPlace, state: ProcState) {
    this.lifecycle = new Lifecycle(state);
    this.#host = host;
    this.#facts = facts;
    const instance_ids = { proc_agent: uuidV7(), command: uuidV7() };
    this.#nodes = new ProcessNodes(facts, instance_ids, renderRef(host.refs.host), host.limits);
    this.#rows = new ProcessRows(facts.refs, facts.name, place);
  }

  abstract stop(grace_ms: number): Promise<void>;
  abstract kill(): void;

  get ref(): ProcRef {
    return this.#facts.refs.proc;
  }

  get name(): string {
    return this.#facts.name;
  }

  get identity(): ProcessIdentity | null {
    return this.#facts.identity;
  }

  get state(): ProcState {
    return this.lifecycle.state;
  }

  onChange(listener: () => void): void {
    this.lifecycle.onChange(listener);
  }

  procNode(): NodePayload {
    return this.#nodes.proc(this.state);
  }

  pushedNodes(): readonly NodePayload[] {
    const { pushed_recorder_max_bytes } = this.#host.limits;
    return [this.procNode(), this.#nodes.procAgent(), this.#nodes.command(this.state, pushed_recorder_max_bytes)];
  }

  /** All nodes: a process has only three, and each of them follows its state. */
  takeChanges(): NodeChanges {
    return { nodes: this.pushedNodes(), removed: [] };
  }

  references(): readonly string[] {
    const { proc, proc_agent, command } = this.#facts.refs;
    return [proc, proc_agent, command].map(renderRef);
  }

  async node(ref: NodeRef): Promise<NodePayload | null> {
    const { proc, proc_agent, command } = this.#facts.refs;
    const key = refKey(ref);
    if (key === refKey(proc)) return this.procNode();
    if (key === refKey(proc_agent)) return this.#nodes.procAgent();
    if (key === refKey(command)) return this.#nodes.command(this.state, this.#host.limits.recorder_max_bytes);
    return null;
  }

  stacks(request: StacksRequest, signal: AbortSignal): Promise<Outcome<string>> {
    return stacksOf(this.#host.pyspy, this.#stackTarget(), request, signal);
  }

  profile(opts: PySpyProfileOpts, signal: AbortSignal): Promise<Outcome<PySpyProfileOutcome>> {
    return profileOf(this.#host.pyspy, this.#stackTarget(), opts, signal);
  }

  async config(): Promise<Outcome<ConfigDumpResult>> {
    return success(this.#host.config());
  }

  report(rows: CoreRows): void {
    this.#rows.report(rows, this.state);
  }

  #stackTarget(): StackTarget {
    const { identity } = this.#facts;
    const end = endOf(this.state);
    if (identity !== null && end === null) return identity;
    return { pid: identity?.pid ?? 0, missing: end === null ? 'there is none' : `it has ended: ${end.reason}` };
  }
}
