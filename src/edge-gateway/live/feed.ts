/** Live updates: each change goes into the log, and every waiting client is woken. The events are those of contract/live.ts. */
import { type Outcome, success } from '../../base/index.ts';
import type { NodeChange } from '../hub/node-change.ts';
import type { GatewayLimits } from '../limits.ts';
import { retryLater } from '../retry-later.ts';
import { LiveClient } from './client.ts';
import {
  type HostName,
  hostLinked,
  hostLost,
  hostRemoved,
  type LiveListener,
  type LiveMessage,
  nodeChanged,
} from './events.ts';
import { LiveLog } from './log.ts';

export class LiveFeed implements LiveListener {
  readonly #log: LiveLog;
  readonly #clients = new Set<LiveClient>();
  readonly #heartbeat_ms: number;
  readonly #limits: GatewayLimits;
  #isOver = false;

  /** @param heartbeat_ms silence after which a client gets a comment, milliseconds */
  constructor(heartbeat_ms: number, limits: GatewayLimits) {
    this.#heartbeat_ms = heartbeat_ms;
    this.#limits = limits;
    this.#log = new LiveLog(limits);
  }

  get clients(): number {
    return this.#clients.size;
  }

  /**
   * A stream of server-sent events as bytes. Fails with `service_unavailable` at `live_clients_max` and after `close`.
   *
   * @param after `Last-Event-ID`, null when the client is new
   */
  open(after: string | null): Outcome<ReadableStream<Uint8Array>> {
    const { live_clients_max } = this.#limits;
    if (this.#isOver || this.#clients.size >= live_clients_max) {
      const why = this.#isOver ? 'this gateway is stopping' : `at most ${live_clients_max} clients follow at once`;
      return { ok: false, failure: retryLater(why, this.#limits) };
    }
    const onEnd = (ended: LiveClient) => this.#clients.delete(ended);
    const client = new LiveClient(this.#log, after, this.#heartbeat_ms, this.#limits, onEnd);
    this.#clients.add(client);
    return success(client.stream);
  }

  linked(host: HostName, read_again: boolean): void {
    this.tell(hostLinked(host, read_again));
  }

  lost(host: HostName): void {
    this.tell(hostLost(host));
  }

  removed(host: HostName): void {
    this.tell(hostRemoved(host));
  }

  changed(host: HostName, change: NodeChange): void {
    this.tell(nodeChanged(host, change, this.#limits));
  }

  tell([type, data]: LiveMessage): void {
    this.#log.append(type, data);
    for (const client of this.#clients) client.wake();
  }

  /** Ends all streams; their clients come back with their `Last-Event-ID`, here or elsewhere. */
  close(): void {
    this.#isOver = true;
    for (const client of [...this.#clients]) client.close();
  }
}
