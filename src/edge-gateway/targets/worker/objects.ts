/**
 * The Durable Objects of the gateway: one for each shard holds the links and the state of its hosts, one for the directory
 * knows all of them by name. They sleep between events, with their sockets open, and go on from their storage.
 */
import { LINK_SUBPROTOCOL, STORE_SUBPROTOCOL } from '../../../contract/index.ts';
import type { LinkReceiver } from '../../../link/index.ts';
import type { KeptSession } from '../../hub/session.ts';
import { LIMITS } from '../../limits.ts';
import { Directory } from '../../shards/directory.ts';
import { Shard } from '../../shards/shard.ts';
import type { KeptStoreLink } from '../../store/linked-store.ts';
import { Alarm } from './alarm.ts';
import type { DurableObjectState, WorkerSocket } from './api.ts';
import { accessOf, diallerOf, log, type ObjectEnvironment, partOf } from './parts.ts';
import { Sockets } from './sockets.ts';

/** Hosts, their state and their links. */
export class HubShard {
  readonly #shard: Shard;
  readonly #sockets: Sockets<KeptSession>;
  readonly #alarm: Alarm;

  constructor(state: DurableObjectState, env: ObjectEnvironment) {
    const { part, directory, telemetry, options, homeOf } = partOf(state, env);
    const id = state.id.toString();
    const onKept = (session: LinkReceiver) => this.#sockets.changed(session);
    const onBehind = () => this.#alarm.after(undefined);
    const { mayStay } = accessOf(options);
    this.#shard = new Shard({ ...part, id, directory, telemetry, mayStay, onKept, onBehind });
    this.#sockets = new Sockets(state, this.#shard.hub);
    this.#shard.hub.restored((key) => homeOf(key) === id);
    this.#alarm = new Alarm(state.storage, LIMITS, () => this.#shard.dueAt_ms());
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

  async alarm(): Promise<void> {
    this.#alarm.rang();
    await this.#alarm.after(this.#shard.tick());
  }
}

/** All hosts by name, those who follow, snapshots, and the link of the telemetry service. */
export class HubDirectory {
  readonly #directory: Directory;
  readonly #sockets: Sockets<KeptStoreLink | null>;
  readonly #alarm: Alarm;

  constructor(state: DurableObjectState, env: ObjectEnvironment) {
    const { part, shards, service, options, homeOf } = partOf(state, env);
    const { started_by, snapshot_interval_ms } = options;
    const { mayStay } = accessOf(options);
    const telemetry = service;
    this.#directory = new Directory({ ...part, shards, homeOf, telemetry, started_by, snapshot_interval_ms, mayStay });
    this.#sockets = new Sockets(state, this.#directory);
    this.#alarm = new Alarm(state.storage, LIMITS, () => this.#directory.dueAt_ms());
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
