/**
 * Live updates: the events of `GET /v1/events`, one JSON object in the `data` of each server-sent event, whose `event` is
 * the object's `type` and whose `id` names its place for `Last-Event-ID`.
 *
 * 1. `snapshot` says that what the client knows may be out of date: read the mesh again, from `/v1/root`. It comes first
 *    on a stream without a known `Last-Event-ID`, and in place of events that can no longer be given. Everything that
 *    changes after it follows as events, so a client that reads the mesh after it misses nothing; what it read may already
 *    hold some of what follows, and each event gives the new state, not a difference.
 * 2. `host_linked`: the state of a host came over a new link. `read_again` says whether what is below it has to be read
 *    again; otherwise all that differs from before follows. `host_lost`: its link broke and its last state stays.
 *    `host_removed`: it has left the mesh, with everything below it.
 * 3. `node_added`, `node_changed` and `node_removed` tell of hosts, procs and actors. A node has changed when its `status`
 *    or its list of children has; `as_of`, `since`, memory, queues and counters change without an event.
 *
 * `as_of` is the time of capture on the host for nodes that are there, else the time at which the gateway took notice.
 */
import * as v from 'valibot';
import { nullable, UInt } from './integers.ts';
import { ProcessInfo } from './node-payload.ts';
import { Timestamp } from './timestamp.ts';

const Reference = v.string();

/** What a proc's process is, as far as it can be told in a line; `command` is its words in one text, cut when long. */
export const LiveProcess = v.object({ ...v.omit(ProcessInfo, ['parent_pid']).entries, command: v.string() });
export type LiveProcess = v.InferOutput<typeof LiveProcess>;

/** `status` is `actor_status` without running milliseconds, `failure` the first line of why it failed; both may be cut. */
export const LiveActor = v.object({
  type: v.string(),
  status: v.string(),
  is_system: v.boolean(),
  failure: nullable(v.string()),
  ended_at: nullable(Timestamp),
});

/** What is to be known of a node to show it in a line; one key, as in a payload's `properties`. */
export const LiveStatus = v.union([
  v.strictObject({ Host: v.object({ addr: v.string() }) }),
  v.strictObject({
    Proc: v.object({
      name: v.string(),
      is_poisoned: v.boolean(),
      failed_actor_count: UInt,
      process: nullable(LiveProcess),
    }),
  }),
  v.strictObject({ Actor: LiveActor }),
  v.strictObject({ Error: v.object({ code: v.string(), message: v.string() }) }),
]);
export type LiveStatus = v.InferOutput<typeof LiveStatus>;

const About = { reference: Reference, kind: v.picklist(['host', 'proc', 'actor']), host: v.string(), as_of: Timestamp };

/** `since`: when the handler that runs longest began. `status` is null when it is too long: then read the node. */
const Node = {
  ...About,
  parent: Reference,
  num_children: UInt,
  since: nullable(Timestamp),
  status: nullable(LiveStatus),
};

/**
 * Why a client has to read again: it is new; its `Last-Event-ID` is not of this gateway's run; what came after it has been
 * dropped; or it reads more slowly than things change.
 */
export const SnapshotReason = v.picklist(['start', 'unknown_id', 'too_old', 'too_slow']);
export type SnapshotReason = v.InferOutput<typeof SnapshotReason>;

export const LiveEvent = v.variant('type', [
  v.object({ type: v.literal('snapshot'), reason: SnapshotReason, as_of: Timestamp }),
  v.object({ type: v.literal('host_linked'), ...About, read_again: v.boolean() }),
  v.object({ type: v.literal('host_lost'), ...About }),
  v.object({ type: v.literal('host_removed'), ...About }),
  v.object({ type: v.literal('node_added'), ...Node }),
  v.object({ type: v.literal('node_changed'), ...Node }),
  v.object({ type: v.literal('node_removed'), ...About, parent: Reference }),
]);
export type LiveEvent = v.InferOutput<typeof LiveEvent>;
