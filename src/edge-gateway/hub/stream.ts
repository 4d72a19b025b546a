/**
 * The published stream of one link: numbered `sync` and `delta` frames, turned into whole states.
 *
 *  1. The first number on a link is the agent's choice; from then on each frame counts one up. An older or equal number
 *     is stale and dropped.
 *  2. `sync` frames are staged and shown only when the last has come, all at once. A `delta` between them goes to the
 *     stage. What was shown before stays shown until then, with its age.
 *  3. A gap drops the stage and asks for a `resync`. Frames are then skipped up to a `sync` frame that holds the Host
 *     node, which begins the new state: the tail of the old one, still on its way, does not hold it.
 */
import type { AgentFrame } from '../../contract/index.ts';
import { NODES_PER_HOST_MAX, STATE_PER_HOST_MAX_CHARS } from '../limits.ts';
import { type PublishedNode, readPublished } from './published.ts';
import { checkReference } from './references.ts';

type SyncFrame = Extract<AgentFrame, { type: 'sync' }>;
type DeltaFrame = Extract<AgentFrame, { type: 'delta' }>;

/** What the owner of the stream has to do about a frame. */
export type StreamStep =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'gap'; readonly reason: string }
  | { readonly kind: 'replace'; readonly nodes: ReadonlyMap<string, PublishedNode> }
  | { readonly kind: 'change'; readonly nodes: readonly PublishedNode[]; readonly removed: readonly string[] }
  | { readonly kind: 'violation'; readonly reason: string };

const NOTHING: StreamStep = { kind: 'nothing' };

export class PublishedStream {
  readonly #ownHost: string;
  #lastSeq: number | null = null;
  #stage: Map<string, PublishedNode> | null = null;
  #stageChars = 0;
  #hasState = false;
  #awaitsResync = false;

  /** @param ownHost location key of the host that publishes. */
  constructor(ownHost: string) {
    this.#ownHost = ownHost;
  }

  /** True once a whole state has come on this link and none is being waited for. */
  get isSettled(): boolean {
    return this.#hasState && !this.#awaitsResync && this.#stage === null;
  }

  take(frame: SyncFrame | DeltaFrame): StreamStep {
    const last = this.#lastSeq;
    if (last !== null && frame.seq <= last) return { kind: 'stale' };
    this.#lastSeq = frame.seq;
    if (last !== null && frame.seq > last + 1) {
      this.#stage = null;
      this.#awaitsResync = true;
      // The frame after the gap may itself begin the new state, when the agent noticed before it was asked.
      return { kind: 'gap', reason: `expected frame ${last + 1}, got ${frame.seq}` };
    }
    return frame.type === 'sync' ? this.#sync(frame) : this.#delta(frame);
  }

  #sync(frame: SyncFrame): StreamStep {
    if (this.#awaitsResync) {
      if (!frame.nodes.some(({ properties }) => 'Host' in properties)) return NOTHING;
      this.#awaitsResync = false;
    }
    if (this.#stage === null) {
      this.#stage = new Map();
      this.#stageChars = 0;
    }
    const stage = this.#stage;
    for (const payload of frame.nodes) {
      const node = readPublished(payload, this.#ownHost);
      if (typeof node === 'string') return { kind: 'violation', reason: node };
      this.#stageChars += node.text.length - (stage.get(node.key)?.text.length ?? 0);
      stage.set(node.key, node);
    }
    if (stage.size > NODES_PER_HOST_MAX) return tooMany(`${NODES_PER_HOST_MAX} nodes`);
    if (this.#stageChars > STATE_PER_HOST_MAX_CHARS) return tooMany(`${STATE_PER_HOST_MAX_CHARS} characters`);
    if (frame.more) return NOTHING;
    const hosts = [...stage.values()].filter(({ kind }) => kind === 'host');
    if (hosts.length !== 1) return { kind: 'violation', reason: `a sync holds one host node, not ${hosts.length}` };
    this.#stage = null;
    this.#hasState = true;
    return { kind: 'replace', nodes: stage };
  }

  #delta(frame: DeltaFrame): StreamStep {
    if (this.#awaitsResync) return NOTHING;
    if (this.#stage === null && !this.#hasState) return { kind: 'violation', reason: 'delta before the first sync' };
    const nodes: PublishedNode[] = [];
    for (const payload of frame.nodes) {
      const node = readPublished(payload, this.#ownHost);
      if (typeof node === 'string') return { kind: 'violation', reason: node };
      nodes.push(node);
    }
    const removed: string[] = [];
    for (const text of frame.removed) {
      const reference = checkReference(text);
      if (typeof reference === 'string') return { kind: 'violation', reason: reference };
      if (reference.host !== this.#ownHost) return { kind: 'violation', reason: `removed '${text}' is another host's` };
      if (reference.ref.kind === 'host') return { kind: 'violation', reason: 'the host node is removed by bye alone' };
      removed.push(reference.key);
    }
    if (this.#stage === null) return { kind: 'change', nodes, removed };
    for (const node of nodes) this.#stage.set(node.key, node);
    for (const key of removed) this.#stage.delete(key);
    return NOTHING;
  }
}

function tooMany(bound: string): StreamStep {
  return { kind: 'violation', reason: `a host publishes at most ${bound}` };
}
