/**
 * The telemetry tables, each defined once: DDL, appenders, validation of batches and the documentation derive from this.
 *
 * 29 tables, 211 columns. Column order is part of the contract (`information_schema.columns` shows it). Times are
 * microseconds since the Unix epoch, UTC, by the clock of the process that produced the row. There are no keys or
 * indexes: the keys named in the comments are logical.
 */

export const COLUMN_TYPES = {
  /** Hashed ids, ranks, unsigned counts. Beyond 2^53: decimal text in batches, bare integers in query results. */
  u64: 'UBIGINT',
  i64: 'BIGINT',
  i32: 'INTEGER',
  u32: 'UINTEGER',
  f64: 'DOUBLE',
  text: 'VARCHAR',
  flag: 'BOOLEAN',
} as const;

export type ColumnType = keyof typeof COLUMN_TYPES;

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
}

/** What a table is about; later, how long it is kept goes by group. */
export type TableGroup = 'core' | 'trace' | 'metric' | 'snapshot' | 'pyspy';

export interface Table {
  readonly name: string;
  readonly group: TableGroup;
  /** What one row is. */
  readonly row: string;
  readonly columns: readonly Column[];
}

/** Reads `name:type, name:type?, …`, where `?` marks a column that may be null. */
function table(name: string, group: TableGroup, row: string, columns: string): Table {
  return {
    name,
    group,
    row,
    columns: columns.split(',').map((column) => {
      const [columnName = '', type = ''] = column.trim().split(':');
      const isNullable = type.endsWith('?');
      return { name: columnName, type: (isNullable ? type.slice(0, -1) : type) as ColumnType, nullable: isNullable };
    }),
  };
}

const METRIC_HEAD = 'name:text, timestamp_us:i64, start_timestamp_us:i64, scope_name:text, unit:text';
const METRIC_ATTRIBUTES = 'attributes_json:text, resource_attributes_json:text';

export const TABLES: readonly Table[] = [
  table(
    'actors',
    'core',
    'actor announced',
    'id:u64, timestamp_us:i64, mesh_id:u64, rank:u64, full_name:text, display_name:text?',
  ),
  table(
    'meshes',
    'core',
    'host, proc or actor mesh created',
    `id:u64, timestamp_us:i64, class:text, given_name:text, full_name:text, shape_json:text, parent_mesh_id:u64?,
     parent_view_json:text?`,
  ),
  table(
    'actor_status_events',
    'core',
    'actor status change',
    'id:u64, timestamp_us:i64, actor_id:u64, new_status:text, reason:text?',
  ),
  table(
    'sent_messages',
    'core',
    'mesh send operation, before fan-out',
    'id:u64, timestamp_us:i64, sender_actor_id:u64, actor_mesh_id:u64, view_json:text, shape_json:text',
  ),
  table(
    'messages',
    'core',
    'message handed to a handler',
    'id:u64, timestamp_us:i64, from_actor_id:u64, to_actor_id:u64, endpoint:text?, port_index:u64?',
  ),
  table(
    'message_status_events',
    'core',
    'message status change',
    'id:u64, timestamp_us:i64, message_id:u64, status:text',
  ),
  table(
    'spans',
    'trace',
    'span created',
    `process_id:text, id:u64, name:text, target:text, level:text, fields_json:text, timestamp_us:i64, parent_id:u64?,
     thread_name:text, file:text?, line:u32?`,
  ),
  table(
    'span_events',
    'trace',
    'span entered, left or closed',
    'process_id:text, id:u64, timestamp_us:i64, event_type:text',
  ),
  table(
    'events',
    'trace',
    'structured log event',
    `name:text, target:text, level:text, fields_json:text, timestamp_us:i64, parent_span:u64?, thread_id:text,
     thread_name:text, module_path:text?, file:text?, line:u32?`,
  ),
  table(
    'metric_gauges',
    'metric',
    'gauge point per collection interval',
    `${METRIC_HEAD.replace('start_timestamp_us:i64', 'start_timestamp_us:i64?')}, ${METRIC_ATTRIBUTES},
     value_f64:f64?, value_i64:i64?, value_u64:u64?`,
  ),
  table(
    'metric_sums',
    'metric',
    'counter point per collection interval',
    `${METRIC_HEAD}, temporality:text, is_monotonic:flag, ${METRIC_ATTRIBUTES},
     sum_f64:f64?, sum_i64:i64?, sum_u64:u64?`,
  ),
  table(
    'metric_histograms',
    'metric',
    'histogram point per collection interval',
    `${METRIC_HEAD}, temporality:text, ${METRIC_ATTRIBUTES}, count:u64, sum_f64:f64?, sum_i64:i64?, sum_u64:u64?,
     min_f64:f64?, min_i64:i64?, min_u64:u64?, max_f64:f64?, max_i64:i64?, max_u64:u64?, bounds_json:text,
     bucket_counts_json:text`,
  ),
  table('snapshots', 'snapshot', 'topology capture', 'snapshot_id:text, snapshot_ts:i64'),
  table('nodes', 'snapshot', 'node seen in a capture', 'snapshot_id:text, node_id:text, node_kind:text, as_of:i64'),
  table(
    'children',
    'snapshot',
    'link from a parent to a child in a capture',
    'snapshot_id:text, parent_id:text, child_id:text, child_sort_key:i64, is_system:flag, is_stopped:flag',
  ),
  table(
    'root_nodes',
    'snapshot',
    'root of a capture',
    'snapshot_id:text, node_id:text, num_hosts:i64, started_at:i64, started_by:text',
  ),
  table('host_nodes', 'snapshot', 'host', 'snapshot_id:text, node_id:text, addr:text, host_num_procs:i64'),
  table(
    'proc_nodes',
    'snapshot',
    'proc',
    `snapshot_id:text, node_id:text, proc_name:text, num_actors:i64, stopped_retention_cap:i64, is_poisoned:flag,
     failed_actor_count:i64`,
  ),
  table(
    'actor_nodes',
    'snapshot',
    'actor',
    `snapshot_id:text, node_id:text, actor_status:text, actor_type:text, instance_id:text, messages_processed:i64,
     created_at:i64?, last_message_handler:text?, total_processing_time_us:i64, queue_depth:i64, is_system:flag`,
  ),
  table(
    'actor_failures',
    'snapshot',
    'failed actor',
    `snapshot_id:text, node_id:text, failure_error_message:text, failure_root_cause_actor:text,
     failure_root_cause_name:text?, failure_occurred_at:i64, failure_is_propagated:flag`,
  ),
  table(
    'actor_inbound_orderings',
    'snapshot',
    'actor with an ordered inbox',
    `snapshot_id:text, node_id:text, enabled:flag, snapshot_complete:flag, skipped_session_count:i64,
     known_session_count:i64, returned_buffered_session_count:i64, returned_buffered_message_count:i64,
     returned_max_buffered_count:i64`,
  ),
  table(
    'ordering_sessions',
    'snapshot',
    'sender session of such an actor',
    `snapshot_id:text, node_id:text, session_id:text, sender:text?, last_released_seq:i64, expected_next_seq:i64,
     buffered_count:i64, oldest_buffered_seq:i64?, newest_buffered_seq:i64?`,
  ),
  table(
    'actor_executions',
    'snapshot',
    'actor that reports work in flight',
    'snapshot_id:text, node_id:text, active_count:i64, complete:flag, truncated:flag',
  ),
  table(
    'active_handlers',
    'snapshot',
    'handler in flight',
    'snapshot_id:text, node_id:text, name:text, active_count:i64, oldest_since:i64',
  ),
  table(
    'resolution_errors',
    'snapshot',
    'node that did not resolve',
    'snapshot_id:text, node_id:text, error_code:text, error_message:text',
  ),
  table(
    'pyspy_dumps',
    'pyspy',
    'stored stack dump',
    `dump_id:text, timestamp_us:i64, pid:i32, binary:text, proc_ref:text, capture_mode:text, warnings_json:text`,
  ),
  table(
    'pyspy_stack_traces',
    'pyspy',
    'thread of a dump',
    `dump_id:text, pid:i32, thread_id:u64, thread_name:text?, os_thread_id:u64?, active:flag, owns_gil:flag`,
  ),
  table(
    'pyspy_frames',
    'pyspy',
    'frame of a thread; depth 0 is the innermost',
    `dump_id:text, thread_id:u64, frame_depth:i32, name:text, filename:text, module:text?, short_filename:text?,
     line:i32, is_entry:flag`,
  ),
  table(
    'pyspy_local_variables',
    'pyspy',
    'local variable of a frame',
    'dump_id:text, thread_id:u64, frame_depth:i32, name:text, addr:u64, arg:flag, repr:text?',
  ),
];

export function findTable(name: string): Table | undefined {
  return TABLES.find((candidate) => candidate.name === name);
}
