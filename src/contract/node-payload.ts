/**
 * The one shape of every node: `GET /v1/{reference}` answers it, agents push it, the tree and the snapshots read it.
 *
 * Field order and presence are those of the mesh admin API: nullable fields are always written; the variant wrapper has
 * exactly one key. `process` is meshscope's addition to Proc and Actor nodes: an extra field, which other clients skip.
 */
import * as v from 'valibot';
import { I32, nullable, U32, U64, UInt } from './integers.ts';
import { Timestamp } from './timestamp.ts';

const Reference = v.string();
const NO_OBJECT = v.never('must be an object');

const MemoryFields = v.object({
  process_rss_bytes: nullable(U64),
  process_vm_size_bytes: nullable(U64),
});
/** No field of it is required, so valibot alone would take an array for one. */
export const ProcessMemoryStats: typeof MemoryFields = {
  ...MemoryFields,
  '~run': (dataset, config) =>
    (Array.isArray(dataset.value) ? NO_OBJECT : MemoryFields)['~run'](dataset, config) as ReturnType<
      (typeof MemoryFields)['~run']
    >,
};
export type ProcessMemoryStats = v.InferOutput<typeof ProcessMemoryStats>;

export const ProcDebugStats = v.object({
  memory: ProcessMemoryStats,
  actor_work_queue_depth_total: U64,
  actor_work_queue_depth_max: U64,
  actor_work_queue_depth_high_water_mark: U64,
  last_nonzero_queue_depth_age_ms: nullable(U64),
});
export type ProcDebugStats = v.InferOutput<typeof ProcDebugStats>;

export const FailureInfo = v.object({
  error_message: v.string(),
  root_cause_actor: Reference,
  root_cause_name: nullable(v.string()),
  occurred_at: Timestamp,
  is_propagated: v.boolean(),
});
export type FailureInfo = v.InferOutput<typeof FailureInfo>;

export const OrderingSessionSnapshot = v.object({
  session_id: v.pipe(v.string(), v.uuid()),
  sender: nullable(Reference),
  last_released_seq: U64,
  expected_next_seq: U64,
  buffered_count: UInt,
  oldest_buffered_seq: nullable(U64),
  newest_buffered_seq: nullable(U64),
});
export type OrderingSessionSnapshot = v.InferOutput<typeof OrderingSessionSnapshot>;

export const InboundOrdering = v.object({
  enabled: v.boolean(),
  snapshot_complete: v.boolean(),
  skipped_session_count: UInt,
  known_session_count: UInt,
  returned_buffered_session_count: UInt,
  returned_buffered_message_count: UInt,
  returned_max_buffered_count: UInt,
  sessions: v.array(OrderingSessionSnapshot),
});
export type InboundOrdering = v.InferOutput<typeof InboundOrdering>;

/** Ordering that is off, as of an actor without an inbox: not the same as unknown, which is null (IO-1, IO-7). */
export const ORDERING_OFF: InboundOrdering = {
  enabled: false,
  snapshot_complete: true,
  skipped_session_count: 0,
  known_session_count: 0,
  returned_buffered_session_count: 0,
  returned_buffered_message_count: 0,
  returned_max_buffered_count: 0,
  sessions: [],
};

export const ActiveHandler = v.object({
  name: v.string(),
  active_count: U64,
  oldest_since: Timestamp,
});
export type ActiveHandler = v.InferOutput<typeof ActiveHandler>;

export const Execution = v.object({
  active_count: U64,
  active_handlers: v.array(ActiveHandler),
  complete: v.boolean(),
  truncated: v.boolean(),
});
export type Execution = v.InferOutput<typeof Execution>;

/**
 * The operating-system process behind a proc, for procs that are processes of their own. `command` is redacted on the
 * host; `origin` says how the proc came to be known: started by the agent, found by a watch, or the child of another.
 */
export const ProcessInfo = v.object({
  pid: U32,
  parent_pid: nullable(U32),
  parent_proc: nullable(Reference),
  origin: v.picklist(['started', 'watched', 'child']),
  command: v.array(v.string()),
  rank: nullable(U32),
  local_rank: nullable(U32),
  started_at: Timestamp,
  ended_at: nullable(Timestamp),
  exit_code: nullable(I32),
  signal: nullable(v.string()),
});
export type ProcessInfo = v.InferOutput<typeof ProcessInfo>;

export const RootProperties = v.object({
  num_hosts: UInt,
  started_at: Timestamp,
  started_by: v.string(),
  system_children: v.array(Reference),
});
export type RootProperties = v.InferOutput<typeof RootProperties>;

export const HostProperties = v.object({
  addr: v.string(),
  num_procs: UInt,
  system_children: v.array(Reference),
  memory: ProcessMemoryStats,
});
export type HostProperties = v.InferOutput<typeof HostProperties>;

export const ProcProperties = v.object({
  proc_name: v.string(),
  num_actors: UInt,
  system_children: v.array(Reference),
  stopped_children: v.array(Reference),
  stopped_retention_cap: UInt,
  is_poisoned: v.boolean(),
  failed_actor_count: UInt,
  debug: ProcDebugStats,
  process: v.optional(ProcessInfo),
});
export type ProcProperties = v.InferOutput<typeof ProcProperties>;

export const ActorProperties = v.object({
  actor_status: v.string(),
  actor_type: v.string(),
  instance_id: v.pipe(v.string(), v.uuid()),
  messages_processed: U64,
  created_at: nullable(Timestamp),
  last_message_handler: nullable(v.string()),
  total_processing_time_us: U64,
  queue_depth: U64,
  flight_recorder: nullable(v.string()),
  is_system: v.boolean(),
  inbound_ordering: nullable(InboundOrdering),
  failure_info: nullable(FailureInfo),
  execution: nullable(Execution),
  process: v.optional(ProcessInfo),
});
export type ActorProperties = v.InferOutput<typeof ActorProperties>;

export const ErrorProperties = v.object({ code: v.string(), message: v.string() });
export type ErrorProperties = v.InferOutput<typeof ErrorProperties>;

export const NodeProperties = v.union([
  v.strictObject({ Root: RootProperties }),
  v.strictObject({ Host: HostProperties }),
  v.strictObject({ Proc: ProcProperties }),
  v.strictObject({ Actor: ActorProperties }),
  v.strictObject({ Error: ErrorProperties }),
]);
export type NodeProperties = v.InferOutput<typeof NodeProperties>;

export const NodePayload = v.object({
  identity: Reference,
  properties: NodeProperties,
  children: v.array(Reference),
  parent: nullable(Reference),
  as_of: Timestamp,
});
export type NodePayload = v.InferOutput<typeof NodePayload>;

/** One event of a flight recorder, which travels as JSON text inside `flight_recorder`, oldest first, at most 64. */
export const FlightRecorderEvent = v.object({
  timestamp: Timestamp,
  seq: UInt,
  level: v.picklist(['ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE']),
  target: v.string(),
  name: v.string(),
  fields: v.record(v.string(), v.union([v.string(), v.number(), v.boolean(), v.null()])),
});
export type FlightRecorderEvent = v.InferOutput<typeof FlightRecorderEvent>;
