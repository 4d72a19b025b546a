/**
 * What the gateway needs from outside: a handful of small types. Targets and the composition root supply adapters; no
 * file of the core knows what is behind one.
 */

import type { Context } from 'hono';
import type { Failure, Log, Outcome } from '../base/index.ts';
import type { CallRequest, EventBatch, ProcRef, StoredToken } from '../contract/index.ts';
import type { Link, LinkReceiver } from '../link/index.ts';
import type { GatewayLimits } from './limits.ts';

/** What `createGateway` is made of. */
export interface GatewayPorts {
  readonly identity: GatewayIdentity;
  readonly documents: Documents;
  readonly mesh: Mesh;
  readonly access: AccessPolicy;
  readonly openLink: OpenLink;
  readonly openStore: OpenStore;
  /** Null: there is no store and never will be. Then queries and stored dumps are `not_found`. */
  readonly telemetry: Telemetry | null;
  /** Default: nothing is logged. */
  readonly log?: Log;
  readonly observer: Observer;
  /** Default: LIMITS. */
  readonly limits?: GatewayLimits;
}

/** The telemetry store. Every call has a deadline of its own and never throws. */
export interface Telemetry {
  /**
   * Runs one read-only query; gives the answer in the form that the store chose, with its type, untouched, so that 64-bit
   * integers stay exact. It may still be on its way: to read no further, its body is cancelled.
   *
   * @param accept the `Accept` header of the client; null, the default, when it sent none
   */
  query(sql: string, accept?: string | null, signal?: AbortSignal): Promise<Outcome<Response>>;
  /** @param request a StoreDumpRequest as JSON text, which may be long and is passed on as it is */
  storeDump(request: string): Promise<Outcome<void>>;
  /** Success means committed. `bad_request` means that the batch can never be stored. */
  ingest(batch: EventBatch): Promise<Outcome<void>>;
  /** Why there is no store to ask at present; null when there is one. Default: there always is. */
  absent?(): Failure | null | Promise<Failure | null>;
}

/** What is answered where no store was ever configured or linked. */
export const NO_TELEMETRY: Failure = {
  code: 'not_found',
  message: 'dashboard not configured (no telemetry_url provided)',
};

/** Makes a link out of a request that asks for a WebSocket, and gives the answer to the request. */
export type UpgradeLink = (
  c: Context,
  subprotocol: string,
  accept: (link: Link) => LinkReceiver,
) => Response | Promise<Response>;

/**
 * Answers a request that asks for a WebSocket on the agents' path by opening a link.
 *
 * @param host the host that the request names in its query; null when it names none
 */
export type OpenLink = (c: Context, principal: Principal, host: string | null) => Response | Promise<Response>;

/** The same on the path of a telemetry service that dials in. */
export type OpenStore = (c: Context, principal: Principal) => Response | Promise<Response>;

/**
 * Who may do what. `inspect` is stacks, profiles, configuration and SQL; `operate` is writes; `publish` is the agents'
 * link, `store` that of the telemetry service.
 */
export type AccessLevel = 'open' | 'topology' | 'inspect' | 'operate' | 'publish' | 'store';

/** Who a request comes from, as far as its token or certificate says. */
export interface Principal {
  /** For people and the log. */
  readonly name: string;
  /** The hosts that it may publish; null is any. */
  readonly hosts: readonly string[] | null;
  /** Tells the token from another of the same name; absent for who has none. */
  readonly token?: string;
}

/** The SHA-256 of a text as UTF-8, lower-case hex, at once: a request must not wait for it. */
export type Sha256 = (text: string) => string;

/** Gives the tokens that there are now. Asked at each request: the same list as long as nothing has changed. */
export interface TokenSource {
  tokens(): readonly StoredToken[];
}

/** A look at one header, lower-case name. */
export type HeaderReader = Pick<Headers, 'get'>;

/** What a target hands over with a request. */
export interface RequestEnv {
  /** The request target as it came. Default: that of the URL. */
  readonly rawPath?: string;
  /** The name in the client's certificate, verified. Default: it showed none. */
  readonly peer?: string;
  /** For a runtime where looking at a few headers is cheaper than making all of them. Default: those of the request. */
  readonly headers?: HeaderReader;
}

/** What the gateway measures of itself, where somebody wants to know. */
export interface Observer {
  /** The text of `/metrics`. */
  text(): Promise<string>;
  /** A request has come to a route; what is returned is called with the status of its answer. */
  requestStarted(route: { readonly path: string; readonly audit?: string }): (status: number) => void;
}

export interface AccessPolicy {
  /**
   * The principal of a request that is allowed at this level, else the refusal. Reads headers only, so it can run first.
   *
   * @param peer the name in the client's certificate, verified; null when it showed none. Default null
   */
  admit(level: AccessLevel, headers: HeaderReader, peer?: string | null): Outcome<Principal>;
  /** Whether a link that a principal opened may stay: its token still exists, unchanged, and has not expired. */
  mayStay(principal: Principal): boolean;
}

/** Who opened a link. */
export interface Dialler {
  readonly principal: Principal;
  /** The host that the request for the link named; null when it named none. */
  readonly host: string | null;
}

export type DocumentName = 'schema.json' | 'schema-admin.json' | 'schema-error.json' | 'openapi.json' | 'SKILL.md';

/** Gives the text of a document; `{base}` in the guide is still to be replaced. */
export type Documents = (name: DocumentName) => string | Promise<string>;

/** What the gateway says of itself. `url` is asked when it is needed, since port 0 becomes a port only on listening. */
export interface GatewayIdentity {
  url(): string;
  /** When this gateway started, a contract timestamp. */
  readonly started_at: string;
  /** User name of who started it. */
  readonly started_by: string;
  readonly version: string;
}

export interface NodeView {
  readonly identity: string;
  /** The node's payload as JSON text, written once when it was published. */
  readonly text: string;
  readonly children: readonly string[];
}

export interface HostView {
  readonly name: string;
  /** The `host:` reference. */
  readonly identity: string;
  /** The host's channel address in colon form; null when its node says an error instead. */
  readonly addr: string | null;
  readonly isLinked: boolean;
  /** Milliseconds since anything was heard from the host. */
  readonly age_ms: number;
  node(reference: string): NodeView | undefined;
  nodes(): Iterable<NodeView>;
}

export interface CallOptions {
  readonly deadline_ms: number;
  /** Aborted when the client has gone away: the call is then cancelled. */
  readonly signal?: AbortSignal;
  /** What to answer when no host knows the proc, and when the deadline passes. */
  readonly unknown: Failure;
  readonly late: Failure;
}

/** The mesh as the routes see it: one hub in memory, or the shards of one elsewhere. */
export interface Mesh {
  /**
   * The payload of a node as JSON text. Answered at once where the published state is the answer. `client` is the
   * request; its signal is read only when there is something to wait for.
   */
  read(text: string, client?: { readonly signal: AbortSignal }): Outcome<string> | Promise<Outcome<string>>;
  /** Asks the agent of a proc; gives the whole answer's text, assembled and within bounds, not yet validated. */
  call(proc: ProcRef, request: CallRequest, options: CallOptions): Promise<Outcome<string>>;
  /**
   * Live updates as the bytes of server-sent events (contract/live.ts). Fails with `service_unavailable` at a bound.
   *
   * @param after `Last-Event-ID` of the client; null when it is new
   */
  follow(after: string | null): Outcome<ReadableStream<Uint8Array>> | Promise<Outcome<ReadableStream<Uint8Array>>>;
  /**
   * The text of `GET /v1/tree`.
   *
   * @param base URL that links begin with, without a trailing slash
   */
  tree(base: string): Outcome<string> | Promise<Outcome<string>>;
  /** What `GET /healthz` counts. */
  health(): Outcome<MeshCounts> | Promise<Outcome<MeshCounts>>;
}

/** A mesh, or a part of one, whose published state is at hand. */
export interface HostViews {
  /** Hosts with published state, in the order of their names, including disconnected ones. */
  hosts(): readonly HostView[];
}

export interface MeshCounts {
  readonly hosts: number;
  readonly links: number;
  readonly nodes: number;
  readonly calls: number;
  /** Streams of live updates. */
  readonly followers: number;
  readonly late_answers: number;
  readonly gaps: number;
  readonly stale_frames: number;
  readonly poison_batches: number;
  readonly dropped_batches: number;
}
