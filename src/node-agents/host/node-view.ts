/**
 * The nodes of a host, made from what the agent knows at this moment.
 *
 * A host has its service proc, with the `host_agent` actor, and one proc per process. A process's proc has two actors:
 * `proc_agent` (system), through which the host agent answers for it, and one for the command, whose status follows
 * the process. `as_of` is the time at which a node was made; of an ended command, when it ended.
 */
import { timestamp } from '../../base/index.ts';
import {
  type ActorProperties,
  type ActorRef,
  type FailureInfo,
  type NodePayload,
  ORDERING_OFF,
  type ProcessInfo,
  type ProcessMemoryStats,
  procOf,
  refKey,
  renderChannelAddress,
  renderRef,
} from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import { lastThatFit } from '../processes/output-tail.ts';
import { readMemory } from '../procfs/index.ts';
import type { HostRefs } from '../procs/identity.ts';
import { commandStatus, endedAtMs, isEnded, type ProcRecord } from '../procs/proc-record.ts';

/** The agent's own data, as its nodes show them. */
export interface AgentInfo {
  readonly refs: HostRefs;
  readonly instance_id: string;
  readonly started_at_ms: number;
}

const NO_MEMORY: ProcessMemoryStats = { process_rss_bytes: null, process_vm_size_bytes: null };

const NO_QUEUES = {
  actor_work_queue_depth_total: 0,
  actor_work_queue_depth_max: 0,
  actor_work_queue_depth_high_water_mark: 0,
  last_nonzero_queue_depth_age_ms: null,
};

export function hostNode(agent: AgentInfo, records: readonly ProcRecord[]): NodePayload {
  const children = [renderRef(agent.refs.service), ...records.map((record) => renderRef(record.refs.proc))];
  return {
    identity: renderRef(agent.refs.host),
    properties: {
      Host: {
        addr: renderChannelAddress(agent.refs.service.location.url),
        num_procs: children.length,
        system_children: [],
        memory: readMemory(process.pid),
      },
    },
    children,
    parent: 'root',
    as_of: timestamp(Date.now()),
  };
}

export function serviceNode(agent: AgentInfo): NodePayload {
  const hostAgent = renderRef(agent.refs.host_agent);
  return {
    identity: renderRef(agent.refs.service),
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
    parent: renderRef(agent.refs.host),
    as_of: timestamp(Date.now()),
  };
}

export function hostAgentNode(agent: AgentInfo): NodePayload {
  return actorNode(agent.refs.host_agent, Date.now(), {
    actor_status: 'idle',
    actor_type: 'meshscope::HostAgent',
    instance_id: agent.instance_id,
    created_at: timestamp(agent.started_at_ms),
    is_system: true,
  });
}

export function procNode(agent: AgentInfo, record: ProcRecord): NodePayload {
  const procAgent = renderRef(record.refs.proc_agent);
  const command = renderRef(record.refs.command);
  const failedCount = record.state.kind === 'failed' ? 1 : 0;
  return {
    identity: renderRef(record.refs.proc),
    properties: {
      Proc: {
        proc_name: record.name,
        num_actors: 2,
        system_children: [procAgent],
        stopped_children: isEnded(record) ? [command] : [],
        stopped_retention_cap: LIMITS.ended_procs_max,
        is_poisoned: failedCount > 0,
        failed_actor_count: failedCount,
        debug: { memory: memoryOf(record), ...NO_QUEUES },
        ...processOf(record),
      },
    },
    children: [procAgent, command],
    parent: renderRef(agent.refs.host),
    as_of: timestamp(Date.now()),
  };
}

export function procAgentNode(record: ProcRecord): NodePayload {
  return actorNode(record.refs.proc_agent, Date.now(), {
    actor_status: 'idle',
    actor_type: 'meshscope::ProcAgent',
    instance_id: record.instance_ids.proc_agent,
    created_at: timestamp(record.started_at_ms),
    is_system: true,
  });
}

/** @param recorder_max_bytes bound of the flight recorder, default that of a node that is asked for */
export function commandNode(record: ProcRecord, recorder_max_bytes: number = LIMITS.recorder_max_bytes): NodePayload {
  const now_ms = Date.now();
  return actorNode(record.refs.command, endedAtMs(record) ?? now_ms, {
    actor_status: commandStatus(record, now_ms),
    actor_type: record.origin === 'started' ? 'meshscope::Command' : 'meshscope::Process',
    instance_id: record.instance_ids.command,
    created_at: timestamp(record.started_at_ms),
    flight_recorder: record.output?.recorder(recorder_max_bytes) ?? null,
    is_system: false,
    failure_info: failureInfo(record),
    execution: {
      active_count: isEnded(record) ? 0 : 1,
      active_handlers: isEnded(record)
        ? []
        : [{ name: record.command.join(' '), active_count: 1, oldest_since: timestamp(record.started_at_ms) }],
      complete: true,
      truncated: false,
    },
    ...processOf(record),
  });
}

/** Every node of one proc as they are pushed: its own and those of its two actors. */
export function nodesOf(agent: AgentInfo, record: ProcRecord): NodePayload[] {
  return [procNode(agent, record), procAgentNode(record), commandNode(record, LIMITS.pushed_recorder_max_bytes)];
}

/** One actor of a proc by its key; null when the proc has no such actor. */
export function actorOf(record: ProcRecord, key: string): NodePayload | null {
  if (key === refKey(record.refs.proc_agent)) return procAgentNode(record);
  return key === refKey(record.refs.command) ? commandNode(record) : null;
}

type ActorDetail = Partial<ActorProperties> &
  Pick<ActorProperties, 'actor_status' | 'actor_type' | 'instance_id' | 'created_at' | 'is_system'>;

function actorNode(ref: ActorRef, as_of_ms: number, detail: ActorDetail): NodePayload {
  return {
    identity: renderRef(ref),
    properties: {
      Actor: {
        messages_processed: 0,
        last_message_handler: null,
        total_processing_time_us: 0,
        queue_depth: 0,
        flight_recorder: null,
        inbound_ordering: ORDERING_OFF,
        failure_info: null,
        execution: null,
        ...detail,
      },
    },
    children: [],
    parent: renderRef(procOf(ref)),
    as_of: timestamp(as_of_ms),
  };
}

/** Present exactly when the command failed (FI-3); its own process is the cause (FI-4). */
function failureInfo(record: ProcRecord): FailureInfo | null {
  if (record.state.kind !== 'failed') return null;
  const last = (record.output?.lines('stderr') ?? []).slice(-LIMITS.failure_lines_max);
  const lines = lastThatFit(last, LIMITS.failure_lines_max_bytes);
  const tail = lines.length === 0 ? '' : `\nlast lines of stderr:\n${lines.join('\n')}`;
  return {
    error_message: `failed: ${record.state.reason}${tail}`,
    root_cause_actor: renderRef(record.refs.command),
    root_cause_name: record.name,
    occurred_at: timestamp(record.state.ended_at_ms),
    is_propagated: false,
  };
}

function memoryOf(record: ProcRecord): ProcessMemoryStats {
  return record.identity === null || isEnded(record) ? NO_MEMORY : readMemory(record.identity.pid);
}

function processOf(record: ProcRecord): { process?: ProcessInfo } {
  if (record.identity === null) return {};
  const ended_at_ms = endedAtMs(record);
  const exit = record.state.kind === 'stopped' || record.state.kind === 'failed' ? record.state.exit : null;
  return {
    process: {
      pid: record.identity.pid,
      parent_pid: record.parent_pid,
      parent_proc: record.parent === null ? null : renderRef(record.parent.refs.proc),
      origin: record.origin,
      command: [...record.command],
      rank: record.rank,
      local_rank: record.local_rank,
      started_at: timestamp(record.started_at_ms),
      ended_at: ended_at_ms === null ? null : timestamp(ended_at_ms),
      exit_code: exit?.code ?? null,
      signal: exit?.signal ?? null,
    },
  };
}
