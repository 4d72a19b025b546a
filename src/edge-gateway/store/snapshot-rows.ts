/**
 * From the hub's state to rows of the thirteen snapshot tables, node by node. Column order is the tables'. A
 * disconnected host, and a child that was never published, become a `resolution_errors` row and end the walk there.
 */
import type { Row } from '../../base/index.ts';
import type { NodePayload } from '../../contract/index.ts';
import type { HostView, HostViews, Mesh } from '../ports.ts';

export interface TableRow {
  readonly table: string;
  readonly row: Row;
}

/** Microseconds since the epoch of a contract timestamp. */
function micros(timestamp: string): number {
  return Date.parse(timestamp) * 1_000;
}

/** Rows of one whole capture, `snapshots` aside, lazily: the caller decides how many nodes it takes at once. */
export function* captureRows(mesh: Mesh & HostViews, id: string, snapshot_ts: number): Generator<readonly TableRow[]> {
  const root = mesh.read('root');
  if (root instanceof Promise || !root.ok) return;
  // The hosts as they are now, though what is below them is taken later.
  const hosts = hostRows(mesh, id, snapshot_ts);
  yield rootRows(id, root.value);
  yield* hosts;
}

/** @param root the root node as JSON text. */
export function rootRows(id: string, root: string): readonly TableRow[] {
  return nodeRows(id, JSON.parse(root));
}

/** Rows of all hosts of a mesh or of a part of one, as they are listed when this is called. */
export function hostRows(part: HostViews, id: string, snapshot_ts: number): Iterable<readonly TableRow[]> {
  // The caller pauses between nodes: a host that leaves meanwhile keeps the name that the root lists it under.
  const hosts = part.hosts().map((host) => ({ host, identity: host.identity }));
  return (function* () {
    for (const { host, identity } of hosts) yield* rowsOfHost(host, identity, id, snapshot_ts);
  })();
}

function* rowsOfHost(
  host: HostView,
  identity: string,
  id: string,
  snapshot_ts: number,
): Generator<readonly TableRow[]> {
  const failed = (reference: string, code: string, message: string): TableRow[] => [
    { table: 'nodes', row: [id, reference, 'error', snapshot_ts] },
    { table: 'resolution_errors', row: [id, reference, code, message] },
  ];
  if (!host.isLinked) {
    const message = `host ${host.name} is out of reach, last heard ${(host.age_ms / 1_000).toFixed(1)} s ago`;
    return yield failed(identity, 'gateway_timeout', message);
  }
  // Breadth is not needed, only that each node comes once: an actor can be a child of its proc and of its supervisor.
  const seen = new Set([identity]);
  for (const reference of seen) {
    const node = host.node(reference);
    if (node === undefined) yield failed(reference, 'not_found', `listed, but not published by host ${host.name}`);
    else yield nodeRows(id, JSON.parse(node.text));
    for (const child of node?.children ?? []) seen.add(child);
  }
}

function nodeRows(id: string, { identity, properties, children, as_of }: NodePayload): TableRow[] {
  const rows: TableRow[] = [];
  const add = (table: string, ...values: Row) => rows.push({ table, row: [id, identity, ...values] });
  add('nodes', Object.keys(properties)[0]?.toLowerCase() ?? 'error', micros(as_of));
  const system = new Set('Proc' in properties ? properties.Proc.system_children : []);
  const stopped = new Set('Proc' in properties ? properties.Proc.stopped_children : []);
  for (const [position, child] of children.entries()) {
    add('children', child, position, system.has(child), stopped.has(child));
  }
  if ('Root' in properties) {
    const { num_hosts, started_at, started_by } = properties.Root;
    add('root_nodes', num_hosts, micros(started_at), started_by);
  } else if ('Host' in properties) add('host_nodes', properties.Host.addr, properties.Host.num_procs);
  else if ('Proc' in properties) {
    const { proc_name, num_actors, stopped_retention_cap, is_poisoned, failed_actor_count } = properties.Proc;
    add('proc_nodes', proc_name, num_actors, stopped_retention_cap, is_poisoned, failed_actor_count);
  } else if ('Actor' in properties) actorRows(properties.Actor, add);
  else add('resolution_errors', properties.Error.code, properties.Error.message);
  return rows;
}

type Add = (table: string, ...values: Row) => void;
type Actor = Extract<NodePayload['properties'], { Actor: unknown }>['Actor'];

function actorRows(actor: Actor, add: Add): void {
  add(
    'actor_nodes',
    actor.actor_status,
    actor.actor_type,
    actor.instance_id,
    actor.messages_processed,
    actor.created_at === null ? null : micros(actor.created_at),
    actor.last_message_handler,
    actor.total_processing_time_us,
    actor.queue_depth,
    actor.is_system,
  );
  const { failure_info: failure, inbound_ordering: ordering, execution } = actor;
  if (failure !== null) {
    const { error_message, root_cause_actor, root_cause_name, occurred_at, is_propagated } = failure;
    add('actor_failures', error_message, root_cause_actor, root_cause_name, micros(occurred_at), is_propagated);
  }
  if (ordering !== null) orderingRows(ordering, add);
  if (execution !== null) {
    add('actor_executions', execution.active_count, execution.complete, execution.truncated);
    for (const { name, active_count, oldest_since } of execution.active_handlers) {
      add('active_handlers', name, active_count, micros(oldest_since));
    }
  }
}

function orderingRows(ordering: NonNullable<Actor['inbound_ordering']>, add: Add): void {
  add(
    'actor_inbound_orderings',
    ordering.enabled,
    ordering.snapshot_complete,
    ordering.skipped_session_count,
    ordering.known_session_count,
    ordering.returned_buffered_session_count,
    ordering.returned_buffered_message_count,
    ordering.returned_max_buffered_count,
  );
  for (const session of ordering.sessions) {
    add(
      'ordering_sessions',
      session.session_id,
      session.sender,
      session.last_released_seq,
      session.expected_next_seq,
      session.buffered_count,
      session.oldest_buffered_seq,
      session.newest_buffered_seq,
    );
  }
}
