/**
 * What a host tells the store: meshes, actors and status changes, as rows of the core tables.
 *
 * Ids are the first 64 bits of a SHA-256 over kind and full name, so that they are the same wherever they are computed
 * and differ between hosts; they are decimal text, since half of them exceed what a JavaScript number or a signed
 * 64-bit integer holds. The host's mesh holds its agent; each spec is a proc mesh of as many ranks as it has copies, and
 * an actor mesh on it for the commands; a process that was found is a mesh of its own.
 */
import { renderRef } from '../../contract/index.ts';
import { type HostRefs, hashUid } from '../host/identity.ts';
import type { ProcRecord, ProcState } from '../host/proc-record.ts';
import type { Spool } from './spool.ts';

/** Actor statuses as `actor_status_events.new_status` spells them. */
type EventStatus = 'Created' | 'Idle' | 'Processing' | 'Stopping' | 'Stopped' | 'Failed';

/** The row that a state of a command makes; `starting` is told by the `Created` of the actor. */
const EVENT_STATUS: Readonly<Record<ProcState['kind'], EventStatus | null>> = {
  starting: null,
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
  readonly #spool: Spool;
  readonly #hostName: string;
  readonly #hostMeshId: string;
  /** Meshes of more than one proc that have their rows; there are as many as there are specs. */
  readonly #announced = new Set<string>();
  readonly #lastState = new WeakMap<ProcRecord, string>();
  #statusCount = 0;

  constructor(spool: Spool, hostName: string) {
    this.#spool = spool;
    this.#hostName = hostName;
    this.#hostMeshId = idOf('host mesh', hostName);
  }

  hostStarted(refs: HostRefs): void {
    const agent = renderRef(refs.host_agent);
    this.#mesh(this.#hostMeshId, 'Host', this.#hostName, this.#hostName, 'hosts', 1, null);
    this.#actor(agent, this.#hostMeshId, 0, null);
    this.#status(agent, 'Created', null);
    this.#status(agent, 'Idle', null);
  }

  hostStopping(refs: HostRefs, reason: string): void {
    this.#status(renderRef(refs.host_agent), 'Stopping', null);
    this.#status(renderRef(refs.host_agent), 'Stopped', reason);
  }

  procAdded(record: ProcRecord, place: MeshPlace): void {
    const meshName = `${this.#hostName}/${place.mesh}`;
    const procMeshId = idOf('proc mesh', meshName);
    const actorMeshId = idOf('actor mesh', meshName);
    if (!this.#announced.has(meshName)) {
      if (place.size > 1) this.#announced.add(meshName);
      this.#mesh(procMeshId, 'Proc', place.mesh, meshName, 'procs', place.size, this.#hostMeshId);
      this.#mesh(actorMeshId, 'Command', place.mesh, `${meshName}/command`, 'procs', place.size, procMeshId);
    }
    const procAgent = renderRef(record.refs.proc_agent);
    this.#actor(procAgent, procMeshId, place.rank, null);
    this.#status(procAgent, 'Created', null);
    this.#status(procAgent, 'Idle', null);
    this.#actor(renderRef(record.refs.command), actorMeshId, place.rank, record.name);
    this.#status(renderRef(record.refs.command), 'Created', null);
    this.procChanged(record);
  }

  /** Told at every change of state; a state that needs no row, or has its row already, adds none. */
  procChanged(record: ProcRecord): void {
    if (this.#lastState.get(record) === record.state.kind) return;
    this.#lastState.set(record, record.state.kind);
    const status = EVENT_STATUS[record.state.kind];
    const reason = record.state.kind === 'stopped' || record.state.kind === 'failed' ? record.state.reason : null;
    if (status !== null) this.#status(renderRef(record.refs.command), status, reason);
  }

  #mesh(
    id: string,
    kind: string,
    givenName: string,
    fullName: string,
    dimension: string,
    size: number,
    parent: string | null,
  ): void {
    const shape = JSON.stringify({ inner: { labels: [dimension], sizes: [size] } });
    const parentView =
      parent === null
        ? null
        : JSON.stringify({ labels: [dimension], slice: { offset: 0, sizes: [size], strides: [1] } });
    this.#spool.add('meshes', [id, nowUs(), kind, givenName, fullName, shape, parent, parentView]);
  }

  #actor(fullName: string, meshId: string, rank: number, displayName: string | null): void {
    this.#spool.add('actors', [idOf('actor', fullName), nowUs(), meshId, rank, fullName, displayName]);
  }

  #status(actor: string, status: EventStatus, reason: string | null): void {
    const actorId = idOf('actor', actor);
    this.#statusCount += 1;
    // A restarted agent counts from one again, so the time is part of what makes an event's id.
    const now_us = nowUs();
    const id = idOf('status', `${actorId}/${this.#statusCount}/${now_us}`);
    this.#spool.add('actor_status_events', [id, now_us, actorId, status, reason]);
  }
}

function idOf(kind: string, name: string): string {
  return hashUid(kind, name).toString();
}

function nowUs(): number {
  return Date.now() * 1000;
}
