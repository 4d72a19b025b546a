/**
 * The Durable Objects of the gateway: one for each shard holds the links and the state of its hosts, one for the directory
 * knows all of them by name. They sleep between events, with their sockets open, and go on from their storage.
 */
import { LINK_SUBPROTOCOL, STORE_SUBPROTOCOL, VERSION } from '../../contract/index.ts';
import { createAccess } from '../access.ts';
import type { KeptSession } from '../hub/session.ts';
import type { KeptStoreLink } from '../hub/store-link.ts';
import type { AccessPolicy, Dialler, LinkReceiver, Log, Telemetry } from '../ports.ts';
import { Directory } from '../shards/directory.ts';
import { DIALLER_HEADER, type Peer } from '../shards/peer.ts';
import { telemetryOfPeer } from '../shards/peer-telemetry.ts';
import { Shard } from '../shards/shard.ts';
import { telemetryOverHttp } from '../telemetry-http.ts';
import { Alarm } from './worker-alarm.ts';
import type { DurableObjectNamespace, DurableObjectState, WorkerSocket } from './worker-api.ts';
import { readWorkerOptions, type WorkerOptions, type WorkerVariables } from './worker-options.ts';
import { Sockets } from './worker-sockets.ts';

export interface ObjectEnvironment extends WorkerVariables {
  readonly SHARD: DurableObjectNamespace;
  readonly DIRECTORY: DurableObjectNamespace;
}

export const log: Log = {
  info: (message, fields = {}) => console.log(JSON.stringify({ level: 'info', message, ...fields })),
  warn: (message, fields = {}) => console.warn(JSON.stringify({ level: 'warn', message, ...fields })),
};

export function accessOf({ token, tokens, anonymous, allowed_hosts }: WorkerOptions): AccessPolicy {
  const tokenSource = 'the secret MESHSCOPE_TOKEN';
  return createAccess({ token, tokenSource, tokens: { tokens: () => tokens }, anonymous, hosts: allowed_hosts });
}

export function peersOf({ shards, telemetry_url, token }: WorkerOptions, env: ObjectEnvironment) {
  const service = telemetry_url === null ? null : telemetryOverHttp({ url: telemetry_url, token });
  const peer = (objects: DurableObjectNamespace, name: string): Peer => ({
    // The stub is made anew for each request, as it belongs to the request that made it.
    fetch: (request) => objects.get(objects.idFromName(name)).fetch(request),
  });
  const directory = peer(env.DIRECTORY, 'directory');
  const telemetry: Telemetry = service ?? telemetryOfPeer(directory);
  return {
    directory,
    service,
    telemetry,
    shards: Array.from({ length: shards }, (_, n) => peer(env.SHARD, `shard-${n}`)),
  };
}

/** What both kinds of objects are made of. */
function partOf(state: DurableObjectState, env: ObjectEnvironment) {
  const read = readWorkerOptions(env);
  if (!read.ok) throw new Error(read.failure.message);
  const { storage } = state;
  const sql = {
    exec: storage.sql.exec.bind(storage.sql),
    transaction: <T>(run: () => T) => storage.transactionSync(run),
  };
  const { heartbeat_ms } = read.value;
  return { ...peersOf(read.value, env), options: read.value, part: { sql, version: VERSION, log, heartbeat_ms } };
}

function diallerOf(request: Request): Dialler {
  return JSON.parse(request.headers.get(DIALLER_HEADER) ?? 'null');
}

/** Hosts, their state and their links. */
export class HubShard {
  readonly #shard: Shard;
  readonly #sockets: Sockets<KeptSession>;
  readonly #alarm: Alarm;

  constructor(state: DurableObjectState, env: ObjectEnvironment) {
    const { part, directory, telemetry, options } = partOf(state, env);
    const onKept = (session: LinkReceiver) => this.#sockets.changed(session);
    const { stands } = accessOf(options);
    this.#shard = new Shard({ ...part, id: state.id.toString(), directory, telemetry, stands, onKept });
    this.#sockets = new Sockets(state, this.#shard.hub);
    this.#shard.hub.restored();
    this.#alarm = new Alarm(state.storage, () => this.#shard.hub.dueAt_ms());
    if (this.#sockets.size > 0) log.info(`shard woke with ${this.#sockets.size} links`, { shard: state.id.name });
  }

  fetch(request: Request): Promise<Response> | Response {
    if (!request.url.endsWith('/link')) return this.#alarm.after(this.#shard.fetch(request));
    return this.#alarm.after(this.#sockets.open(request, diallerOf(request), LINK_SUBPROTOCOL));
  }

  webSocketMessage(socket: WorkerSocket, data: string | ArrayBuffer): void {
    this.#alarm.after(this.#sockets.message(socket, data));
  }

  webSocketClose(socket: WorkerSocket): void {
    this.#alarm.after(this.#sockets.closed(socket));
  }

  webSocketError(socket: WorkerSocket): void {
    this.#alarm.after(this.#sockets.closed(socket));
  }

  alarm(): void {
    this.#alarm.rang();
    this.#alarm.after(this.#shard.hub.tick());
  }
}

/** All hosts by name, those who follow, snapshots, and the link of the telemetry service. */
export class HubDirectory {
  readonly #directory: Directory;
  readonly #sockets: Sockets<KeptStoreLink | null>;
  readonly #alarm: Alarm;

  constructor(state: DurableObjectState, env: ObjectEnvironment) {
    const { part, shards, service, options } = partOf(state, env);
    const { started_by, snapshot_interval_ms } = options;
    const { stands } = accessOf(options);
    const telemetry = service;
    this.#directory = new Directory({ ...part, shards, telemetry, started_by, snapshot_interval_ms, stands });
    this.#sockets = new Sockets(state, this.#directory);
    this.#alarm = new Alarm(state.storage, () => this.#directory.dueAt_ms());
  }

  fetch(request: Request): Promise<Response> | Response {
    if (!request.url.endsWith('/store')) return this.#alarm.after(this.#directory.fetch(request));
    return this.#sockets.open(request, diallerOf(request), STORE_SUBPROTOCOL);
  }

  webSocketMessage(socket: WorkerSocket, data: string | ArrayBuffer): void {
    this.#sockets.message(socket, data);
    this.#directory.keepStore(false);
  }

  webSocketClose(socket: WorkerSocket): void {
    this.#sockets.closed(socket);
    this.#directory.keepStore(true);
  }

  webSocketError(socket: WorkerSocket): void {
    this.webSocketClose(socket);
  }

  async alarm(): Promise<void> {
    this.#alarm.rang();
    await this.#alarm.after(this.#directory.tick());
  }
}
