/**
 * The telemetry store that dials in: a Telemetry whose service is at the other end of a link (contract/store-link.ts).
 *
 * One store at a time. A newer link of the same incarnation replaces the older one at once (close code 4001), for a
 * service that dials again knows that its old link is dead. Another incarnation is refused (`store_taken`, retry) while
 * the older was heard within one and a half heartbeats, and replaces it afterwards.
 *
 * Whether a store is alive is judged when something depends on it: on a call, a newcomer, a look at `absent`. No timer runs
 * in between. A call that finds the store silent for three heartbeats gives it `store_doubt_ms` first, since it may be this
 * very process that stood still.
 */
import { type Failure, type Log, type Outcome, SILENT, sleep, success, timestamp } from '../../base/index.ts';
import {
  CLOSE,
  type EventBatch,
  HEARTBEAT_MS,
  SILENCE_MAX_HEARTBEATS,
  type StoreHello,
  type StoreMethod,
} from '../../contract/index.ts';
import type { Link, LinkReceiver } from '../../link/index.ts';
import { JSON_TYPE } from '../http/respond.ts';
import { type GatewayLimits, LIMITS } from '../limits.ts';
import { type Dialler, NO_TELEMETRY, type Principal, type Telemetry } from '../ports.ts';
import { type KeptStoreLink, StoreSession, type StoreSessionOwner } from './store-session.ts';

export type { KeptStoreLink, StoreSession } from './store-session.ts';

export interface StoreLinkOptions {
  readonly version: string;
  /** Default: nothing is logged. */
  readonly log?: Log;
  /** Sent to the store in `welcome`, milliseconds. Default 5,000. */
  readonly heartbeat_ms?: number;
  /** Deadline of one call, milliseconds. Default 10,000. */
  readonly timeout_ms?: number;
  /** Whether a link may stay that a principal opened; asked at each call and frame. Default: always. */
  readonly mayStay?: (principal: Principal) => boolean;
  /** When a store was last heard, wall clock, milliseconds, by an earlier object that is to be gone on from. Default: none was. */
  readonly heard_at_ms?: number | null;
  /** Default: LIMITS. */
  readonly limits?: GatewayLimits;
}

export class StoreLink implements Telemetry, StoreSessionOwner {
  readonly gateway_version: string;
  readonly heartbeat_ms: number;
  readonly log: Log;
  readonly limits: GatewayLimits;
  readonly mayStay: (principal: Principal) => boolean;
  readonly #timeout_ms: number;
  readonly #sessions = new Set<StoreSession>();
  #live: StoreSession | null = null;
  #heard_at_ms: number | null;
  #isOver = false;

  constructor(options: StoreLinkOptions) {
    this.gateway_version = options.version;
    this.log = options.log ?? SILENT;
    this.limits = options.limits ?? LIMITS;
    this.heartbeat_ms = options.heartbeat_ms ?? HEARTBEAT_MS;
    this.#timeout_ms = options.timeout_ms ?? this.limits.telemetry_wait_ms;
    this.mayStay = options.mayStay ?? (() => true);
    this.#heard_at_ms = options.heard_at_ms ?? null;
  }

  /** When a store was last heard, wall clock, milliseconds; null when none ever was. To be kept, if anything is. */
  get heard_at_ms(): number | null {
    return this.#live?.heard_at_ms ?? this.#heard_at_ms;
  }

  /** Takes an open WebSocket; the runtime then hands over what it receives. */
  accept(link: Link, dialler: Dialler): StoreSession {
    const session = new StoreSession(link, dialler, this, null);
    if (this.#isOver) session.close(CLOSE.going_away, 'gateway is stopping');
    else if (this.#sessions.size >= this.limits.store_links_max) {
      session.refuse('too_many_links', `at most ${this.limits.store_links_max} links of telemetry services`, true);
    } else this.#sessions.add(session);
    return session;
  }

  /** Puts a session back, as its `kept` was when this object's predecessor was last alive. */
  restore(link: Link, kept: KeptStoreLink): StoreSession {
    const session = new StoreSession(link, kept.dialler, this, kept);
    if (kept.phase === 'over') return session;
    this.#sessions.add(session);
    if (kept.phase === 'live') this.#live = session;
    return session;
  }

  async query(sql: string, accept: string | null = null, signal?: AbortSignal): Promise<Outcome<Response>> {
    const request = accept === null ? { sql } : { sql, accept };
    const answer = await this.#ask('query', JSON.stringify(request), signal);
    return answer.ok ? success(answerOf(answer.value)) : answer;
  }

  async storeDump(request: string): Promise<Outcome<void>> {
    const stored = await this.#ask('store_dump', request);
    return stored.ok ? success(undefined) : stored;
  }

  async ingest(batch: EventBatch): Promise<Outcome<void>> {
    const stored = await this.#ask('ingest', JSON.stringify(batch));
    return stored.ok ? success(undefined) : stored;
  }

  async absent(): Promise<Failure | null> {
    return (await this.#alive()) === null ? this.#why() : null;
  }

  /** Closes every link with 1001; the store then dials again, here or elsewhere. */
  close() {
    this.#isOver = true;
    for (const session of [...this.#sessions]) session.close(CLOSE.going_away, 'gateway is stopping');
  }

  claim(session: StoreSession, hello: StoreHello) {
    const older = this.#live;
    const { takeover_silence_heartbeats } = this.limits;
    const isTaken =
      older !== null && older.incarnation !== hello.incarnation && !this.#isSilent(older, takeover_silence_heartbeats);
    if (isTaken) {
      const message =
        'another telemetry service is linked to this gateway and is alive: stop it, or let it be the store';
      return session.refuse('store_taken', message, true);
    }
    const isSame = older?.incarnation === hello.incarnation;
    older?.close(
      CLOSE.replaced,
      isSame ? 'replaced by a newer link of this store' : 'silent, and replaced by another store',
    );
    const { incarnation, service_version } = hello;
    this.log.info(`telemetry store linked by ${session.dialler.principal.name}`, { incarnation, service_version });
    this.#live = session;
    session.welcome(incarnation);
  }

  ended(session: StoreSession): Failure {
    this.#sessions.delete(session);
    if (this.#live === session) {
      this.#heard_at_ms = session.heard_at_ms;
      this.#live = null;
      this.log.warn('the link of the telemetry store is gone; what is not stored waits in the agents');
    }
    return this.#why();
  }

  async #ask(method: StoreMethod, body: string, signal?: AbortSignal): Promise<Outcome<string>> {
    const live = await this.#alive();
    if (live === null) return { ok: false, failure: this.#why() };
    return live.asks.ask(method, body, this.#timeout_ms, signal);
  }

  /** The session of the store, unless it is silent or its token was revoked: then its link is closed. */
  async #alive(): Promise<StoreSession | null> {
    const doubted = this.#live;
    if (doubted !== null && this.#isSilent(doubted, SILENCE_MAX_HEARTBEATS)) {
      await sleep(this.limits.store_doubt_ms);
      if (this.#isSilent(doubted, SILENCE_MAX_HEARTBEATS)) doubted.close(CLOSE.protocol, 'silent for too long');
    }
    const live = this.#live;
    if (live !== null && !this.mayStay(live.dialler.principal)) live.close(CLOSE.protocol, 'token revoked');
    return this.#live;
  }

  #isSilent(session: StoreSession, heartbeats: number): boolean {
    return Date.now() - session.heard_at_ms >= heartbeats * this.heartbeat_ms;
  }

  /** Why there is no store. */
  #why(): Failure {
    const heard_at_ms = this.heard_at_ms;
    if (heard_at_ms === null) return NO_TELEMETRY;
    const age_ms = Math.max(0, Date.now() - heard_at_ms);
    return {
      code: 'service_unavailable',
      message: `the link of the telemetry store is gone; it was last heard ${(age_ms / 1_000).toFixed(1)} s ago, and dials again by itself`,
      details: { last_seen: timestamp(heard_at_ms), age_ms, retry_after_s: this.limits.store_retry_after_s },
    };
  }
}

/** An answer as it comes over the link (contract/query.ts): JSON, or behind a line with its type; Arrow as base64. */
function answerOf(text: string): Response {
  const isText = text.startsWith('text/');
  if (!isText && !text.startsWith('application/'))
    return new Response(text, { headers: { 'content-type': JSON_TYPE } });
  const end = text.indexOf('\n');
  const [type, body] = [text.slice(0, end), text.slice(end + 1)];
  const headers = { 'content-type': type };
  return new Response(isText ? body : Uint8Array.from(atob(body), (char) => char.charCodeAt(0)), { headers });
}

/** Takes no store: this gateway has a telemetry service that it dials itself. */
export function refuseStore(link: Link): LinkReceiver {
  const message =
    'this gateway was given the URL of a telemetry service (--telemetry), which it asks: start it without, for this one to dial in';
  link.send(JSON.stringify({ type: 'refuse', code: 'store_configured', message, retry: false }));
  link.close(CLOSE.protocol, 'store_configured');
  return { receive: () => {}, closed: () => {} };
}
