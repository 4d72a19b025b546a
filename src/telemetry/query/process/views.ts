/**
 * Views that make common questions short. They exist in query processes only, so that the data file holds the contract's
 * tables and nothing else. docs/sql.md describes them for users.
 *
 * Each reads its tables in one pass where rows follow one another (`rowid` is the order in which they were stored, and
 * decides between rows of one microsecond). Differences are taken of `BIGINT` times, never of unsigned columns, where a
 * negative one would be an error.
 */
import { quoteIdentifier } from '../../database/ddl.ts';
import { LOSSES_VIEW } from '../losses-view.ts';

export interface View {
  readonly name: string;
  /** What one row is. */
  readonly row: string;
  readonly columns: readonly string[];
  readonly sql: string;
}

/** What `recent_failures` takes for recent, microseconds. */
const RECENT_US = 3_600_000_000;

export const VIEWS: readonly View[] = [
  {
    name: 'actor_current',
    row: 'actor that has a status: the latest one, since when, and why',
    columns: ['actor_id', 'full_name', 'display_name', 'mesh_id', 'rank', 'status', 'reason', 'since_us'],
    sql: `SELECT e.actor_id, a.full_name, a.display_name, a.mesh_id, a.rank, e.new_status AS status, e.reason,
        e.timestamp_us AS since_us
      FROM (SELECT actor_id, new_status, reason, timestamp_us FROM actor_status_events
        QUALIFY row_number() OVER (PARTITION BY actor_id ORDER BY timestamp_us DESC, rowid DESC) = 1) e
      LEFT JOIN (SELECT id, full_name, display_name, mesh_id, rank FROM actors
        QUALIFY row_number() OVER (PARTITION BY id ORDER BY timestamp_us, rowid) = 1) a ON a.id = e.actor_id`,
  },
  {
    name: 'message_current',
    row: 'message handed to a handler: its state by precedence (complete, failed, active, queued), and when it came there',
    columns: [
      'id',
      'timestamp_us',
      'from_actor_id',
      'to_actor_id',
      'endpoint',
      'port_index',
      'state',
      'queued_us',
      'active_us',
      'ended_us',
    ],
    sql: `SELECT m.id, m.timestamp_us, m.from_actor_id, m.to_actor_id, m.endpoint, m.port_index,
        CASE WHEN s.complete_us IS NOT NULL THEN 'complete' WHEN s.failed_us IS NOT NULL THEN 'failed'
          WHEN s.active_us IS NOT NULL THEN 'active' ELSE 'queued' END AS state,
        s.queued_us, s.active_us, coalesce(s.complete_us, s.failed_us) AS ended_us
      FROM messages m LEFT JOIN (
        SELECT message_id,
          min(timestamp_us) FILTER (status = 'queued') AS queued_us,
          min(timestamp_us) FILTER (status = 'active') AS active_us,
          max(timestamp_us) FILTER (status = 'complete') AS complete_us,
          max(timestamp_us) FILTER (status = 'failed') AS failed_us
        FROM message_status_events GROUP BY message_id) s ON s.message_id = m.id`,
  },
  {
    name: 'messages_by_endpoint',
    row: 'endpoint: its messages, how many are in which state, and how long those that are complete took',
    columns: ['endpoint', 'messages', 'queued', 'active', 'complete', 'failed', 'run_p50_us', 'run_p99_us'],
    sql: `SELECT endpoint, count(*) AS messages, count(*) FILTER (state = 'queued') AS queued,
        count(*) FILTER (state = 'active') AS active, count(*) FILTER (state = 'complete') AS complete,
        count(*) FILTER (state = 'failed') AS failed,
        quantile_disc(ended_us - active_us, 0.5) FILTER (state = 'complete') AS run_p50_us,
        quantile_disc(ended_us - active_us, 0.99) FILTER (state = 'complete') AS run_p99_us
      FROM message_current GROUP BY endpoint`,
  },
  {
    name: 'dump_latest',
    row: 'proc that has stored dumps: the newest of them',
    columns: ['proc_ref', 'dump_id', 'timestamp_us', 'pid', 'binary', 'capture_mode', 'warnings_json'],
    sql: `SELECT proc_ref, dump_id, timestamp_us, pid, "binary", capture_mode, warnings_json FROM pyspy_dumps
      QUALIFY row_number() OVER (PARTITION BY proc_ref ORDER BY timestamp_us DESC, rowid DESC) = 1`,
  },
  {
    name: 'latest_snapshot',
    row: 'the newest capture of the topology; none when there was none',
    columns: ['snapshot_id', 'snapshot_ts'],
    sql: 'SELECT snapshot_id, snapshot_ts FROM snapshots ORDER BY snapshot_ts DESC, rowid DESC LIMIT 1',
  },
  {
    name: 'latest_nodes',
    row: 'node of the newest capture',
    columns: ['snapshot_id', 'node_id', 'node_kind', 'as_of'],
    sql: `SELECT n.snapshot_id, n.node_id, n.node_kind, n.as_of FROM nodes n
      WHERE n.snapshot_id = (SELECT snapshot_id FROM latest_snapshot)`,
  },
  {
    name: 'latest_children',
    row: 'link from a parent to a child in the newest capture',
    columns: ['snapshot_id', 'parent_id', 'child_id', 'child_sort_key', 'is_system', 'is_stopped'],
    sql: `SELECT c.snapshot_id, c.parent_id, c.child_id, c.child_sort_key, c.is_system, c.is_stopped FROM children c
      WHERE c.snapshot_id = (SELECT snapshot_id FROM latest_snapshot)`,
  },
  {
    name: 'recent_failures',
    row: 'failure of the last hour, told by a status event or, where there is none of the actor, by the newest capture',
    columns: ['timestamp_us', 'actor', 'error', 'root_cause', 'told_by'],
    sql: `WITH told AS (
        SELECT e.timestamp_us, a.full_name AS actor, e.reason AS error, e.actor_id
        FROM actor_status_events e LEFT JOIN (SELECT id, full_name FROM actors
          QUALIFY row_number() OVER (PARTITION BY id ORDER BY timestamp_us, rowid) = 1) a ON a.id = e.actor_id
        WHERE e.new_status = 'Failed' AND e.timestamp_us > epoch_us(now()) - ${RECENT_US}),
      captured AS (
        SELECT f.failure_occurred_at AS timestamp_us, f.node_id AS actor, f.failure_error_message AS error,
          f.failure_root_cause_actor AS root_cause
        FROM actor_failures f WHERE f.snapshot_id = (SELECT snapshot_id FROM latest_snapshot))
      SELECT t.timestamp_us, t.actor, coalesce(t.error, c.error) AS error, c.root_cause, 'status event' AS told_by
      FROM told t LEFT JOIN captured c ON c.actor = t.actor
      UNION ALL
      SELECT c.timestamp_us, c.actor, c.error, c.root_cause, 'capture' AS told_by FROM captured c
      WHERE c.timestamp_us > epoch_us(now()) - ${RECENT_US}
        AND NOT EXISTS (SELECT 1 FROM told t WHERE t.actor = c.actor)
      ORDER BY timestamp_us DESC`,
  },
  {
    name: 'span_durations',
    row: 'span of a process: from its creation to its close, how often it was entered, and how long it was in',
    columns: [
      'process_id',
      'id',
      'name',
      'target',
      'level',
      'fields_json',
      'started_us',
      'closed_us',
      'wall_us',
      'entered',
      'busy_us',
    ],
    sql: `SELECT s.process_id, s.id, s.name, s.target, s.level, s.fields_json, s.timestamp_us AS started_us, e.closed_us,
        e.closed_us - s.timestamp_us AS wall_us, coalesce(e.entered, 0) AS entered, coalesce(e.busy_us, 0) AS busy_us
      FROM spans s LEFT JOIN (
        SELECT process_id, id, max(timestamp_us) FILTER (event_type = 'close') AS closed_us,
          count(*) FILTER (event_type = 'enter') AS entered,
          (sum(next_us - timestamp_us) FILTER (event_type = 'enter' AND next_type = 'exit'))::BIGINT AS busy_us
        FROM (SELECT process_id, id, timestamp_us, event_type,
            lead(timestamp_us) OVER following AS next_us, lead(event_type) OVER following AS next_type
          FROM span_events WINDOW following AS (PARTITION BY process_id, id ORDER BY timestamp_us, rowid))
        GROUP BY process_id, id) e ON e.process_id = s.process_id AND e.id = s.id`,
  },
];

/** Names of the views; a query may name them as it names tables. */
export const VIEW_NAMES: ReadonlySet<string> = new Set([...VIEWS.map((view) => view.name), LOSSES_VIEW]);

export function viewDdl({ name, columns, sql }: View): string {
  return `CREATE VIEW main.${quoteIdentifier(name)} (${columns.map(quoteIdentifier).join(', ')}) AS ${sql}`;
}
