/** The node of an actor, with what all actors without a mailbox of their own have in common. */
import { timestamp } from '../../base/index.ts';
import {
  type ActorProperties,
  type ActorRef,
  type NodePayload,
  ORDERING_OFF,
  procOf,
  renderRef,
} from '../../contract/index.ts';

export type ActorDetail = Partial<ActorProperties> &
  Pick<ActorProperties, 'actor_status' | 'actor_type' | 'instance_id' | 'created_at' | 'is_system'>;

/** Queue figures of a proc without mailboxes. */
export const NO_QUEUES = {
  actor_work_queue_depth_total: 0,
  actor_work_queue_depth_max: 0,
  actor_work_queue_depth_high_water_mark: 0,
  last_nonzero_queue_depth_age_ms: null,
};

export function actorNode(ref: ActorRef, as_of_ms: number, detail: ActorDetail): NodePayload {
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
