/**
 * Captures of the topology. Each node of a capture has a row in nodes and one in the table of its kind; children holds the
 * graph. A capture counts only when its row in snapshots is there, which is written last.
 */
import { type Table, type TableHead, table } from './definition.ts';

const byCapture = (row: string, time_column: string | null = null): TableHead => ({
  row,
  rows_go: 'capture',
  time_column,
});

const SNAPSHOT_ID = 'snapshot_id text — the capture (snapshots.snapshot_id)';
const NODE = `${SNAPSHOT_ID}
  node_id text — the node (nodes.node_id)`;

export const SNAPSHOT_TABLES: readonly Table[] = [
  table(
    'snapshots',
    'snapshot',
    byCapture('capture that arrived whole', 'snapshot_ts'),
    `
    snapshot_id text — a UUID
    snapshot_ts i64 — when the capture began
    `,
  ),
  table(
    'nodes',
    'snapshot',
    byCapture('node that was seen in a capture', 'as_of'),
    `
    ${SNAPSHOT_ID}
    node_id text — the node’s reference; that of a host begins with "host:"
    node_kind text — root, host, proc, actor or error: which table tells more
    as_of i64 — when its host said so
    `,
  ),
  table(
    'children',
    'snapshot',
    byCapture('link from a node to a child; an actor may be a child of its proc and of another actor'),
    `
    ${SNAPSHOT_ID}
    parent_id text — the node that lists the child
    child_id text — the child
    child_sort_key i64 — place in the parent’s list, from 0
    is_system flag — the parent lists it as infrastructure
    is_stopped flag — the parent lists it as stopped
    `,
  ),
  table(
    'root_nodes',
    'snapshot',
    byCapture('root of a capture'),
    `
    ${NODE}
    num_hosts i64 — hosts below it
    started_at i64 — when the gateway started
    started_by text — user who started it
    `,
  ),
  table(
    'host_nodes',
    'snapshot',
    byCapture('host'),
    `
    ${NODE}
    addr text — its address
    host_num_procs i64 — procs on it
    `,
  ),
  table(
    'proc_nodes',
    'snapshot',
    byCapture('proc'),
    `
    ${NODE}
    proc_name text — its name
    num_actors i64 — actors in it that have not ended
    stopped_retention_cap i64 — how many that ended it remembers
    is_poisoned flag — whether an actor in it has failed
    failed_actor_count i64 — how many have
    `,
  ),
  table(
    'actor_nodes',
    'snapshot',
    byCapture('actor'),
    `
    ${NODE}
    actor_status text — in words, lower case, with the reason behind a colon; not the words of actor_status_events
    actor_type text — kind of actor
    instance_id text — this incarnation of it, a UUID; may be empty
    messages_processed i64 — since it was made
    created_at i64? — when it was made
    last_message_handler text? — the handler that ran last
    total_processing_time_us i64 — time in handlers since it was made
    queue_depth i64 — messages that waited at that moment
    is_system flag — whether it calls itself infrastructure
    `,
  ),
  table(
    'actor_failures',
    'snapshot',
    byCapture('actor that has failed'),
    `
    ${NODE}
    failure_error_message text — what went wrong
    failure_root_cause_actor text — the actor that failed first
    failure_root_cause_name text? — its name for people
    failure_occurred_at i64 — when it failed
    failure_is_propagated flag — whether that is another actor than this one
    `,
  ),
  table(
    'actor_inbound_orderings',
    'snapshot',
    byCapture('actor whose messages are put in order before it takes them'),
    `
    ${NODE}
    enabled flag — false: nothing is put in order, and there are no sessions
    snapshot_complete flag — false: the numbers of this row and of its sessions mean nothing
    skipped_session_count i64 — 0 when complete, else a mark that it is not
    known_session_count i64 — senders
    returned_buffered_session_count i64 — senders with messages that wait for an earlier one
    returned_buffered_message_count i64 — such messages
    returned_max_buffered_count i64 — the most of one sender
    `,
  ),
  table(
    'ordering_sessions',
    'snapshot',
    byCapture('sender to such an actor'),
    `
    ${NODE}
    session_id text — a UUID
    sender text? — address of the sender
    last_released_seq i64 — number of the last message that was let through
    expected_next_seq i64 — the number that is waited for
    buffered_count i64 — messages that wait for it; 0 is healthy
    oldest_buffered_seq i64? — lowest number that waits
    newest_buffered_seq i64? — highest number that waits
    `,
  ),
  table(
    'actor_executions',
    'snapshot',
    byCapture('actor that tells what it works on'),
    `
    ${NODE}
    active_count i64 — messages in hand
    complete flag — false: by name they could not be had, and active_handlers has none
    truncated flag — active_handlers has only the oldest names
    `,
  ),
  table(
    'active_handlers',
    'snapshot',
    byCapture('name of a handler at work in such an actor'),
    `
    ${NODE}
    name text — the handler
    active_count i64 — messages it has in hand
    oldest_since i64 — since when it has the oldest
    `,
  ),
  table(
    'resolution_errors',
    'snapshot',
    byCapture('node that could not be had; the rest of the capture stands'),
    `
    ${NODE}
    error_code text — as in an error envelope
    error_message text — why
    `,
  ),
];
