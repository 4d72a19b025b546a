/** A payload out of an event, to be shown like any other: what events do not tell is kept from before, or neutral. */
import {
  type LiveEvent,
  type NodePayload,
  type NodeProperties,
  ORDERING_OFF,
  type ProcessInfo,
} from '../../contract/index.ts';

export type NodeEvent = Extract<LiveEvent, { type: 'node_added' | 'node_changed' }>;

const NO_MEMORY = { process_rss_bytes: null, process_vm_size_bytes: null };
const NO_QUEUES = {
  actor_work_queue_depth_total: 0,
  actor_work_queue_depth_max: 0,
  actor_work_queue_depth_high_water_mark: 0,
  last_nonzero_queue_depth_age_ms: null,
};
const NO_ID = '00000000-0000-0000-0000-000000000000';

/**
 * @param before what was known of the node
 * @param parent what is known of its parent: an actor's process is that of its proc
 */
export function nodeOf(event: NodeEvent, before?: NodePayload, parent?: NodePayload): NodePayload {
  const { reference, as_of } = event;
  const children = before?.children ?? [];
  return {
    identity: reference,
    properties: propertiesOf(event, before, parent),
    children,
    parent: event.parent,
    as_of,
  };
}

function propertiesOf(event: NodeEvent, before?: NodePayload, parent?: NodePayload): NodeProperties {
  const { status, since } = event;
  if (status === null) {
    return before?.properties ?? { Error: { code: 'unknown', message: 'its status is too long to be followed' } };
  }
  if ('Error' in status) return status;
  if ('Host' in status) {
    const memory = before !== undefined && 'Host' in before.properties ? before.properties.Host.memory : NO_MEMORY;
    return { Host: { addr: status.Host.addr, num_procs: event.num_children, system_children: [], memory } };
  }
  if ('Proc' in status) {
    const { name, is_poisoned, failed_actor_count, process } = status.Proc;
    const known = before !== undefined && 'Proc' in before.properties ? before.properties.Proc : null;
    const info = process === null ? {} : { process: { parent_pid: null, ...process, command: [process.command] } };
    return {
      Proc: {
        proc_name: name,
        num_actors: event.num_children,
        system_children: known?.system_children ?? [],
        stopped_children: known?.stopped_children ?? [],
        stopped_retention_cap: known?.stopped_retention_cap ?? 0,
        is_poisoned,
        failed_actor_count,
        debug: known?.debug ?? { memory: NO_MEMORY, ...NO_QUEUES },
        ...info,
      },
    };
  }
  const { type, status: actor_status, is_system, failure, ended_at } = status.Actor;
  const known = before !== undefined && 'Actor' in before.properties ? before.properties.Actor : null;
  const process = is_system ? undefined : processOf(parent);
  const active = since === null ? [] : [{ name: actor_status, active_count: 1, oldest_since: since }];
  return {
    Actor: {
      actor_status,
      actor_type: type,
      instance_id: known?.instance_id ?? NO_ID,
      messages_processed: known?.messages_processed ?? 0,
      created_at: known?.created_at ?? null,
      last_message_handler: known?.last_message_handler ?? null,
      total_processing_time_us: known?.total_processing_time_us ?? 0,
      queue_depth: known?.queue_depth ?? 0,
      flight_recorder: null,
      is_system,
      inbound_ordering: ORDERING_OFF,
      failure_info:
        failure === null
          ? null
          : {
              error_message: failure,
              root_cause_actor: event.reference,
              root_cause_name: null,
              occurred_at: ended_at ?? event.as_of,
              is_propagated: false,
            },
      execution: { active_count: active.length, active_handlers: active, complete: true, truncated: false },
      ...(process === undefined ? {} : { process: { ...process, ended_at } }),
    },
  };
}

function processOf(proc: NodePayload | undefined): ProcessInfo | undefined {
  return proc !== undefined && 'Proc' in proc.properties ? proc.properties.Proc.process : undefined;
}
