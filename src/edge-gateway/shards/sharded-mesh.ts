/**
 * The mesh over shards: each host lives in one shard, found by its name; the directory knows all hosts by name and
 * publishes what changes. A node is asked of its shard, root and live updates of the directory, and the tree of each shard once,
 * however many hosts there are. One shard and sixteen look alike.
 */
import { failure, type Outcome, success } from '../../base/index.ts';
import {
  type CallRequest,
  hostLocationOf,
  locationKey,
  type ProcRef,
  parseNodeRef,
  renderRef,
} from '../../contract/index.ts';
import { byHostName } from '../hub/tree.ts';
import type { CallOptions, Mesh, MeshCounts } from '../ports.ts';
import { ask, outOfReach, type Peer } from './peer.ts';
import { shardOf } from './place.ts';

/** A host's lines of the tree. */
export interface HostLines {
  readonly name: string;
  readonly text: string;
}

/** A call as it goes to a shard. */
export interface ShardCall extends Omit<CallOptions, 'signal'> {
  readonly proc: string;
  readonly request: CallRequest;
}

export class ShardedMesh implements Mesh {
  readonly #shards: readonly Peer[];
  readonly #directory: Peer;

  /** @param shards all of them, by number, at least one. */
  constructor(shards: readonly Peer[], directory: Peer) {
    this.#shards = shards;
    this.#directory = directory;
  }

  async read(text: string, client?: { readonly signal: AbortSignal }): Promise<Outcome<string>> {
    const parsed = parseNodeRef(text);
    if (!parsed.ok) return failure('not_found', `invalid reference '${text}': ${parsed.error}`);
    const location = hostLocationOf(parsed.value);
    if (location === null) return ask(this.#directory, '/root');
    return ask(this.#shardOf(locationKey(location)), '/read', { text }, client?.signal);
  }

  async call(proc: ProcRef, request: CallRequest, options: CallOptions): Promise<Outcome<string>> {
    const { signal, ...rest } = options;
    const call: ShardCall = { proc: renderRef(proc), request, ...rest };
    const location = hostLocationOf(proc);
    return ask(this.#shardOf(location === null ? '' : locationKey(location)), '/call', call, signal);
  }

  async follow(after: string | null): Promise<Outcome<ReadableStream<Uint8Array>>> {
    try {
      const headers: Record<string, string> = after === null ? {} : { 'last-event-id': after };
      const response = await this.#directory.fetch(new Request('http://peer/events', { headers }));
      if (response.ok && response.body !== null) return success(response.body);
      return await ask({ fetch: async () => response }, '/events').then((outcome) =>
        outcome.ok ? failure('internal_error', 'the directory gave no stream') : outcome,
      );
    } catch (error) {
      return { ok: false, failure: outOfReach(error) };
    }
  }

  async tree(base: string): Promise<Outcome<string>> {
    const parts = await Promise.all(this.#shards.map((shard) => ask(shard, '/tree', { base })));
    const hosts: HostLines[] = [];
    for (const part of parts) {
      if (!part.ok) return part;
      hosts.push(...JSON.parse(part.value));
    }
    const text = hosts.sort(byHostName).reduce((all, host) => all + host.text, '');
    return success(text);
  }

  async health(): Promise<Outcome<MeshCounts>> {
    // The shards first: each answers when the directory knows what it knows.
    const parts = await Promise.all(this.#shards.map((shard) => ask(shard, '/health')));
    parts.push(await ask(this.#directory, '/health'));
    const sum: Record<string, number> = {};
    for (const part of parts) {
      if (!part.ok) return part;
      for (const [name, count] of Object.entries<number>(JSON.parse(part.value))) sum[name] = (sum[name] ?? 0) + count;
    }
    return success(sum as unknown as MeshCounts);
  }

  /** The shard where a host of this location is at home. */
  #shardOf(key: string): Peer {
    const shard = this.#shards[shardOf(key, this.#shards.length)];
    if (shard === undefined) throw new RangeError('a mesh needs at least one shard');
    return shard;
  }
}
