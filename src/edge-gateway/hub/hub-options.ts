/** The options of a hub. */
import type { Log } from '../../base/index.ts';
import type { GatewayLimits } from '../limits.ts';
import type { LiveListener } from '../live/events.ts';
import type { GatewayIdentity, Principal, Telemetry } from '../ports.ts';
import type { HubTimer } from './clock.ts';
import type { HubKeeper } from './keeper.ts';
import type { LinkSession } from './session.ts';

export interface HubOptions {
  readonly identity: Pick<GatewayIdentity, 'started_at' | 'started_by' | 'version'>;
  /** Where events go. Default null: none is acknowledged. */
  readonly telemetry?: Telemetry | null;
  /** Default: nothing is logged. */
  readonly log?: Log;
  /** Whether a link that a principal opened may stay; asked at every check. Default: always. */
  readonly mayStay?: (principal: Principal) => boolean;
  /** Silence after which a side sends a heartbeat, milliseconds, at least `heartbeat_min_ms`. Default 5,000. */
  readonly heartbeat_ms?: number;
  /** Where published state is kept beyond this object's memory. Default none. */
  readonly keeper?: HubKeeper;
  /**
   * `internal`: an interval of the hub's own calls `tick`. `external`: the runtime calls it at `dueAt_ms`, so that sessions
   * can be kept and restored (clock.ts). Default `internal`.
   */
  readonly timer?: HubTimer;
  /** Called with every change. Default: a LiveFeed of the hub's own; with another listener, `follow` always fails. */
  readonly live?: LiveListener;
  /** Called when the result of a session's `kept` has changed outside of an event of its own link. */
  readonly onKept?: (session: LinkSession) => void;
  /** Default: LIMITS. */
  readonly limits?: GatewayLimits;
}
