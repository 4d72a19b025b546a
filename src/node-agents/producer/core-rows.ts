/**
 * Rows of the core tables: one function for each event that a host or a proc can report.
 *
 * Ids are the first 64 bits of a SHA-256 over what they are of: kind and full name for meshes and actors, so that they are
 * the same wherever they are computed and differ between hosts; owner, run and a running number for events, so that none
 * comes twice, whatever restarts. Half of them exceed what a signed 64-bit integer holds, and nearly all what a JavaScript
 * number does: they are bigints until they are columns.
 */
import type { Cell } from '../../base/index.ts';
import { hashUid } from './hash-uid.ts';

/** Takes a row of a table, its values in the order of the columns. Never blocks, never throws. */
export type Emit = (table: string, row: readonly Cell[]) => void;

/** Actor statuses as `actor_status_events.new_status` spells them. */
export type ActorStatus =
  | 'Created'
  | 'Initializing'
  | 'Client'
  | 'Idle'
  | 'Processing'
  | 'Stopping'
  | 'Stopped'
  | 'Failed';

export type MessageStatus = 'queued' | 'active' | 'complete' | 'failed';

/** Labels of dimensions with their sizes. */
export type Extent = Readonly<Record<string, number>>;

/** A part of a mesh: of each dimension so many, so far apart, from `offset` on. */
export interface Region {
  readonly labels: readonly string[];
  readonly slice: { readonly offset: number; readonly sizes: readonly number[]; readonly strides: readonly number[] };
}

export interface MeshRow {
  readonly id: bigint;
  /** `Host`, `Proc`, or what its actors are. */
  readonly class: string;
  readonly given_name: string;
  readonly full_name: string;
  readonly extent: Extent;
  /** Null for meshes of hosts. */
  readonly parent: { readonly id: bigint; readonly region: Region | null } | null;
}

export interface ActorRow {
  readonly mesh_id: bigint;
  readonly rank: number;
  /** The reference of the actor, canonical. */
  readonly full_name: string;
  readonly display_name: string | null;
}

export interface MessageRow {
  /** 0n when it is not known. */
  readonly from_actor_id: bigint;
  readonly to_actor_id: bigint;
  readonly endpoint: string | null;
  readonly port_index: bigint | number | null;
}

const TERMINAL: ReadonlySet<ActorStatus> = new Set<ActorStatus>(['Stopped', 'Failed']);
const FLIPS: ReadonlySet<string> = new Set(['Idle Processing', 'Processing Idle']);

export class CoreRows {
  readonly #emit: Emit;
  readonly #run: string;
  #count = 0;
  #last_us = 0;

  /** @param run this run of the producer, by which its events differ from those of others */
  constructor(emit: Emit, run: string) {
    this.#emit = emit;
    this.#run = run;
  }

  mesh({ id, class: kind, given_name, full_name, extent, parent }: MeshRow, now_us = wallClockUs()): void {
    const inner = { labels: Object.keys(extent), sizes: Object.values(extent) };
    const region = parent?.region ?? null;
    this.#emit('meshes', [
      id,
      now_us,
      kind,
      given_name,
      full_name,
      JSON.stringify({ inner }),
      parent?.id ?? null,
      region === null ? null : JSON.stringify(region),
    ]);
  }

  /** @returns the actor's id */
  actor({ mesh_id, rank, full_name, display_name }: ActorRow, now_us = wallClockUs()): bigint {
    const id = actorId(full_name);
    this.#emit('actors', [id, now_us, mesh_id, rank, full_name, display_name]);
    return id;
  }

  /**
   * A change of status. It adds a row, except for changes between `Idle` and `Processing`, which come with every message,
   * for repetitions, and for anything after a terminal status.
   *
   * @param before the actor's last status that was applied, null when there is none
   * @param reason why it failed or stopped; of other statuses there is none
   * @returns the actor's status now
   */
  actorStatus(
    actor_id: bigint,
    before: ActorStatus | null,
    after: ActorStatus,
    reason: string | null = null,
    now_us = this.#laterUs(),
  ): ActorStatus {
    if (before !== null && (before === after || TERMINAL.has(before))) return before;
    if (before !== null && FLIPS.has(`${before} ${after}`)) return after;
    const shownReason = TERMINAL.has(after) || after === 'Stopping' ? reason : null;
    this.#emit('actor_status_events', [this.#eventId('status', actor_id), now_us, actor_id, after, shownReason]);
    return after;
  }

  /** An actor that has started and waits to be asked. @returns its status */
  idleActor(actor: Omit<ActorRow, 'display_name'>): ActorStatus {
    const id = this.actor({ ...actor, display_name: null });
    const created = this.actorStatus(id, null, 'Created');
    return this.actorStatus(id, this.actorStatus(id, created, 'Initializing'), 'Idle');
  }

  /** The end of an actor that had no failure of its own. @returns its status */
  actorEnd(actor_id: bigint, before: ActorStatus, reason: string): ActorStatus {
    return this.actorStatus(actor_id, this.actorStatus(actor_id, before, 'Stopping'), 'Stopped', reason);
  }

  /** A send to a mesh, before it fans out. */
  sentMessage(sender_actor_id: bigint, actor_mesh_id: bigint, region: Region, now_us = wallClockUs()): void {
    const text = JSON.stringify(region);
    this.#emit('sent_messages', [
      this.#eventId('sent', sender_actor_id),
      now_us,
      sender_actor_id,
      actor_mesh_id,
      text,
      text,
    ]);
  }

  /** A message is in the receiver's mailbox. @returns its id, for what follows */
  messageQueued(to_actor_id: bigint, now_us = wallClockUs()): bigint {
    const id = this.#eventId('message', to_actor_id);
    this.messageStatus(id, 'queued', now_us);
    return id;
  }

  /** A message is handed to its handler: the row of the message, and `active` at the same time. */
  messageActive(id: bigint, message: MessageRow, now_us = wallClockUs()): void {
    const { from_actor_id, to_actor_id, endpoint, port_index } = message;
    this.#emit('messages', [id, now_us, from_actor_id, to_actor_id, endpoint, port_index]);
    this.messageStatus(id, 'active', now_us);
  }

  messageStatus(message_id: bigint, status: MessageStatus, now_us = wallClockUs()): void {
    this.#emit('message_status_events', [this.#eventId('message status', message_id), now_us, message_id, status]);
  }

  /** The time, later than any that was given before: the latest status of an actor is the one with the latest time. */
  #laterUs(): number {
    this.#last_us = Math.max(wallClockUs(), this.#last_us + 1);
    return this.#last_us;
  }

  #eventId(kind: string, owner: bigint): bigint {
    this.#count += 1;
    return hashUid(kind, owner.toString(), this.#run, this.#count);
  }
}

/** @param full_name the actor's reference, canonical */
export function actorId(full_name: string): bigint {
  return hashUid('actor', full_name);
}

/** @param kind of mesh: `host mesh`, `proc mesh` or `actor mesh` */
export function meshId(kind: 'host mesh' | 'proc mesh' | 'actor mesh', full_name: string): bigint {
  return hashUid(kind, full_name);
}

/** A whole mesh as a region of itself. */
export function wholeOf(extent: Extent): Region {
  const sizes = Object.values(extent);
  const strides = sizes.map((_, index) => sizes.slice(index + 1).reduce((product, size) => product * size, 1));
  return { labels: Object.keys(extent), slice: { offset: 0, sizes, strides } };
}

/** Microseconds since the epoch, by the wall clock, never before it. */
export function wallClockUs(): number {
  return Math.max(0, Date.now() * 1_000);
}
