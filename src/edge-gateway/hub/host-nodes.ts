/**
 * The nodes of one host: in memory, and in a keeper where there is one. What a keeper has is taken into memory when a
 * node is first asked for; until then the host's own row says what a list of hosts needs. Each change is written first and
 * made in memory then, so that memory never shows what was not kept.
 */

import { type GatewayLimits, LIMITS } from '../limits.ts';
import type { HubKeeper, KeptHost } from './keeper.ts';
import { changesOf, differenceOf, type NodeChange } from './node-change.ts';
import { boundError, type NodeRules, type PublishedNode, readPublished } from './published.ts';
import { References } from './references.ts';

/** What the hosts of a hub share: where nodes are kept, and the rules by which they are read. */
export interface NodeStore extends NodeRules {
  /** Null: memory only. */
  readonly keeper: HubKeeper | null;
}

/** @param keeper default null: memory only */
export function nodeStore(limits: GatewayLimits = LIMITS, keeper: HubKeeper | null = null): NodeStore {
  return { keeper, limits, references: new References(limits) };
}

/** What the nodes need of their host. */
export interface NodeOwner {
  readonly name: string;
  /** Location key. */
  readonly key: string;
  readonly heard_at_ms: number;
}

/** Called with single nodes. */
export interface NodeIndex {
  put(node: PublishedNode): void;
  delete(identity: string): void;
  changed(change: NodeChange): void;
}

export class HostNodes {
  readonly #owner: NodeOwner;
  readonly #index: NodeIndex;
  readonly #keeper: HubKeeper | null;
  readonly #store: NodeStore;
  /** Null while they are only in the keeper. */
  #nodes: Map<string, PublishedNode> | null;
  #chars = 0;
  /** Of the Host node; null before there is one. */
  #about: Pick<PublishedNode, 'identity' | 'addr'> | null;
  /** The host as it was written last. */
  #kept: KeptHost | null;
  /** Keys of nodes that are newer here than in the keeper. */
  readonly #newer = new Set<string>();

  /** @param kept the host as the keeper has it; null when it has none. */
  constructor(owner: NodeOwner, index: NodeIndex, store: NodeStore, kept: KeptHost | null) {
    this.#owner = owner;
    this.#index = index;
    this.#keeper = store.keeper;
    this.#store = store;
    this.#nodes = kept === null ? new Map() : null;
    this.#about = kept;
    this.#kept = kept;
  }

  get about(): Pick<PublishedNode, 'identity' | 'addr'> | null {
    return this.#about;
  }

  get size(): number {
    return this.#nodes?.size ?? this.#kept?.size ?? 0;
  }

  /** Whether the keeper says that the link which the state came over is open. */
  get isKeptAsLinked(): boolean {
    return this.#kept?.isLinked === true;
  }

  /** All of them, by key. */
  loaded(): ReadonlyMap<string, PublishedNode> {
    return this.#load();
  }

  /** Gives what differs from the state before; null when there was none, or when it is too much to tell. */
  replace(nodes: ReadonlyMap<string, PublishedNode>): readonly NodeChange[] | null {
    const before = this.#load();
    const difference = this.#about === null ? null : differenceOf(before, nodes, this.#store.limits);
    if (this.#keeper !== null) {
      const put = [...nodes.values()].filter((node) => !this.#isKept(node));
      const removed = [...before.keys()].filter((key) => !nodes.has(key));
      const host = [...nodes.values()].find(({ kind }) => kind === 'host') ?? null;
      const row = this.#rowOf(host ?? this.#about, nodes.size, true);
      this.#keeper.replaceNodes(row, put, removed);
      this.#kept = row;
      this.#newer.clear();
    }
    this.#clear();
    for (const node of nodes.values()) this.#put(node);
    return difference;
  }

  /** Applies a delta; gives the reason when a bound was passed. */
  change(nodes: readonly PublishedNode[], removed: readonly string[]): string | null {
    this.#load();
    this.#keepChange(nodes, removed);
    for (const key of removed) this.#delete(key);
    for (const node of nodes) this.#set(node);
    return boundError(this.size, this.#chars, this.#store.limits);
  }

  /** What an agent answered: shown when it is newer than what was published and fits, and not written. */
  freshen(node: PublishedNode): void {
    const known = this.#load().get(node.key);
    if (known === undefined || node.as_of_ms <= known.as_of_ms) return;
    if (boundError(this.size, this.#chars + node.text.length - known.text.length, this.#store.limits) !== null) return;
    if (this.#keeper !== null) this.#newer.add(node.key);
    this.#set(node);
  }

  /** Writes the host without its nodes. */
  keepHost(isLinked: boolean): void {
    if (this.#keeper === null) return;
    this.#kept = this.#rowOf(this.#about, this.size, isLinked);
    this.#keeper.keepHost(this.#kept);
  }

  /** Writes when the host was last heard, now and then: should its link be gone unseen, it is not gone since long ago. */
  keepHeard(): void {
    const kept = this.#kept;
    if (kept === null || this.#owner.heard_at_ms - kept.heard_at_ms < this.#store.limits.heard_kept_ms) return;
    this.keepHost(kept.isLinked);
  }

  forget(): void {
    this.#keeper?.forget(this.#owner.key);
    this.#clear();
    this.#newer.clear();
    this.#about = null;
    this.#kept = null;
  }

  #load(): Map<string, PublishedNode> {
    if (this.#nodes !== null) return this.#nodes;
    const nodes = new Map<string, PublishedNode>();
    this.#nodes = nodes;
    const unreadable: string[] = [];
    const { key: host } = this.#owner;
    for (const { key, text } of this.#keeper?.nodes(host) ?? []) {
      const node = readPublished(JSON.parse(text), host, this.#store);
      if (typeof node === 'string') unreadable.push(key);
      else this.#put(node);
    }
    // Of a release that was less strict.
    if (unreadable.length > 0) this.#keeper?.changeNodes(host, [], unreadable, null);
    return nodes;
  }

  #isKept(node: PublishedNode): boolean {
    return this.#nodes?.get(node.key)?.text === node.text && !this.#newer.has(node.key);
  }

  #keepChange(nodes: readonly PublishedNode[], removed: readonly string[]): void {
    if (this.#keeper === null) return;
    const before = this.#load();
    const put = new Map(nodes.map((node) => [node.key, node]));
    const gone = new Set(removed.filter((key) => before.has(key) && !put.has(key)));
    const added = [...put.keys()].filter((key) => !before.has(key)).length;
    const host = nodes.findLast(({ kind }) => kind === 'host') ?? this.#about;
    const row = this.#rowOf(host, before.size + added - gone.size, true);
    const kept = this.#kept;
    const isSame = kept?.identity === row.identity && kept.addr === row.addr && kept.size === row.size;
    const changed = [...put.values()].filter((node) => !this.#isKept(node));
    this.#keeper.changeNodes(this.#owner.key, changed, [...gone], isSame ? null : row);
    if (!isSame) this.#kept = row;
    for (const key of [...put.keys(), ...gone]) this.#newer.delete(key);
  }

  #rowOf(about: Pick<PublishedNode, 'identity' | 'addr'> | null, size: number, isLinked: boolean): KeptHost {
    const { key, name, heard_at_ms } = this.#owner;
    return { key, name, identity: about?.identity ?? '', addr: about?.addr ?? null, size, heard_at_ms, isLinked };
  }

  #clear(): void {
    for (const node of this.#nodes?.values() ?? []) this.#index.delete(node.identity);
    this.#nodes = new Map();
    this.#chars = 0;
  }

  #set(node: PublishedNode): void {
    const changes = changesOf(this.#nodes?.get(node.key), node);
    this.#put(node);
    for (const change of changes) this.#index.changed(change);
  }

  #put(node: PublishedNode): void {
    const nodes = this.#load();
    const before = nodes.get(node.key);
    if (before !== undefined && before.identity !== node.identity) this.#index.delete(before.identity);
    this.#chars += node.text.length - (before?.text.length ?? 0);
    nodes.set(node.key, node);
    this.#index.put(node);
    if (node.kind === 'host') this.#about = node;
  }

  #delete(key: string): void {
    const nodes = this.#load();
    const node = nodes.get(key);
    if (node === undefined) return;
    nodes.delete(key);
    this.#chars -= node.text.length;
    this.#index.delete(node.identity);
    this.#index.changed({ type: 'node_removed', node });
  }
}
