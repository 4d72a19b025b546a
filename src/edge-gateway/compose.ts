/**
 * What every target that serves from one process composes: identity, access, hub, app and snapshots out of one set of
 * options. The runtime only listens, hands requests over, and says when it is open and when it ends.
 */
import { failure, type Log, type Outcome, SILENT, timestamp } from '../base/index.ts';
import { LINK_SUBPROTOCOL, type Role, STORE_SUBPROTOCOL } from '../contract/index.ts';
import { type AnonymousLevel, createAccess } from './access/access.ts';
import { documentsInMemory } from './http/documents/in-memory.ts';
import { createGateway, type Gateway } from './http/gateway.ts';
import { MeshHub } from './hub/hub.ts';
import { type GatewayLimits, resolveLimits } from './limits.ts';
import type { OpenLink, OpenStore, Sha256, Telemetry, TokenSource, UpgradeLink } from './ports.ts';
import { GatewaySelf } from './self.ts';
import { refuseStore, StoreLink } from './store/linked-store.ts';
import { OwnTelemetry } from './store/own-telemetry.ts';
import { Snapshots } from './store/snapshot.ts';

export interface ServeOptions {
  /** Address to listen on, e.g. `127.0.0.1`, `::1`, `localhost`, `0.0.0.0`. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Name under which others reach this machine, for the URL of a gateway on all addresses. Default `localhost`. */
  readonly advertised_host?: string;
  readonly version: string;
  /** Names under which a proxy in front serves this gateway, without port, as `hostName` accepts them. Default none. */
  readonly allowed_hosts?: readonly string[];
  /** Who started the gateway, for the root node. */
  readonly started_by: string;
  readonly token: string;
  readonly tokenSource?: string;
  /** Tokens beside the owner's. Default none. */
  readonly tokens?: TokenSource;
  /** What a verified client certificate may do, where the runtime takes them. Default `inspect`. */
  readonly certificate_roles?: readonly Role[];
  readonly anonymous: AnonymousLevel;
  /** Default null: no store but one that dials in. */
  readonly telemetry?: Telemetry | null;
  readonly log?: Log;
  /** Default: the contract's. */
  readonly heartbeat_ms?: number;
  /** Default: 30 s; 0 takes no snapshots. */
  readonly snapshot_interval_ms?: number;
  /** Single bounds replaced. Default: LIMITS as they are. */
  readonly limits?: Partial<GatewayLimits>;
}

export interface RunningGateway {
  readonly url: string;
  readonly port: number;
  readonly hub: MeshHub;
  /** Ends links, connections and timers, within about two seconds. */
  close(): Promise<void>;
}

export interface ComposedGateway {
  readonly app: Gateway;
  readonly hub: MeshHub;
  /** To be called once, when the runtime listens: starts the snapshots and gives the gateway's URL. `scheme` is `http`. */
  open(port: number, scheme?: 'http' | 'https'): string;
  /** Takes no new calls, and waits for those in flight to be answered. To be called before `close`. */
  drain(): Promise<void>;
  /** Ends timers and the agents' links at once, then, the last rows of its own sent, the store's. Listening is the runtime's to end. */
  close(): Promise<void>;
}

/** The end of the message about an allowed host that is no host name. */
export const NO_HOST_NAME = 'must be a host name without scheme and port, as in mesh.example.com';

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/** @throws RangeError when the token, the anonymous level, the heartbeat or a limit is out of bounds, or an allowed host is no name. */
export function compose(options: ServeOptions, upgradeLink: UpgradeLink, sha256: Sha256): ComposedGateway {
  const { host, version, started_by, allowed_hosts = [] } = options;
  const limits = resolveLimits(options.limits);
  const own = new OwnTelemetry({ version, log: options.log ?? SILENT, counts: () => hub.counts(), sha256, limits });
  const { log } = own;
  let url = '';
  let snapshots: Snapshots | null = null;
  const identity = { url: () => url, started_at: timestamp(Date.now()), started_by, version };
  const bound = hostName(host) ?? host;
  const allowed = allowed_hosts.map((name) => hostName(name) ?? refuseName(name));
  const hosts = isLoopback(host) || allowed.length > 0 ? [...LOOPBACK_NAMES, bound, ...allowed] : null;
  const access = createAccess({ ...options, hosts, sha256, limits });
  const heartbeat = options.heartbeat_ms === undefined ? {} : { heartbeat_ms: options.heartbeat_ms };
  const store =
    options.telemetry == null ? new StoreLink({ version, log, mayStay: access.mayStay, limits, ...heartbeat }) : null;
  const telemetry = store ?? options.telemetry ?? null;
  const hub = new MeshHub({ identity, telemetry, log, mayStay: access.mayStay, limits, ...heartbeat });
  const openLink: OpenLink = (c, principal, host) =>
    upgradeLink(c, LINK_SUBPROTOCOL, (link) => hub.accept(link, { principal, host }));
  const openStore: OpenStore = (c, principal) =>
    upgradeLink(c, STORE_SUBPROTOCOL, (link) => store?.accept(link, { principal, host: null }) ?? refuseStore(link));
  const app = createGateway({
    identity,
    documents: documentsInMemory(),
    mesh: hub,
    access,
    telemetry,
    openLink,
    openStore,
    log,
    observer: own,
    limits,
  });
  return {
    app,
    hub,
    open(port, scheme = 'http') {
      const isEverywhere = bound === '0.0.0.0' || bound === '[::]';
      url = `${scheme}://${isEverywhere ? bracketed(options.advertised_host ?? 'localhost') : bound}:${port}`;
      if (telemetry !== null) own.start({ telemetry, actor: new GatewaySelf(identity).adminInfo().actor_id });
      snapshots = new Snapshots({ mesh: hub, telemetry, log, interval_ms: options.snapshot_interval_ms, limits });
      return url;
    },
    drain: () => hub.drain(limits.drain_wait_ms),
    async close() {
      snapshots?.close();
      hub.close();
      // By way of the store's link, where the store has dialled in.
      await own.close();
      store?.close();
    },
  };
}

/** The failure of listening, `service_unavailable`, which names the address and, for a port that is taken, the way out. */
export function listenFailure({ host, port }: ServeOptions, error: unknown): Outcome<never> {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  const taken = `${host}:${port} is already in use by another program: stop it, or choose another port (0 picks a free one)`;
  const told = code === 'EADDRINUSE' ? taken : `cannot listen on ${host}:${port}: ${message ?? error}`;
  return failure('service_unavailable', told, { errno: code });
}

/** However it is written: a loopback address that is not seen as one would have no list of host names. */
export function isLoopback(host: string): boolean {
  const name = hostName(host) ?? host;
  return name === 'localhost' || name === '[::1]' || /^127(\.\d+){3}$/.test(name) || name.startsWith('[::ffff:7f');
}

/** A name or address as `Host` has it, without a port, in the one form that browsers send; null when it is none. */
export function hostName(text: string): string | null {
  const url = `http://${bracketed(text)}`;
  if (/[\s/?#@\\]/.test(text) || !URL.canParse(url)) return null;
  const { hostname } = new URL(url);
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/.test(hostname) ? hostname : null;
}

function refuseName(name: string): never {
  throw new RangeError(`allowed host '${name}' ${NO_HOST_NAME}`);
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
