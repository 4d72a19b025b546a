/** What exists and what it does: meshes, actors, their changes of status, the messages between them. */
import { type Table, type TableHead, table } from './definition.ts';

const byAge = (row: string): TableHead => ({ row, rows_go: 'age', time_column: 'timestamp_us' });
/** What other tables refer to stays as long as there is room. */
const byNumber = (row: string): TableHead => ({ row, rows_go: 'number', time_column: 'timestamp_us' });

export const CORE_TABLES: readonly Table[] = [
  table(
    'actors',
    'core',
    byNumber('actor that was announced, by whoever spawned it'),
    `
    id u64 — actor id, a hash of its address that tells hosts apart; the events of an actor refer to it
    timestamp_us i64 — when it was announced
    mesh_id u64 — the mesh it belongs to (meshes.id): of hosts for a host agent, of procs for a proc agent, else of actors
    rank u64 — its place in that mesh, from 0
    full_name text — its address, the same text as actor_nodes.node_id
    display_name text? — name for people; null for agents and whatever has none
    `,
  ),
  table(
    'meshes',
    'core',
    byNumber('host, proc or actor mesh that was made'),
    `
    id u64 — mesh id
    timestamp_us i64 — when it was made
    class text — Host, Proc, Command for the plain commands on a proc mesh, else the kind of actor
    given_name text — the name that the user gave it
    full_name text — unique name; the host and the path to the mesh
    shape_json text — extent: {"inner":{"labels":[…],"sizes":[…]}}
    parent_mesh_id u64? — host mesh of a proc mesh, proc mesh of an actor mesh; null for a host mesh
    parent_view_json text? — region of the parent that it covers: {"labels":[…],"slice":{"offset","sizes","strides"}}
    `,
  ),
  table(
    'actor_status_events',
    'core',
    byAge('change of an actor’s status; idle to processing and back is not told, it happens at every message'),
    `
    id u64 — event id
    timestamp_us i64 — when it changed
    actor_id u64 — actors.id; an actor that nobody announced has no row there
    new_status text — Created, Initializing, Client, Idle, Processing, Stopping, Stopped or Failed
    reason text? — why it stopped or failed; else null
    `,
  ),
  table(
    'sent_messages',
    'core',
    byAge('send to a mesh, once however many ranks receive it'),
    `
    id u64 — event id
    timestamp_us i64 — when it was sent
    sender_actor_id u64 — the actor that sent (actors.id)
    actor_mesh_id u64 — the mesh it was sent to (meshes.id)
    view_json text — the region of the mesh that was addressed
    shape_json text — the same region as a shape
    `,
  ),
  table(
    'messages',
    'core',
    byAge('message that was handed to a handler; one that still waits has none'),
    `
    id u64 — message id, made by the receiver
    timestamp_us i64 — when the handler took it: the time of its active event
    from_actor_id u64 — the actor that sent it; 0 when unknown
    to_actor_id u64 — the actor that received it
    endpoint text? — name of the endpoint
    port_index u64? — which port of the receiver it came in by
    `,
  ),
  table(
    'message_status_events',
    'core',
    byAge('step in the life of a message; replies, which no handler takes, have only the first'),
    `
    id u64 — event id
    timestamp_us i64 — when it happened; queued may be later than active
    message_id u64 — messages.id, where there is such a row
    status text — queued, active, complete or failed; of several the last in this order tells the state
    `,
  ),
];
