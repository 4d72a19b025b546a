/**
 * The gateway's own place in the mesh: `/v1/admin`, and the proc and actor it names (AI-1 to AI-3). They resolve, but no
 * host lists them. The location is that of the URL: `tcp://` for an IP literal, `tls://` for a name, which stays a name.
 */
import { timestamp, uuidV7 } from '../base/index.ts';
import {
  type ActorRef,
  type AdminInfo,
  type Location,
  type NodePayload,
  ORDERING_OFF,
  type ProcRef,
  parseNodeRef,
  procOf,
  refKey,
  renderRef,
  type Uid,
} from '../contract/index.ts';
import type { GatewayIdentity } from './ports.ts';

const LOCAL: Uid = { kind: 'singleton', label: 'local' };
const MESH_ADMIN: Uid = { kind: 'singleton', label: 'mesh_admin' };

export class GatewaySelf {
  readonly #identity: GatewayIdentity;
  readonly #instance_id = uuidV7();

  constructor(identity: GatewayIdentity) {
    this.#identity = identity;
  }

  adminInfo(): AdminInfo {
    const url = this.#identity.url();
    const actor = this.#actor();
    return { actor_id: renderRef(actor), proc_id: renderRef(procOf(actor)), host: new URL(url).hostname, url };
  }

  /** The payload of the gateway's own proc or actor as JSON text; null for any other reference. */
  read(text: string): string | null {
    const parsed = parseNodeRef(text);
    if (!parsed.ok) return null;
    const actor = this.#actor();
    const proc = procOf(actor);
    const key = refKey(parsed.value);
    if (key === refKey(actor)) return JSON.stringify(this.#actorNode(actor, proc));
    return key === refKey(proc) ? JSON.stringify(procNode(actor, proc)) : null;
  }

  #actor(): ActorRef {
    return { kind: 'actor', actor: MESH_ADMIN, proc: LOCAL, location: locationOf(this.#identity.url()) };
  }

  #actorNode(actor: ActorRef, proc: ProcRef): NodePayload {
    return {
      identity: renderRef(actor),
      properties: {
        Actor: {
          actor_status: 'idle',
          actor_type: 'meshscope::gateway::MeshAdmin',
          instance_id: this.#instance_id,
          messages_processed: 0,
          created_at: this.#identity.started_at,
          last_message_handler: null,
          total_processing_time_us: 0,
          queue_depth: 0,
          flight_recorder: null,
          is_system: true,
          inbound_ordering: ORDERING_OFF,
          failure_info: null,
          execution: null,
        },
      },
      children: [],
      parent: renderRef(proc),
      as_of: timestamp(Date.now()),
    };
  }
}

function procNode(actor: ActorRef, proc: ProcRef): NodePayload {
  const child = renderRef(actor);
  return {
    identity: renderRef(proc),
    properties: {
      Proc: {
        proc_name: 'local',
        num_actors: 1,
        system_children: [child],
        stopped_children: [],
        stopped_retention_cap: 0,
        is_poisoned: false,
        failed_actor_count: 0,
        debug: {
          // Not known in the same way on every runtime, and memory is never made up (PD-2).
          memory: { process_rss_bytes: null, process_vm_size_bytes: null },
          actor_work_queue_depth_total: 0,
          actor_work_queue_depth_max: 0,
          actor_work_queue_depth_high_water_mark: 0,
          last_nonzero_queue_depth_age_ms: null,
        },
      },
    },
    children: [child],
    parent: 'root',
    as_of: timestamp(Date.now()),
  };
}

function locationOf(url: string): Location {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const isLiteral = hostname.startsWith('[') || /^\d+(\.\d+){3}$/.test(hostname);
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
  return { hops: [], url: { scheme: isLiteral ? 'tcp' : 'tls', host, port: number } };
}
