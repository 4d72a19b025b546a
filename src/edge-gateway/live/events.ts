/** Live updates as text, in the form of contract/live.ts. */
import { timestamp } from '../../base/index.ts';
import type { LiveEvent } from '../../contract/index.ts';
import type { NodeChange } from '../hub/node-change.ts';
import type { PublishedNode } from '../hub/published.ts';
import type { GatewayLimits } from '../limits.ts';

/** A host as events name it. */
export interface HostName {
  readonly name: string;
  readonly identity: string;
}

/** The type of an event, and the event as one line of JSON. */
export type LiveMessage = readonly [type: LiveEvent['type'], data: string];

/** Called with what changes in a hub. */
export interface LiveListener {
  /** @param read_again false when every difference from the state before follows */
  linked(host: HostName, read_again: boolean): void;
  lost(host: HostName): void;
  removed(host: HostName): void;
  changed(host: HostName, change: NodeChange): void;
  /** The hub has ended: nothing follows. */
  close(): void;
}

export function hostLinked(host: HostName, read_again: boolean): LiveMessage {
  return message({ type: 'host_linked', ...aboutHost(host), read_again });
}

export function hostLost(host: HostName): LiveMessage {
  return message({ type: 'host_lost', ...aboutHost(host) });
}

export function hostRemoved(host: HostName): LiveMessage {
  return message({ type: 'host_removed', ...aboutHost(host) });
}

export function nodeChanged({ name }: HostName, { type, node }: NodeChange, limits: GatewayLimits): LiveMessage {
  const about = { reference: node.identity, kind: node.kind, host: name };
  const { parent } = node;
  if (type === 'node_removed') return message({ type, ...about, as_of: timestamp(Date.now()), parent });
  return [type, nodeData(type, about, node, limits)];
}

function message(event: LiveEvent): LiveMessage {
  return [event.type, JSON.stringify(event)];
}

function aboutHost({ name, identity }: HostName) {
  return { reference: identity, kind: 'host' as const, host: name, as_of: timestamp(Date.now()) };
}

/** The status is text already, made when the node was published. */
function nodeData(type: string, about: object, node: PublishedNode, { live_event_max_chars }: GatewayLimits): string {
  const { parent, since, status } = node;
  const as_of = timestamp(node.as_of_ms);
  const head = JSON.stringify({ type, ...about, as_of, parent, num_children: node.children.length, since });
  const data = `${head.slice(0, -1)},"status":${status}}`;
  return data.length > live_event_max_chars ? `${head.slice(0, -1)},"status":null}` : data;
}
