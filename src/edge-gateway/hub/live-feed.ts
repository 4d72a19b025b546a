/** Live updates: what the hub tells goes into the log, and every client that waits is woken. The events: contract/live.ts. */
import { failure, type LiveEvent, type Outcome, success, timestamp } from '../../contract/index.ts';
import { LIVE_CLIENTS_MAX, LIVE_EVENT_MAX_CHARS, RETRY_AFTER_S } from '../limits.ts';
import { LiveClient } from './live-client.ts';
import { LiveLog } from './live-log.ts';
import type { NodeChange } from './node-change.ts';
import type { PublishedNode } from './published.ts';

/** A host as events name it. */
export interface HostName {
  readonly name: string;
  readonly identity: string;
}

export class LiveFeed {
  readonly #log = new LiveLog();
  readonly #clients = new Set<LiveClient>();
  readonly #heartbeat_ms: number;
  #isOver = false;

  /** @param heartbeat_ms silence after which a client gets a comment, milliseconds */
  constructor(heartbeat_ms: number) {
    this.#heartbeat_ms = heartbeat_ms;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /**
   * A stream of server-sent events as bytes. Fails with `service_unavailable` at LIVE_CLIENTS_MAX and after `close`.
   *
   * @param after `Last-Event-ID`, null when the client is new
   */
  open(after: string | null): Outcome<ReadableStream<Uint8Array>> {
    if (this.#isOver || this.#clients.size >= LIVE_CLIENTS_MAX) {
      const why = this.#isOver ? 'this gateway is stopping' : `at most ${LIVE_CLIENTS_MAX} clients follow at once`;
      return failure('service_unavailable', `${why}; try again in ${RETRY_AFTER_S} s`, {
        retry_after_s: RETRY_AFTER_S,
      });
    }
    const client = new LiveClient(this.#log, after, this.#heartbeat_ms, (ended) => this.#clients.delete(ended));
    this.#clients.add(client);
    return success(client.stream);
  }

  /** @param read_again false when all that differs from what was known before is told next */
  linked(host: HostName, read_again: boolean): void {
    this.#tell({ type: 'host_linked', ...aboutHost(host), read_again });
  }

  lost(host: HostName): void {
    this.#tell({ type: 'host_lost', ...aboutHost(host) });
  }

  removed(host: HostName): void {
    this.#tell({ type: 'host_removed', ...aboutHost(host) });
  }

  changed({ name }: HostName, { type, node }: NodeChange): void {
    const about = { reference: node.identity, kind: node.kind, host: name };
    const { parent } = node;
    if (type === 'node_removed') this.#tell({ type, ...about, as_of: timestamp(Date.now()), parent });
    else this.#append(type, nodeData(type, about, node));
  }

  /** Ends all streams; their clients come back with their `Last-Event-ID`, here or elsewhere. */
  close(): void {
    this.#isOver = true;
    for (const client of [...this.#clients]) client.close();
  }

  #tell(event: LiveEvent): void {
    this.#append(event.type, JSON.stringify(event));
  }

  #append(type: string, data: string): void {
    this.#log.append(type, data);
    for (const client of this.#clients) client.wake();
  }
}

function aboutHost({ name, identity }: HostName) {
  return { reference: identity, kind: 'host' as const, host: name, as_of: timestamp(Date.now()) };
}

/** The status is text already, made when the node was published. */
function nodeData(type: string, about: object, node: PublishedNode): string {
  const { parent, since, status } = node;
  const as_of = timestamp(node.as_of_ms);
  const head = JSON.stringify({ type, ...about, as_of, parent, num_children: node.children.length, since });
  const data = `${head.slice(0, -1)},"status":${status}}`;
  return data.length > LIVE_EVENT_MAX_CHARS ? `${head.slice(0, -1)},"status":null}` : data;
}
