/**
 * A hub over SQLite in a temporary file that can be evicted: its object is dropped, with nothing but the database and the
 * attachment of each socket left, and a new one is made out of them.
 */

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { timestamp } from '../../src/base/index.ts';
import type { AgentFrame, GatewayFrame, NodePayload } from '../../src/contract/index.ts';
import { MeshHub } from '../../src/edge-gateway/hub/hub.ts';
import type { HubOptions } from '../../src/edge-gateway/hub/hub-options.ts';
import type { KeptSession, LinkSession } from '../../src/edge-gateway/hub/session.ts';
import { type Sql, SqliteKeeper } from '../../src/edge-gateway/hub/sqlite-keeper.ts';
import { type GatewayLimits, resolveLimits } from '../../src/edge-gateway/limits.ts';
import type { Principal } from '../../src/edge-gateway/ports.ts';
import type { Link } from '../../src/link/index.ts';

export const HEARTBEAT_MS = 1_000;

const ANYBODY: Principal = { name: 'anybody', hosts: null };

export interface EvictingOptions extends Pick<HubOptions, 'telemetry' | 'mayStay'> {
  readonly limits?: Partial<GatewayLimits>;
  /** Default HEARTBEAT_MS. */
  readonly heartbeat_ms?: number;
  /** False makes `evict` do nothing, to compare with. Default true. */
  readonly evicts?: boolean;
  /** Called with each statement before it runs; may throw. */
  readonly onQuery?: (query: string) => void;
}

/** What the runtime knows of an open WebSocket: it outlives the hub. */
export class Socket {
  readonly frames: GatewayFrame[] = [];
  code: number | null = null;
  reason = '';
  /** When the runtime last answered a heartbeat by itself. */
  answered_at_ms: number | null = null;
  /** JSON, as it is kept with the socket. */
  attachment = '';
  session: LinkSession | null = null;
  say(frame: AgentFrame): void {
    if (this.code !== null) return;
    this.session?.receive(JSON.stringify(frame));
    this.keep();
  }

  hello(host: string, incarnation: string = randomUUID()): void {
    this.say({ type: 'hello', version: 1, host, incarnation, agent_version: '0', started_at: timestamp(0) });
  }

  sync(seq: number, nodes: NodePayload[], more = false): void {
    this.say({ type: 'sync', seq, nodes, more });
  }

  delta(seq: number, nodes: NodePayload[], removed: string[] = []): void {
    this.say({ type: 'delta', seq, nodes, removed });
  }

  /** A heartbeat that the runtime answers without waking the hub. */
  beat(): void {
    this.answered_at_ms = Date.now();
  }

  /** The peer has gone, and the hub is told. */
  drop(): void {
    if (this.code !== null) return;
    this.code = 1006;
    this.session?.closed();
    this.keep();
  }

  /** After each event of this socket; what happens outside of one, the hub tells. */
  keep(): void {
    if (this.session !== null) this.attachment = JSON.stringify(this.session.kept());
  }

  get kept(): KeptSession {
    return JSON.parse(this.attachment);
  }

  /** Types of the frames that came, heartbeats aside. */
  get types(): string[] {
    return this.frames.map(({ type }) => type).filter((type) => type !== 'heartbeat');
  }
}

export class EvictingHub {
  hub: MeshHub;
  readonly db: DatabaseSync;
  /** Sockets in the order that they were opened, those that have closed included. */
  readonly sockets: Socket[] = [];
  /** What the hub told, as `what host` or `what reference`. */
  readonly told: string[] = [];
  readonly #folder: string;
  readonly #options: EvictingOptions;
  readonly #socketOf = new WeakMap<Link, Socket>();
  #generation = 0;

  constructor(options: EvictingOptions = {}) {
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), 'meshscope-hub-'));
    this.db = new DatabaseSync(join(this.#folder, 'hub.sqlite'));
    this.db.exec('PRAGMA synchronous = OFF');
    this.hub = this.#make();
  }

  open(host: string | null = null, principal: Principal = ANYBODY): Socket {
    const socket = new Socket();
    this.sockets.push(socket);
    socket.session = this.hub.accept(this.#linkOf(socket), { principal, host });
    socket.keep();
    return socket;
  }

  /** An agent with a state of one frame. */
  agent(host: string, nodes: NodePayload[] = [hostNode(host)], incarnation: string = randomUUID()): Socket {
    const socket = this.open();
    socket.hello(host, incarnation);
    socket.sync(1, nodes);
    return socket;
  }

  /**
   * Drops the hub and makes it anew out of what is kept.
   *
   * @param arrange puts the sockets in the order in which they are restored; those that it leaves out have gone unseen
   */
  evict(arrange: (sockets: Socket[]) => Socket[] = (sockets) => sockets): void {
    if (this.#options.evicts === false) return;
    const open = this.sockets.filter(({ code }) => code === null);
    const restored = arrange([...open]);
    this.#generation += 1;
    for (const socket of this.sockets) socket.session = null;
    for (const socket of open) if (!restored.includes(socket)) socket.code = 1006;
    this.hub = this.#make();
    for (const socket of restored) socket.session = this.hub.restore(this.#linkOf(socket), socket.kept);
    this.hub.restored();
  }

  tick(): void {
    this.hub.tick();
  }

  /** Rows written, changed or deleted so far. */
  get written(): number {
    return Number(this.db.prepare('SELECT total_changes() AS n').get()?.n);
  }

  rows(table: 'hub_hosts' | 'hub_nodes' | 'hub_stage'): number {
    return Number(this.db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n);
  }

  close(): void {
    this.#generation += 1;
    this.db.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #make(): MeshHub {
    const { telemetry = null, onQuery, limits, mayStay } = this.#options;
    const tell = (what: string) => this.told.push(what);
    return new MeshHub({
      identity: { started_at: timestamp(0), started_by: 'tester', version: '0' },
      telemetry,
      heartbeat_ms: this.#options.heartbeat_ms ?? HEARTBEAT_MS,
      timer: 'external',
      keeper: new SqliteKeeper(sqlOf(this.db, onQuery)),
      live: {
        linked: ({ name }, read_again) => tell(`linked ${name}${read_again ? ', read again' : ''}`),
        lost: ({ name }) => tell(`lost ${name}`),
        removed: ({ name }) => tell(`removed ${name}`),
        changed: (_, { type, node }) => tell(`${type} ${node.identity}`),
        close: () => {},
      },
      onKept: (session) => {
        const socket = this.#socketOf.get(session.link);
        if (socket?.session === session) socket.keep();
      },
      limits: resolveLimits(limits),
      ...(mayStay === undefined ? {} : { mayStay }),
    });
  }

  /** What a hub that is gone still does with a link, nobody sees. */
  #linkOf(socket: Socket): Link {
    const generation = this.#generation;
    const isCurrent = () => generation === this.#generation && socket.code === null;
    const link: Link = {
      send: (text) => {
        if (isCurrent()) socket.frames.push(JSON.parse(text));
      },
      close: (code, reason) => {
        if (!isCurrent()) return;
        socket.code = code;
        socket.reason = reason;
      },
      heardAt_ms: () => socket.answered_at_ms,
    };
    this.#socketOf.set(link, socket);
    return link;
  }
}

/** A database of node:sqlite as the keeper wants it. */
export function sqlOf(db: DatabaseSync, onQuery: (query: string) => void = () => {}): Sql {
  return {
    exec: (query, ...values) => {
      onQuery(query);
      return db.prepare(query).all(...values);
    },
    transaction: (run) => {
      db.exec('BEGIN');
      try {
        const result = run();
        db.exec('COMMIT');
        return result;
      } catch (error) {
        db.exec('ROLLBACK');
        throw error;
      }
    },
  };
}

export function hostRef(host: string): string {
  return `host:host_agent.service@ipc://${host}`;
}

export function procRef(host: string, n: number): string {
  return `p${n}@ipc://${host}`;
}

export function hostNode(host: string, children: string[] = [], as_of_ms = 0): NodePayload {
  const memory = { process_rss_bytes: null, process_vm_size_bytes: null };
  return {
    identity: hostRef(host),
    properties: { Host: { addr: `unix:${host}`, num_procs: children.length, system_children: [], memory } },
    children,
    parent: 'root',
    as_of: timestamp(as_of_ms),
  };
}

export function procNode(host: string, n: number, message = '', as_of_ms = 0): NodePayload {
  const properties = { Error: { code: 'x', message } };
  return { identity: procRef(host, n), properties, children: [], parent: hostRef(host), as_of: timestamp(as_of_ms) };
}

/** A host with as many procs, the Host node first. */
export function stateOf(host: string, procs: number, message = '', as_of_ms = 0): NodePayload[] {
  const all = Array.from({ length: procs }, (_, n) => procNode(host, n, message, as_of_ms));
  return [
    hostNode(
      host,
      all.map(({ identity }) => identity),
      as_of_ms,
    ),
    ...all,
  ];
}
