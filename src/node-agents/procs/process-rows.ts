/**
 * The rows that a process's proc adds to the core tables (producer/core-rows.ts): its meshes, its two actors and their changes
 * of status.
 *
 * The copies of a spec form one proc mesh, with an actor mesh on it for the commands. A discovered process is a mesh of its
 * own. The actor of a command is `Processing` from its start to its end, since its main program is its one
 * handler.
 */
import { renderRef } from '../../contract/index.ts';
import { type ActorStatus, actorId, type CoreRows, type Extent, meshId, wholeOf } from '../producer/core-rows.ts';
import type { ProcRefs } from './identity.ts';
import { endOf, type ProcState } from './lifecycle.ts';

/** The status of a command's actor in each state. */
const STATUS: Readonly<Record<ProcState['kind'], ActorStatus>> = {
  starting: 'Initializing',
  running: 'Processing',
  stopping: 'Stopping',
  stopped: 'Stopped',
  failed: 'Failed',
};

/** A group of procs on one host, which is a proc mesh and an actor mesh to the store. */
export class ProcGroup {
  readonly proc_mesh_id: bigint;
  readonly actor_mesh_id: bigint;
  readonly #host: string;
  readonly #name: string;
  readonly #size: number;
  #isReported = false;

  /** @param size the number of its procs */
  constructor(host: string, name: string, size: number) {
    this.#host = host;
    this.#name = name;
    this.#size = size;
    this.proc_mesh_id = meshId('proc mesh', this.#fullName);
    this.actor_mesh_id = meshId('actor mesh', this.#fullName);
  }

  get #fullName(): string {
    return `${this.#host}/${this.#name}`;
  }

  /** Adds the rows of its meshes, once. */
  report(rows: CoreRows): void {
    if (this.#isReported) return;
    this.#isReported = true;
    const extent: Extent = { procs: this.#size };
    const given_name = this.#name;
    const host = { id: meshId('host mesh', this.#host), region: wholeOf({ hosts: 1 }) };
    const procs = { id: this.proc_mesh_id, region: wholeOf(extent) };
    const full_name = this.#fullName;
    rows.mesh({ id: this.proc_mesh_id, class: 'Proc', given_name, full_name, extent, parent: host });
    const commands = { id: this.actor_mesh_id, class: 'Command', given_name, extent, parent: procs };
    rows.mesh({ ...commands, full_name: `${full_name}/command` });
  }
}

/** Where a proc stands in its group. */
export interface GroupPlace {
  readonly group: ProcGroup;
  readonly rank: number;
}

export class ProcessRows {
  readonly #refs: ProcRefs;
  readonly #name: string;
  readonly #place: GroupPlace;
  /** The statuses that were reported last; null before the first time. */
  #reported: { command: ActorStatus; agent: ActorStatus } | null = null;

  constructor(refs: ProcRefs, name: string, place: GroupPlace) {
    this.#refs = refs;
    this.#name = name;
    this.#place = place;
  }

  /** Adds rows for what is new. A state that needs no row, or already has one, adds none. */
  report(rows: CoreRows, state: ProcState): void {
    const statuses = this.#reported ?? this.#introduce(rows);
    this.#reported = statuses;
    const command = actorId(renderRef(this.#refs.command));
    const end = endOf(state);
    if (end === null) {
      statuses.command = rows.actorStatus(command, statuses.command, STATUS[state.kind]);
      return;
    }
    const stopping = rows.actorStatus(command, statuses.command, 'Stopping');
    statuses.command = rows.actorStatus(command, stopping, STATUS[end.kind], end.reason);
    // The proc agent ends with the process.
    statuses.agent = rows.actorEnd(actorId(renderRef(this.#refs.proc_agent)), statuses.agent, end.reason);
  }

  #introduce(rows: CoreRows): { command: ActorStatus; agent: ActorStatus } {
    const { group, rank } = this.#place;
    group.report(rows);
    const agent = rows.idleActor({ mesh_id: group.proc_mesh_id, rank, full_name: renderRef(this.#refs.proc_agent) });
    const full_name = renderRef(this.#refs.command);
    const id = rows.actor({ mesh_id: group.actor_mesh_id, rank, full_name, display_name: this.#name });
    return { command: rows.actorStatus(id, null, 'Created'), agent };
  }
}
