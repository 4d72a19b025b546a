/**
 * The nodes of a proc that is a process: its own and those of its two actors, `proc_agent` (system), through which the
 * host agent answers for it, and one for the command, whose status follows the process. `as_of` is the time at which a
 * node was made; of an ended command, when it ended.
 */
import { timestamp } from '../../base/index.ts';
import {
  type FailureInfo,
  type NodePayload,
  type ProcessInfo,
  type ProcessMemoryStats,
  type ProcRef,
  renderRef,
} from '../../contract/index.ts';
import type { AgentLimits } from '../limits.ts';
import { lastThatFit, type OutputTail } from '../processes/output-tail.ts';
import { type ProcessIdentity, readMemory } from '../procfs/index.ts';
import { actorNode, NO_QUEUES } from './actor-node.ts';
import type { ProcRefs } from './identity.ts';
import { endOf, type ProcState } from './lifecycle.ts';

/** `started`: by this agent. `watched`: matched by a pattern or pid. `child`: descends from another proc. */
export type ProcOrigin = 'started' | 'watched' | 'child';

/** The facts about a process that do not change. */
export interface ProcessFacts {
  readonly refs: ProcRefs;
  readonly name: string;
  readonly origin: ProcOrigin;
  /** Pid and start time; null when no process could be started. */
  readonly identity: ProcessIdentity | null;
  /** The command line with what looks like a secret redacted. */
  readonly command: readonly string[];
  readonly parent_pid: number | null;
  /** The nearest ancestor that is a proc; null when there is none. */
  readonly parent: ProcRef | null;
  readonly rank: number | null;
  readonly local_rank: number | null;
  readonly started_at_ms: number;
  /** Null for processes whose output the agent cannot see. */
  readonly output: OutputTail | null;
}

/** Instance ids of the proc's two actors. */
export interface InstanceIds {
  readonly proc_agent: string;
  readonly command: string;
}

/** Makes the nodes of one process. */
export class ProcessNodes {
  readonly #facts: ProcessFacts;
  readonly #instance_ids: InstanceIds;
  readonly #parent: string;
  readonly #limits: AgentLimits;

  /** @param parent reference of the host, of which the proc is a child */
  constructor(facts: ProcessFacts, instance_ids: InstanceIds, parent: string, limits: AgentLimits) {
    this.#facts = facts;
    this.#instance_ids = instance_ids;
    this.#parent = parent;
    this.#limits = limits;
  }

  proc(state: ProcState): NodePayload {
    const { refs, name } = this.#facts;
    const procAgent = renderRef(refs.proc_agent);
    const command = renderRef(refs.command);
    const failedCount = state.kind === 'failed' ? 1 : 0;
    return {
      identity: renderRef(refs.proc),
      properties: {
        Proc: {
          proc_name: name,
          num_actors: 2,
          system_children: [procAgent],
          stopped_children: endOf(state) === null ? [] : [command],
          stopped_retention_cap: this.#limits.ended_procs_max,
          is_poisoned: failedCount > 0,
          failed_actor_count: failedCount,
          debug: { memory: this.#memory(state), ...NO_QUEUES },
          ...this.#process(state),
        },
      },
      children: [procAgent, command],
      parent: this.#parent,
      as_of: timestamp(Date.now()),
    };
  }

  procAgent(): NodePayload {
    return actorNode(this.#facts.refs.proc_agent, Date.now(), {
      actor_status: 'idle',
      actor_type: 'meshscope::ProcAgent',
      instance_id: this.#instance_ids.proc_agent,
      created_at: timestamp(this.#facts.started_at_ms),
      is_system: true,
    });
  }

  /** @param recorder_max_bytes bound of the flight recorder */
  command(state: ProcState, recorder_max_bytes: number): NodePayload {
    const { refs, origin, output, command, started_at_ms } = this.#facts;
    const now_ms = Date.now();
    const end = endOf(state);
    const handler = { name: command.join(' '), active_count: 1, oldest_since: timestamp(started_at_ms) };
    return actorNode(refs.command, end?.ended_at_ms ?? now_ms, {
      actor_status: commandStatus(state, started_at_ms, now_ms),
      actor_type: origin === 'started' ? 'meshscope::Command' : 'meshscope::Process',
      instance_id: this.#instance_ids.command,
      created_at: timestamp(started_at_ms),
      flight_recorder: output?.recorder(recorder_max_bytes) ?? null,
      is_system: false,
      failure_info: this.#failureInfo(state),
      execution: {
        active_count: end === null ? 1 : 0,
        active_handlers: end === null ? [handler] : [],
        complete: true,
        truncated: false,
      },
      ...this.#process(state),
    });
  }

  /** Present exactly when the command failed (FI-3); its own process is the cause (FI-4). */
  #failureInfo(state: ProcState): FailureInfo | null {
    if (state.kind !== 'failed') return null;
    const { refs, name, output } = this.#facts;
    const last = (output?.lines('stderr') ?? []).slice(-this.#limits.failure_lines_max);
    const lines = lastThatFit(last, this.#limits.failure_lines_max_bytes);
    const tail = lines.length === 0 ? '' : `\nlast lines of stderr:\n${lines.join('\n')}`;
    return {
      error_message: `failed: ${state.reason}${tail}`,
      root_cause_actor: renderRef(refs.command),
      root_cause_name: name,
      occurred_at: timestamp(state.ended_at_ms),
      is_propagated: false,
    };
  }

  #memory(state: ProcState): ProcessMemoryStats {
    const { identity } = this.#facts;
    return identity === null || endOf(state) !== null ? NO_MEMORY : readMemory(identity.pid);
  }

  #process(state: ProcState): { process?: ProcessInfo } {
    const { identity, parent_pid, parent, origin, command, rank, local_rank, started_at_ms } = this.#facts;
    if (identity === null) return {};
    const end = endOf(state);
    return {
      process: {
        pid: identity.pid,
        parent_pid,
        parent_proc: parent === null ? null : renderRef(parent),
        origin,
        command: [...command],
        rank,
        local_rank,
        started_at: timestamp(started_at_ms),
        ended_at: end === null ? null : timestamp(end.ended_at_ms),
        exit_code: end?.exit.code ?? null,
        signal: end?.exit.signal ?? null,
      },
    };
  }
}

const NO_MEMORY: ProcessMemoryStats = { process_rss_bytes: null, process_vm_size_bytes: null };

/** The status text of the command's actor. While it runs, it is processing: its main program is its one handler. */
function commandStatus(state: ProcState, started_at_ms: number, now_ms: number): string {
  switch (state.kind) {
    case 'starting':
      return 'initializing';
    case 'running':
      return `processing for ${Math.max(0, Math.floor(now_ms - started_at_ms))}ms`;
    case 'stopping':
      return 'stopping';
    case 'stopped':
    case 'failed':
      return `${state.kind}: ${state.reason}`;
  }
}
