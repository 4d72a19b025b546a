/** One host: the state it published last, whether its link stands, and the calls that readers share. */

import * as v from 'valibot';
import {
  type ActorRef,
  type Failure,
  type HelloFrame,
  hostLocation,
  locationKey,
  NodePayload,
  type Outcome,
  refKey,
  success,
} from '../../contract/index.ts';
import { RESOLVE_WAIT_MS } from '../limits.ts';
import type { HostView, NodeView } from '../ports.ts';
import type { CallEnd, CallTable } from './calls.ts';
import { changesOf, differenceOf, type NodeChange } from './node-change.ts';
import { boundError, type PublishedNode, readPublished } from './published.ts';

/** What a host, and who decides about its name, need of the link that stands. */
export interface HostLink {
  readonly hello: HelloFrame | null;
  readonly calls: CallTable;
  /** Clock of the last frame, milliseconds of `performance.now()`. */
  readonly heard_at_ms: number;
  /** True once a whole state has come over this very link. */
  readonly hasPublished: boolean;
  close(code: number, reason: string): void;
}

/** An `introspect` in flight, joined by everybody who asks for the same actor meanwhile. */
interface SharedCall {
  readonly started_at_ms: number;
  readonly answer: Promise<IntrospectEnd>;
  waiters: number;
  cancel(): void;
}

export type IntrospectEnd =
  | { readonly kind: 'fresh'; readonly text: string }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | Exclude<CallEnd, { kind: 'answer' | 'fault' }>;

export class HostState implements HostView {
  readonly name: string;
  readonly key: string;
  session: HostLink | null = null;
  /** Wall clock of the last frame, milliseconds since the epoch. */
  heard_at_ms = Date.now();
  #nodes: Map<string, PublishedNode> = new Map();
  #hostNode: PublishedNode | null = null;
  #chars = 0;
  readonly #texts: Map<string, LocatedNode>;
  readonly #shared = new Map<string, SharedCall>();
  readonly #onChange: (host: HostState, change: NodeChange) => void;

  /**
   * @param texts index over all hosts, from canonical reference to node, which this host keeps up to date
   * @param onChange told of each node that differs from before, whole states aside; default nobody
   */
  constructor(
    name: string,
    texts: Map<string, LocatedNode>,
    onChange: (host: HostState, change: NodeChange) => void = () => {},
  ) {
    this.name = name;
    this.key = locationKey(hostLocation(name));
    this.#texts = texts;
    this.#onChange = onChange;
  }

  get identity(): string {
    return this.#hostNode?.identity ?? '';
  }

  get addr(): string | null {
    return this.#hostNode?.addr ?? null;
  }

  /** True when what is published here came over the link that stands now. */
  get isLinked(): boolean {
    return this.session?.hasPublished === true;
  }

  get hasState(): boolean {
    return this.#hostNode !== null;
  }

  get age_ms(): number {
    return Math.max(0, Date.now() - this.heard_at_ms);
  }

  get size(): number {
    return this.#nodes.size;
  }

  nodes(): Iterable<NodeView> {
    return this.#nodes.values();
  }

  node(reference: string): NodeView | undefined {
    const located = this.#texts.get(reference);
    return located?.host === this ? located.node : undefined;
  }

  find(key: string): PublishedNode | undefined {
    return this.#nodes.get(key);
  }

  /** Gives what differs from the state before; null when there was none, or when it is too much to tell. */
  replace(nodes: ReadonlyMap<string, PublishedNode>): readonly NodeChange[] | null {
    const difference = this.hasState ? differenceOf(this.#nodes, nodes) : null;
    this.#clear();
    for (const node of nodes.values()) this.#put(node);
    return difference;
  }

  /** Applies a delta; gives the reason when a bound was passed. */
  change(nodes: readonly PublishedNode[], removed: readonly string[]): string | null {
    for (const key of removed) this.#delete(key);
    for (const node of nodes) this.#set(node);
    return boundError(this.#nodes.size, this.#chars);
  }

  forget(): void {
    this.#clear();
    this.#hostNode = null;
  }

  #clear(): void {
    for (const node of this.#nodes.values()) this.#texts.delete(node.identity);
    this.#nodes = new Map();
    this.#chars = 0;
  }

  /**
   * Asks the agent for an actor, or joins the question that is already on its way (single flight). The call is cancelled
   * when `leave` has been called as often as `introspect`.
   */
  introspect(ref: ActorRef, reference: string): { readonly call: SharedCall; leave(): void } | null {
    const key = refKey(ref);
    let call = this.#shared.get(key);
    if (call === undefined) {
      if (this.session === null) return null;
      const started = this.session.calls.start({ method: 'introspect', reference }, RESOLVE_WAIT_MS);
      const fresh: SharedCall = {
        started_at_ms: performance.now(),
        waiters: 0,
        cancel: started.cancel,
        answer: started.end.then((end) => {
          if (this.#shared.get(key) === fresh) this.#shared.delete(key);
          return this.#introspected(key, end);
        }),
      };
      call = fresh;
      this.#shared.set(key, call);
    }
    const joined = call;
    joined.waiters += 1;
    const leave = () => {
      joined.waiters -= 1;
      if (joined.waiters > 0) return;
      if (this.#shared.get(key) === joined) this.#shared.delete(key);
      joined.cancel();
    };
    return { call: joined, leave };
  }

  /** Validates an answer, once for all who share it, and keeps it when it is newer than what was published and fits. */
  #introspected(key: string, end: CallEnd): IntrospectEnd {
    if (end.kind === 'fault') return { kind: 'failed', failure: end.failure };
    if (end.kind !== 'answer') return end;
    const node = readAnswer(end.text, key, this.key);
    if (!node.ok) return { kind: 'failed', failure: node.failure };
    const known = this.#nodes.get(key);
    if (known !== undefined && node.value.as_of_ms > known.as_of_ms) {
      const chars = this.#chars + node.value.text.length - known.text.length;
      if (boundError(this.#nodes.size, chars) === null) this.#set(node.value);
    }
    return { kind: 'fresh', text: node.value.text };
  }

  #set(node: PublishedNode): void {
    const changes = changesOf(this.#nodes.get(node.key), node);
    this.#put(node);
    for (const change of changes) this.#onChange(this, change);
  }

  #put(node: PublishedNode): void {
    const before = this.#nodes.get(node.key);
    if (before !== undefined && before.identity !== node.identity) this.#texts.delete(before.identity);
    this.#chars += node.text.length - (before?.text.length ?? 0);
    this.#nodes.set(node.key, node);
    this.#texts.set(node.identity, { host: this, node });
    if (node.kind === 'host') this.#hostNode = node;
  }

  #delete(key: string): void {
    const node = this.#nodes.get(key);
    if (node === undefined) return;
    this.#nodes.delete(key);
    this.#chars -= node.text.length;
    this.#texts.delete(node.identity);
    this.#onChange(this, { type: 'node_removed', node });
  }
}

export interface LocatedNode {
  readonly host: HostState;
  readonly node: PublishedNode;
}

function readAnswer(text: string, key: string, ownHost: string): Outcome<PublishedNode> {
  const broken = (why: string): Outcome<never> => ({
    ok: false,
    failure: { code: 'internal_error', message: `failed to receive the node from its host agent: ${why}` },
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return broken('the answer is not JSON');
  }
  const payload = v.safeParse(NodePayload, json);
  if (!payload.success) return broken(`${v.getDotPath(payload.issues[0]) ?? ''}: ${payload.issues[0].message}`);
  const node = readPublished(payload.output, ownHost);
  if (typeof node === 'string') return broken(node);
  return node.key === key ? success(node) : broken(`asked for ${key}, got ${node.identity}`);
}
