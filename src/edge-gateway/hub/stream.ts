/**
 * The published stream of one link: numbered `sync` and `delta` frames, turned into whole states.
 *
 *  1. The first number on a link is the agent's choice; from then on each frame counts one up. An older or equal number
 *     is stale and dropped.
 *  2. `sync` frames are staged and shown only when the last has come, all at once. A `delta` between them goes to the
 *     stage. What was shown before stays shown until then, with its age.
 *  3. A gap drops the stage and asks for a `resync`. Frames are then skipped up to a `sync` frame that holds the Host
 *     node, which begins the new state: the tail of the old one, still on its way, does not hold it.
 *
 * Where there is a keeper, each frame that goes to the stage is kept there too, so that another object can continue the
 * stream of a lost one: from the result of `kept`, and from the stage, which is read back when a frame needs it.
 */
import type { AgentFrame, NodePayload } from '../../contract/index.ts';
import { type NodeStore, nodeStore } from './host-nodes.ts';
import type { HubKeeper } from './keeper.ts';
import { boundError, type PublishedNode, readPublished } from './published.ts';

type SyncFrame = Extract<AgentFrame, { type: 'sync' }>;
type DeltaFrame = Extract<AgentFrame, { type: 'delta' }>;

/** What the owner of the stream has to do about a frame. */
export type StreamStep =
  | { readonly kind: 'nothing' }
  /** A new state is on its way and not whole yet. */
  | { readonly kind: 'begun' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'gap'; readonly reason: string }
  | { readonly kind: 'replace'; readonly nodes: ReadonlyMap<string, PublishedNode> }
  | { readonly kind: 'change'; readonly nodes: readonly PublishedNode[]; readonly removed: readonly string[] }
  | { readonly kind: 'violation'; readonly reason: string };

/** Where a stream is, apart from what is staged and shown. */
export interface KeptStream {
  readonly lastSeq: number | null;
  readonly awaitsResync: boolean;
  readonly hasStage: boolean;
}

const NOTHING: StreamStep = { kind: 'nothing' };

export class PublishedStream {
  readonly #ownHost: string;
  readonly #keeper: HubKeeper | null;
  readonly #store: NodeStore;
  #lastSeq: number | null;
  #stage: Map<string, PublishedNode> | null = null;
  #stageChars = 0;
  /** True while there is a stage that only the keeper has. */
  #isStageAway: boolean;
  /** The reference of the Host node that is shown; null before the first whole state. */
  #hostNode: string | null;
  #awaitsResync: boolean;

  /**
   * @param ownHost location key of the host that publishes.
   * @param kept where an earlier object left the stream; default: it is new
   * @param hostNode reference of the Host node that this stream has shown; null when none
   */
  constructor(
    ownHost: string,
    store: NodeStore = nodeStore(),
    kept: KeptStream | null = null,
    hostNode: string | null = null,
  ) {
    this.#ownHost = ownHost;
    this.#keeper = store.keeper;
    this.#store = store;
    this.#lastSeq = kept?.lastSeq ?? null;
    this.#awaitsResync = kept?.awaitsResync ?? false;
    this.#isStageAway = kept?.hasStage ?? false;
    this.#hostNode = hostNode;
  }

  /** True once a whole state has come on this link and none is being waited for. */
  get isSettled(): boolean {
    return this.#hostNode !== null && !this.#awaitsResync && !this.#hasStage;
  }

  get kept(): KeptStream {
    return { lastSeq: this.#lastSeq, awaitsResync: this.#awaitsResync, hasStage: this.#hasStage };
  }

  get #hasStage(): boolean {
    return this.#stage !== null || this.#isStageAway;
  }

  /** Nothing more will come: what is staged will never be shown. */
  close(): void {
    this.#dropStage();
  }

  take(frame: SyncFrame | DeltaFrame): StreamStep {
    const last = this.#lastSeq;
    if (last !== null && frame.seq <= last) return { kind: 'stale' };
    this.#lastSeq = frame.seq;
    if (last !== null && frame.seq > last + 1) {
      this.#dropStage();
      this.#awaitsResync = true;
      // The frame after the gap may itself begin the new state, when the agent noticed before it was asked.
      return { kind: 'gap', reason: `expected frame ${last + 1}, got ${frame.seq}` };
    }
    if (this.#isStageAway) this.#readStage();
    return frame.type === 'sync' ? this.#sync(frame) : this.#delta(frame);
  }

  #sync(frame: SyncFrame): StreamStep {
    if (this.#awaitsResync) {
      if (!frame.nodes.some(({ properties }) => 'Host' in properties)) return NOTHING;
      this.#awaitsResync = false;
    }
    const isFirst = this.#stage === null;
    if (isFirst) this.#stageChars = 0;
    const stage = this.#stage ?? new Map<string, PublishedNode>();
    this.#stage = stage;
    for (const payload of frame.nodes) {
      const node = readPublished(payload, this.#ownHost, this.#store);
      if (typeof node === 'string') return { kind: 'violation', reason: node };
      this.#put(stage, node);
    }
    const error = boundError(stage.size, this.#stageChars, this.#store.limits);
    if (error !== null) return { kind: 'violation', reason: error };
    if (frame.more) {
      // What a link left behind that ended unseen is not of this stage.
      if (isFirst) this.#keeper?.clearStage(this.#ownHost);
      this.#keepStep(frame.nodes, []);
      return isFirst ? { kind: 'begun' } : NOTHING;
    }
    const hosts = [...stage.values()].filter(({ kind }) => kind === 'host');
    const [host] = hosts;
    if (host === undefined || hosts.length > 1) {
      return { kind: 'violation', reason: `a sync holds one host node, not ${hosts.length}` };
    }
    this.#stage = null;
    this.#hostNode = host.identity;
    return { kind: 'replace', nodes: stage };
  }

  #delta(frame: DeltaFrame): StreamStep {
    if (this.#awaitsResync) return NOTHING;
    if (this.#stage === null && this.#hostNode === null)
      return { kind: 'violation', reason: 'delta before the first sync' };
    const nodes: PublishedNode[] = [];
    for (const payload of frame.nodes) {
      const node = readPublished(payload, this.#ownHost, this.#store);
      if (typeof node === 'string') return { kind: 'violation', reason: node };
      if (this.#stage === null && node.kind === 'host' && node.identity !== this.#hostNode) {
        return { kind: 'violation', reason: `a delta may not put ${node.identity} in the place of ${this.#hostNode}` };
      }
      nodes.push(node);
    }
    const removed: string[] = [];
    for (const text of frame.removed) {
      const reference = this.#store.references.check(text);
      if (typeof reference === 'string') return { kind: 'violation', reason: reference };
      if (reference.host !== this.#ownHost) return { kind: 'violation', reason: `removed '${text}' is another host's` };
      if (reference.ref.kind === 'host') return { kind: 'violation', reason: 'the host node is removed by bye alone' };
      removed.push(reference.key);
    }
    const stage = this.#stage;
    if (stage === null) return { kind: 'change', nodes, removed };
    for (const key of removed) this.#remove(stage, key);
    for (const node of nodes) this.#put(stage, node);
    const error = boundError(stage.size, this.#stageChars, this.#store.limits);
    if (error !== null) return { kind: 'violation', reason: error };
    this.#keepStep(frame.nodes, removed);
    return NOTHING;
  }

  #put(stage: Map<string, PublishedNode>, node: PublishedNode): void {
    this.#stageChars += node.text.length - (stage.get(node.key)?.text.length ?? 0);
    stage.set(node.key, node);
  }

  #remove(stage: Map<string, PublishedNode>, key: string): void {
    this.#stageChars -= stage.get(key)?.text.length ?? 0;
    stage.delete(key);
  }

  #keepStep(nodes: readonly NodePayload[], removed: readonly string[]): void {
    this.#keeper?.stage(this.#ownHost, { nodes: JSON.stringify(nodes), removed });
  }

  #readStage(): void {
    const stage = new Map<string, PublishedNode>();
    this.#stageChars = 0;
    for (const step of this.#keeper?.staged(this.#ownHost) ?? []) {
      for (const key of step.removed) this.#remove(stage, key);
      for (const payload of JSON.parse(step.nodes)) {
        const node = readPublished(payload, this.#ownHost, this.#store);
        if (typeof node !== 'string') this.#put(stage, node);
      }
    }
    this.#stage = stage;
    this.#isStageAway = false;
  }

  #dropStage(): void {
    if (this.#hasStage) this.#keeper?.clearStage(this.#ownHost);
    this.#stage = null;
    this.#isStageAway = false;
  }
}
