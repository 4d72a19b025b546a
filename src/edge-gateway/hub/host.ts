/** One host: the state it published last, whether its link is open, and the calls that readers share. */

import * as v from 'valibot';
import { type Failure, type Outcome, success } from '../../base/index.ts';
import { type ActorRef, NodePayload, refKey } from '../../contract/index.ts';
import type { CallEnd } from '../../link/index.ts';
import type { HostView, NodeView } from '../ports.ts';
import { agentFailure } from './calls.ts';
import type { HostLink } from './host-link.ts';
import { HostNodes, type NodeOwner, type NodeStore, nodeStore } from './host-nodes.ts';
import type { KeptHost } from './keeper.ts';
import type { NodeChange } from './node-change.ts';
import { type PublishedNode, readPublished } from './published.ts';

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
  | Exclude<CallEnd, { kind: 'answer' | 'fault' | 'too_large' }>;

export class HostState implements HostView, NodeOwner {
  readonly name: string;
  readonly key: string;
  session: HostLink | null = null;
  #heard_at_ms: number;
  readonly #store: NodeStore;
  readonly #nodes: HostNodes;
  readonly #texts: Map<string, LocatedNode>;
  readonly #shared = new Map<string, SharedCall>();

  /**
   * @param key of the location of its references
   * @param texts index over all hosts, from canonical reference to node, which this host keeps up to date
   * @param onChange called with each node that a delta or an answer changed
   * @param store default: memory only
   * @param kept the host as the keeper has it; default: it has none
   */
  constructor(
    key: string,
    name: string,
    texts: Map<string, LocatedNode>,
    onChange: (host: HostState, change: NodeChange) => void = () => {},
    store: NodeStore = nodeStore(),
    kept: KeptHost | null = null,
  ) {
    this.name = name;
    this.key = key;
    this.#store = store;
    this.#heard_at_ms = kept?.heard_at_ms ?? Date.now();
    this.#texts = texts;
    const index = {
      put: (node: PublishedNode) => texts.set(node.identity, { host: this, node }),
      delete: (identity: string) => texts.delete(identity),
      changed: (change: NodeChange) => onChange(this, change),
    };
    this.#nodes = new HostNodes(this, index, store, kept);
  }

  get identity(): string {
    return this.#nodes.about?.identity ?? '';
  }

  get addr(): string | null {
    return this.#nodes.about?.addr ?? null;
  }

  /** True when the published state came over the link that is open now. */
  get isLinked(): boolean {
    return this.session?.hasPublished === true;
  }

  /** True when the kept state came over a link that has ended since, which has not been reported. */
  get isLossUnreported(): boolean {
    return this.#nodes.isKeptAsLinked && this.session === null;
  }

  get hasState(): boolean {
    return this.#nodes.about !== null;
  }

  /** Wall clock of the last sign of life, milliseconds since the epoch. */
  get heard_at_ms(): number {
    return Math.max(this.#heard_at_ms, this.session?.answered_at_ms ?? 0);
  }

  /** @param at_ms wall clock, milliseconds since the epoch. */
  heard(at_ms: number): void {
    this.#heard_at_ms = Math.max(this.#heard_at_ms, at_ms);
  }

  get age_ms(): number {
    return Math.max(0, Date.now() - this.heard_at_ms);
  }

  get size(): number {
    return this.#nodes.size;
  }

  nodes(): Iterable<NodeView> {
    return this.#nodes.loaded().values();
  }

  node(reference: string): NodeView | undefined {
    this.#nodes.loaded();
    const located = this.#texts.get(reference);
    return located?.host === this ? located.node : undefined;
  }

  find(key: string): PublishedNode | undefined {
    return this.#nodes.loaded().get(key);
  }

  /** Gives what differs from the state before; null when there was none, or when it is too much to tell. */
  replace(nodes: ReadonlyMap<string, PublishedNode>): readonly NodeChange[] | null {
    return this.#nodes.replace(nodes);
  }

  /** Applies a delta; gives the reason when a bound was passed. */
  change(nodes: readonly PublishedNode[], removed: readonly string[]): string | null {
    return this.#nodes.change(nodes, removed);
  }

  /** The link has ended: whatever it said last was said now. */
  unlink(): void {
    this.#heard_at_ms = this.heard_at_ms;
    this.session = null;
    if (this.hasState) this.#nodes.keepHost(false);
  }

  keepHeard(): void {
    this.#nodes.keepHeard();
  }

  forget(): void {
    this.#nodes.forget();
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
      const { resolve_wait_ms } = this.#store.limits;
      const started = this.session.calls.start({ method: 'introspect', reference }, resolve_wait_ms);
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
    if (end.kind === 'fault' || end.kind === 'too_large') return { kind: 'failed', failure: agentFailure(end) };
    if (end.kind !== 'answer') return end;
    const node = readAnswer(end.text, key, this.key, this.#store);
    if (!node.ok) return { kind: 'failed', failure: node.failure };
    this.#nodes.freshen(node.value);
    return { kind: 'fresh', text: node.value.text };
  }
}

export interface LocatedNode {
  readonly host: HostState;
  readonly node: PublishedNode;
}

function readAnswer(text: string, key: string, ownHost: string, store: NodeStore): Outcome<PublishedNode> {
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
  const node = readPublished(payload.output, ownHost, store);
  if (typeof node === 'string') return broken(node);
  return node.key === key ? success(node) : broken(`asked for ${key}, got ${node.identity}`);
}
