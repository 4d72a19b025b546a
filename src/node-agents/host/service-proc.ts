/** The agent's own proc, `service`, with the actor `host_agent`: answers like any other, but is not in the registry. */
import { type Outcome, success, timestamp, uuidV7 } from '../../base/index.ts';
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
import { identify, readMemory } from '../procfs/index.ts';
import { actorNode, NO_QUEUES } from '../procs/actor-node.ts';
import type { AnsweringProc, StacksRequest } from '../procs/hosted-proc.ts';
import type { ProcHost } from '../procs/process-proc.ts';
import { profileOf, type StackTarget, stacksOf } from '../procs/process-stacks.ts';

export class ServiceProc implements AnsweringProc {
  readonly #host: ProcHost;
  readonly #started_at_ms: number;
  readonly #instance_id = uuidV7();

  constructor(host: ProcHost, started_at_ms: number) {
    this.#host = host;
    this.#started_at_ms = started_at_ms;
  }

  get ref(): ProcRef {
    return this.#host.refs.service;
  }

  procNode(): NodePayload {
    const { refs } = this.#host;
    const hostAgent = renderRef(refs.host_agent);
    return {
      identity: renderRef(refs.service),
      properties: {
        Proc: {
          proc_name: 'service',
          num_actors: 1,
          system_children: [hostAgent],
          stopped_children: [],
          stopped_retention_cap: 0,
          is_poisoned: false,
          failed_actor_count: 0,
          debug: { memory: readMemory(process.pid), ...NO_QUEUES },
        },
      },
      children: [hostAgent],
      parent: renderRef(refs.host),
      as_of: timestamp(Date.now()),
    };
  }

  pushedNodes(): readonly NodePayload[] {
    return [this.procNode(), this.#hostAgentNode()];
  }

  async node(ref: NodeRef): Promise<NodePayload | null> {
    const { service, host_agent } = this.#host.refs;
    const key = refKey(ref);
    if (key === refKey(service)) return this.procNode();
    return key === refKey(host_agent) ? this.#hostAgentNode() : null;
  }

  stacks(request: StacksRequest, signal: AbortSignal): Promise<Outcome<string>> {
    return stacksOf(this.#host.pyspy, ownProcess(), request, signal);
  }

  profile(opts: PySpyProfileOpts, signal: AbortSignal): Promise<Outcome<PySpyProfileOutcome>> {
    return profileOf(this.#host.pyspy, ownProcess(), opts, signal);
  }

  async config(): Promise<Outcome<ConfigDumpResult>> {
    return success(this.#host.config());
  }

  #hostAgentNode(): NodePayload {
    return actorNode(this.#host.refs.host_agent, Date.now(), {
      actor_status: 'idle',
      actor_type: 'meshscope::HostAgent',
      instance_id: this.#instance_id,
      created_at: timestamp(this.#started_at_ms),
      is_system: true,
    });
  }
}

function ownProcess(): StackTarget {
  return identify(process.pid) ?? { pid: 0, missing: 'there is none' };
}
