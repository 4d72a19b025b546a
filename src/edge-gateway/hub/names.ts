/**
 * Which link holds a host name. A name belongs to one incarnation of an agent at a time. When a hello names a host that
 * another link holds, and that link
 *  - is of the same incarnation: the new link replaces it at once, since an agent that dials again knows that its old link is dead;
 *  - is of another incarnation: the newcomer waits. The next frame on the older link proves that it is alive, and the newcomer
 *    is refused (`host_name_taken`, no retry: two agents with one name is a mistake that only a person can correct). When
 *    the older link has been silent for one and a half heartbeats, the newcomer replaces it (close code 4001).
 */
import { CLOSE } from '../../contract/index.ts';
import type { GatewayLimits } from '../limits.ts';
import { Contenders } from './contenders.ts';
import type { Greeting, HostLink } from './host-link.ts';
import type { LinkSession } from './session.ts';

export const REPLACED = 'replaced by a newer link of this host';

export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly retry: boolean;
}

/** What `HostNames` needs of the hub. */
export interface NameOwner {
  readonly heartbeat_ms: number;
  readonly limits: GatewayLimits;
  /** Milliseconds of the hub's clock. */
  now(): number;
  /** The link that holds a name; null when none does. */
  holderOf(key: string): HostLink | null;
  /** Why the hub does not accept this host at all; null when it does. */
  refusalOf(hello: Greeting): Refusal | null;
  /** The session now holds the name. */
  admit(session: LinkSession, hello: Greeting): void;
  /** A session has begun to wait for a name. */
  contested(): void;
}

export class HostNames {
  readonly #owner: NameOwner;
  readonly #contenders: Contenders;

  constructor(owner: NameOwner) {
    this.#owner = owner;
    this.#contenders = new Contenders(owner.limits);
  }

  /** Gives the session its name, refuses it, or makes it wait. */
  claim(session: LinkSession, hello: Greeting): void {
    const { key } = hello;
    const refusal = this.#owner.refusalOf(hello);
    const older = this.#owner.holderOf(key);
    if (refusal !== null) session.refuse(refusal.code, refusal.message, refusal.retry);
    else if (older === null) this.#owner.admit(session, hello);
    else if (older.hello?.incarnation === hello.incarnation || this.#isSilent(older)) {
      older.close(CLOSE.replaced, REPLACED);
      // Closing it may have let in another that waited for the name; then this one waits in turn.
      this.claim(session, hello);
    } else if (this.#contenders.isFull(key)) refuseTaken(session, hello);
    else {
      session.contest(this.#contenders.next_ms(key, this.#owner.now()));
      this.#contenders.add(key, session);
      this.#owner.contested();
    }
  }

  /** Restores a session that waits. */
  restore(key: string, session: LinkSession): void {
    this.#contenders.add(key, session);
  }

  /** The session has ended: it waits no longer. */
  withdraw(key: string, session: LinkSession): void {
    this.#contenders.remove(key, session);
  }

  /** The holder has ended: the name goes to the first session that waits. */
  released(key: string): void {
    const [heir] = this.#contenders.of(key);
    if (heir?.hello == null) return;
    this.#contenders.remove(key, heir);
    this.claim(heir, heir.hello);
  }

  /** Gives away the names that sessions wait for and no link holds. */
  judgeFree(): void {
    for (const [key] of this.#contenders.entries()) {
      if (this.#owner.holderOf(key) === null) this.released(key);
    }
  }

  /** Decides about every name that a session waits for, where that is possible by now. */
  judge(): void {
    for (const [key, contenders] of this.#contenders.entries()) {
      const holder = this.#owner.holderOf(key);
      if (holder === null) this.released(key);
      // When it ends, `released` gives the name away.
      else if (this.#isSilent(holder)) holder.close(CLOSE.replaced, REPLACED);
      else this.#refuseHeard(key, holder, contenders);
    }
  }

  /**
   * When a contested name can next be decided, milliseconds of the hub's clock; infinite when there is none.
   *
   * @param looked_at_ms when that was last tried. @param pause_ms how long to wait before the next try
   */
  due_ms(looked_at_ms: number, pause_ms: number): number {
    let due_ms = Number.POSITIVE_INFINITY;
    for (const [, [first]] of this.#contenders.entries()) {
      due_ms = Math.min(due_ms, Math.max(looked_at_ms, first?.contested_at_ms ?? 0) + pause_ms);
    }
    return due_ms;
  }

  /** Refuses the sessions that have waited since before the holder's last frame, which proves that the holder is alive. */
  #refuseHeard(key: string, holder: HostLink, contenders: readonly LinkSession[]): void {
    for (const contender of contenders) {
      if (contender.hello === null || holder.heard_at_ms <= contender.contested_at_ms) continue;
      this.#contenders.remove(key, contender);
      refuseTaken(contender, contender.hello);
    }
  }

  #isSilent(link: HostLink): boolean {
    const { heartbeat_ms, limits } = this.#owner;
    return this.#owner.now() - link.alive_at_ms >= limits.takeover_silence_heartbeats * heartbeat_ms;
  }
}

function refuseTaken(session: LinkSession, { host }: Greeting): void {
  const message =
    `another agent holds the host name '${host}' and is alive: ` +
    `stop it, or give this one a name of its own with --name`;
  session.refuse('host_name_taken', message, false);
}
