/**
 * What a host tells the store: meshes, actors and status changes, as rows of the core tables (core-rows.ts).
 *
 * The host's mesh holds its agent; each spec is a proc mesh of as many ranks as it has copies, and an actor mesh on it for
 * the commands; a process that was found is a mesh of its own. The actor of a command is `Processing` from its start to its
 * end, since its main program is its one handler.
 */
import { renderRef } from '../../contract/index.ts';
import type { HostRefs } from '../procs/identity.ts';
import type { ProcRecord, ProcState } from '../procs/proc-record.ts';
import { type ActorStatus, actorId, CoreRows, type Emit, type Extent, meshId, wholeOf } from './core-rows.ts';

/** The status that a state of a command is. */
const STATUS: Readonly<Record<ProcState['kind'], ActorStatus>> = {
  starting: 'Initializing',
  running: 'Processing',
  stopping: 'Stopping',
  stopped: 'Stopped',
  failed: 'Failed',
};

export interface MeshPlace {
  /** The name of the group of procs. */
  readonly mesh: string;
  readonly rank: number;
  readonly size: number;
}

export class HostEvents {
  readonly #rows: CoreRows;
  readonly #hostName: string;
  readonly #hostMeshId: bigint;
  /** Meshes of more than one proc that have their rows; there are as many as there are specs. */
  readonly #announced = new Set<string>();
  readonly #statuses = new WeakMap<ProcRecord, { command: ActorStatus; agent: ActorStatus }>();
  #hostAgentStatus: ActorStatus = 'Created';

  /** @param run this run of the agent */
  constructor(emit: Emit, run: string, hostName: string) {
    this.#rows = new CoreRows(emit, run);
    this.#hostName = hostName;
    this.#hostMeshId = meshId('host mesh', hostName);
  }

  hostStarted(refs: HostRefs): void {
    this.#rows.mesh({
      id: this.#hostMeshId,
      class: 'Host',
      given_name: this.#hostName,
      full_name: this.#hostName,
      extent: { hosts: 1 },
      parent: null,
    });
    this.#hostAgentStatus = this.#service(renderRef(refs.host_agent), this.#hostMeshId, 0);
  }

  hostStopping(refs: HostRefs, reason: string): void {
    const id = actorId(renderRef(refs.host_agent));
    const stopping = this.#rows.actorStatus(id, this.#hostAgentStatus, 'Stopping');
    this.#hostAgentStatus = this.#rows.actorStatus(id, stopping, 'Stopped', reason);
  }

  procAdded(record: ProcRecord, place: MeshPlace): void {
    const meshName = `${this.#hostName}/${place.mesh}`;
    const procMeshId = meshId('proc mesh', meshName);
    const actorMeshId = meshId('actor mesh', meshName);
    if (!this.#announced.has(meshName)) {
      if (place.size > 1) this.#announced.add(meshName);
      const extent: Extent = { procs: place.size };
      const given_name = place.mesh;
      const host = { id: this.#hostMeshId, region: wholeOf({ hosts: 1 }) };
      this.#rows.mesh({ id: procMeshId, class: 'Proc', given_name, full_name: meshName, extent, parent: host });
      const parent = { id: procMeshId, region: wholeOf(extent) };
      const full_name = `${meshName}/command`;
      this.#rows.mesh({ id: actorMeshId, class: 'Command', given_name, full_name, extent, parent });
    }
    const agent = this.#service(renderRef(record.refs.proc_agent), procMeshId, place.rank);
    const command = renderRef(record.refs.command);
    const id = this.#rows.actor({
      mesh_id: actorMeshId,
      rank: place.rank,
      full_name: command,
      display_name: record.name,
    });
    this.#statuses.set(record, { command: this.#rows.actorStatus(id, null, 'Created'), agent });
    this.procChanged(record);
  }

  /** Told at every change of state; a state that needs no row, or has its row already, adds none. */
  procChanged(record: ProcRecord): void {
    const statuses = this.#statuses.get(record);
    if (statuses === undefined) return;
    const id = actorId(renderRef(record.refs.command));
    const { state } = record;
    if (state.kind !== 'stopped' && state.kind !== 'failed') {
      statuses.command = this.#rows.actorStatus(id, statuses.command, STATUS[state.kind]);
      return;
    }
    const stopping = this.#rows.actorStatus(id, statuses.command, 'Stopping');
    statuses.command = this.#rows.actorStatus(id, stopping, STATUS[state.kind], state.reason);
    // With its process, what answered for it is over as well.
    const agentId = actorId(renderRef(record.refs.proc_agent));
    const agentStopping = this.#rows.actorStatus(agentId, statuses.agent, 'Stopping');
    statuses.agent = this.#rows.actorStatus(agentId, agentStopping, 'Stopped', state.reason);
  }

  /** An actor of meshscope's own, which waits to be asked. */
  #service(full_name: string, mesh_id: bigint, rank: number): ActorStatus {
    const id = this.#rows.actor({ mesh_id, rank, full_name, display_name: null });
    let status: ActorStatus | null = null;
    for (const next of ['Created', 'Initializing', 'Idle'] as const) {
      status = this.#rows.actorStatus(id, status, next);
    }
    return status ?? 'Created';
  }
}
