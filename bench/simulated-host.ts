/** The state of a simulated host, made anew each time it is asked for: a host, its service proc, 8 procs with an actor each. */
import { timestamp } from '../src/base/index.ts';
import { hostLocation, type NodePayload, renderLocation } from '../src/contract/index.ts';

export const PROCS_PER_HOST = 8;
/** Host, service proc, procs and their actors. */
export const NODES_PER_HOST = 2 + 2 * PROCS_PER_HOST;

export function hostName(number: number): string {
  return `gpu-${number}`;
}

function locationOf(host: string): string {
  return renderLocation(hostLocation(host));
}

export function hostReference(host: string): string {
  return `host:host_agent.service@${locationOf(host)}`;
}

/** @param proc 0 to PROCS_PER_HOST - 1: a digit of its uid, which alone is what tells it from others of the host. */
export function procReference(host: string, proc: number): string {
  return `trainer-${proc}<BLs6T7ZaD${proc + 1}B>@${locationOf(host)}`;
}

export function actorReference(host: string, proc: number): string {
  return `trainer<3SdB72fboyy>.${procReference(host, proc)}`;
}

/** All nodes of a host, as of now. */
export function nodesOf(host: string): NodePayload[] {
  const as_of = timestamp(Date.now());
  const parent = hostReference(host);
  const service = `service@${locationOf(host)}`;
  const procs = Array.from({ length: PROCS_PER_HOST }, (_, proc) => procReference(host, proc));
  const actors = procs.map((_, proc) => actorReference(host, proc));
  return [
    hostNode(host, [service, ...procs], as_of),
    procNode(service, parent, [], as_of),
    ...procs.map((proc, i) => procNode(proc, parent, actors.slice(i, i + 1), as_of)),
    ...actors.map((actor) => actorNode(actor, as_of)),
  ];
}

function hostNode(host: string, children: readonly string[], as_of: string): NodePayload {
  const memory = { process_rss_bytes: 91_000_000, process_vm_size_bytes: null };
  const Host = { addr: `unix:${host}`, num_procs: children.length, system_children: [], memory };
  return { identity: hostReference(host), properties: { Host }, children: [...children], parent: 'root', as_of };
}

function procNode(identity: string, parent: string, children: readonly string[], as_of: string): NodePayload {
  const Proc = {
    proc_name: identity.slice(0, identity.search(/[<@]/)),
    num_actors: children.length,
    system_children: [],
    stopped_children: [],
    stopped_retention_cap: 100,
    is_poisoned: false,
    failed_actor_count: 0,
    debug: {
      memory: { process_rss_bytes: 1_234_567_890, process_vm_size_bytes: 9_876_543_210 },
      actor_work_queue_depth_total: 0,
      actor_work_queue_depth_max: 0,
      actor_work_queue_depth_high_water_mark: 0,
      last_nonzero_queue_depth_age_ms: null,
    },
  };
  return { identity, properties: { Proc }, children: [...children], parent, as_of };
}

/** What a real agent answers for an actor that waits for its next message. */
export function actorNode(identity: string, as_of = timestamp(Date.now())): NodePayload {
  const session = {
    session_id: '0195a1c2-6000-7000-8000-000000000001',
    sender: null,
    last_released_seq: 7,
    expected_next_seq: 8,
    buffered_count: 0,
    oldest_buffered_seq: null,
    newest_buffered_seq: null,
  };
  const Actor = {
    actor_status: 'idle',
    actor_type: 'meshscope::bench::Trainer',
    instance_id: '0195a1c2-7d10-7c33-9f00-2b6a5d1e9c01',
    messages_processed: 1_000,
    created_at: as_of,
    last_message_handler: 'step',
    total_processing_time_us: 2_000_000,
    queue_depth: 0,
    flight_recorder: null,
    is_system: false,
    inbound_ordering: {
      enabled: true,
      snapshot_complete: true,
      skipped_session_count: 0,
      known_session_count: 1,
      returned_buffered_session_count: 0,
      returned_buffered_message_count: 0,
      returned_max_buffered_count: 0,
      sessions: [session],
    },
    failure_info: null,
    execution: { active_count: 0, active_handlers: [], complete: true, truncated: false },
  };
  const parent = identity.slice(identity.indexOf('.') + 1);
  return { identity, properties: { Actor }, children: [], parent, as_of };
}
