/**
 * The parts of a gateway over shards, in this process: directory and shards over SQLite in memory, which reach each other
 * by requests as they do where they run, and agents whose sockets are only told of. Each part can be lost and made anew out
 * of what it stored, and requests can be made to fail.
 */

import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { SILENT, timestamp } from '../../src/base/index.ts';
import { type GatewayFrame, hostLocation, locationKey, type NodePayload } from '../../src/contract/index.ts';
import type { LinkSession } from '../../src/edge-gateway/hub/session.ts';
import { NO_TELEMETRY, type Telemetry } from '../../src/edge-gateway/ports.ts';
import type { ChangeReport } from '../../src/edge-gateway/shards/change-reporter.ts';
import { Directory, type DirectoryOptions } from '../../src/edge-gateway/shards/directory.ts';
import type { Peer } from '../../src/edge-gateway/shards/peer.ts';
import { shardOf } from '../../src/edge-gateway/shards/place.ts';
import { Shard } from '../../src/edge-gateway/shards/shard.ts';
import { hostNode, sqlOf } from './evicting-hub.ts';

export interface PartsOptions {
  /** Default 1. */
  readonly shards?: number;
  /** Default 0: none. */
  readonly snapshot_interval_ms?: number;
  /** Default: there is none. */
  readonly telemetry?: Telemetry;
}

const NO_STORE: Telemetry = {
  query: async () => ({ ok: false, failure: NO_TELEMETRY }),
  storeDump: async () => ({ ok: false, failure: NO_TELEMETRY }),
  ingest: async () => ({ ok: false, failure: NO_TELEMETRY }),
  absent: () => NO_TELEMETRY,
};

export class Parts {
  directory: Directory;
  readonly shards: Shard[] = [];
  /** What the shards told the directory, in order, what it refused included. */
  readonly reports: ChangeReport[] = [];
  /** Called with each request to the directory, before it is handled; what it throws, the request fails with. */
  onDirectory: (path: string) => void | Promise<void> = () => {};
  /** Called with each statement of the directory before it runs; may throw. */
  onQuery: (query: string) => void = () => {};
  /** Codes of the links that a shard refused. */
  readonly refused: string[] = [];
  /** How often a shard said that it has something to tell again. */
  behind = 0;
  readonly #options: PartsOptions;
  #count: number;
  readonly #databases = new Map<string, DatabaseSync>();

  constructor(options: PartsOptions = {}) {
    this.#options = options;
    this.#count = options.shards ?? 1;
    this.directory = this.#makeDirectory();
    for (let n = 0; n < this.#count; n += 1) this.shards.push(this.#makeShard(n));
  }

  /** An agent that has published a Host node, at the home of its host. */
  link(host: string): LinkSession {
    return this.linkAt(this.homeOf(host), host);
  }

  linkAt(shard: number, host: string, nodes: readonly NodePayload[] = [hostNode(host)]): LinkSession {
    const hub = this.shards[shard]?.hub;
    if (hub === undefined) throw new RangeError(`no shard ${shard}`);
    const send = (text: string) => {
      const frame: GatewayFrame = JSON.parse(text);
      if (frame.type === 'refuse') this.refused.push(frame.code);
    };
    const link = { send, close: () => {} };
    const session = hub.accept(link, { principal: { name: 'anybody', hosts: null }, host });
    const about = { version: 1, host, incarnation: randomUUID(), agent_version: '0', started_at: timestamp(0) };
    session.receive(JSON.stringify({ type: 'hello', ...about }));
    session.receive(JSON.stringify({ type: 'sync', seq: 1, nodes, more: false }));
    return session;
  }

  homeOf(host: string): number {
    return shardOf(locationKey(hostLocation(host)), this.#count);
  }

  /** Loses a shard with its links, and makes it anew. */
  loseShard(n: number): Shard {
    const shard = this.#makeShard(n);
    this.shards[n] = shard;
    return shard;
  }

  loseDirectory(change: Partial<DirectoryOptions> = {}): void {
    this.directory = this.#makeDirectory(change);
  }

  /** Makes the directory anew, and the shards that there were not before; the others go on when they are lost. */
  spreadOver(count: number): void {
    const before = this.#count;
    this.#count = count;
    this.loseDirectory();
    for (let n = before; n < count; n += 1) this.shards.push(this.#makeShard(n));
  }

  /** Names in the root, in its order. */
  async listed(): Promise<string[]> {
    const response = await this.directory.fetch(new Request('http://peer/root'));
    const { children } = (await response.json()) as NodePayload;
    return children.map((reference) => reference.replace(/.*ipc:\/\//, ''));
  }

  /** Follows the live updates: events as `type host` gather in what it gives, heartbeats left out. */
  async follow(): Promise<string[]> {
    const response = await this.directory.fetch(new Request('http://peer/events'));
    const events: string[] = [];
    const read = async () => {
      let text = '';
      const decoder = new TextDecoder();
      for await (const bytes of response.body ?? []) {
        text += decoder.decode(bytes, { stream: true });
        const frames = text.split('\n\n');
        text = frames.pop() ?? '';
        for (const frame of frames) {
          const data = /^data: (.*)$/m.exec(frame)?.[1];
          if (data === undefined) continue;
          const { type, host, reason } = JSON.parse(data);
          events.push(`${type} ${host ?? reason}`);
        }
      }
    };
    void read();
    return events;
  }

  close(): void {
    for (const database of this.#databases.values()) database.close();
  }

  #sql(name: string) {
    const database = this.#databases.get(name) ?? new DatabaseSync(':memory:');
    this.#databases.set(name, database);
    return sqlOf(database, name === 'directory' ? (query) => this.onQuery(query) : undefined);
  }

  readonly #toDirectory: Peer = {
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === '/changes') this.reports.push((await request.clone().json()) as ChangeReport);
      await this.onDirectory(pathname);
      return this.directory.fetch(request);
    },
  };

  #makeShard(n: number): Shard {
    const shard = new Shard({
      ...this.#part(`shard-${n}`),
      id: `shard-${n}`,
      directory: this.#toDirectory,
      telemetry: this.#options.telemetry ?? NO_STORE,
      mayStay: () => true,
      onKept: () => {},
      onBehind: () => {
        this.behind += 1;
      },
    });
    shard.hub.restored((key) => shardOf(key, this.#count) === n);
    return shard;
  }

  #makeDirectory(change: Partial<DirectoryOptions> = {}): Directory {
    const peers = Array.from({ length: this.#count }, (_, n): Peer => {
      return { fetch: async (request) => (this.shards[n] as Shard).fetch(request) };
    });
    return new Directory({
      ...this.#part('directory'),
      started_by: 'tester',
      shards: peers,
      homeOf: (key) => `shard-${shardOf(key, this.#count)}`,
      telemetry: this.#options.telemetry ?? NO_STORE,
      mayStay: () => true,
      snapshot_interval_ms: this.#options.snapshot_interval_ms ?? 0,
      ...change,
    });
  }

  #part(name: string) {
    return { sql: this.#sql(name), version: '0', log: SILENT, heartbeat_ms: 20_000 };
  }
}
