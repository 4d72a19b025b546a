/**
 * What a host may publish: nodes of its own, named and linked as the contract says. Checked once, when it comes in, and
 * written as JSON once; every later read sends that text.
 *
 *  - every reference is canonical and belongs to this host (NI-1); `failure_info` and `sender` may name other hosts
 *  - a host reference carries Host properties, a proc reference Proc, an actor reference Actor, or any of them Error (SP-2)
 *  - parents are containment: root, host, proc (NI-2, SP-3); system and stopped sets are subsets of children (LC-1 to LC-4)
 */
import { type NodePayload, parseActorRef, procOf, refKey } from '../../contract/index.ts';
import type { GatewayLimits } from '../limits.ts';
import { sinceOf, statusOf } from './node-status.ts';
import type { CheckedRef, References } from './references.ts';

export interface PublishedNode {
  readonly key: string;
  readonly identity: string;
  readonly kind: 'host' | 'proc' | 'actor';
  readonly text: string;
  readonly children: readonly string[];
  readonly as_of_ms: number;
  readonly parent: string;
  /** What live updates tell of it, as JSON text: two nodes with the same text have the same status. */
  readonly status: string;
  /** When the handler that runs longest began. */
  readonly since: string | null;
  /** Colon form of the host's address, on Host nodes. */
  readonly addr: string | null;
}

/** What a node is read by: the references known to be canonical, and the bounds. */
export interface NodeRules {
  readonly references: References;
  readonly limits: GatewayLimits;
}

/** Why a host's state is too large, or null. */
export function boundError(nodeCount: number, charCount: number, limits: GatewayLimits): string | null {
  const { nodes_per_host_max, state_per_host_max_chars } = limits;
  if (nodeCount > nodes_per_host_max) return `a host publishes at most ${nodes_per_host_max} nodes`;
  if (charCount > state_per_host_max_chars) return `a host publishes at most ${state_per_host_max_chars} characters`;
  return null;
}

/** The node as it will be kept, or one line saying what is wrong with it. */
export function readPublished(payload: NodePayload, ownHost: string, rules: NodeRules): PublishedNode | string {
  const { references, limits } = rules;
  const self = ownReference(payload.identity, ownHost, references);
  if (typeof self === 'string') return self;
  const { kind } = self.ref;
  if (kind === 'root') return 'root is not published by hosts';
  const wrong = (what: string) => `node ${payload.identity}: ${what}`;
  const variant = Object.keys(payload.properties)[0] ?? '';
  if (variant !== 'Error' && variant.toLowerCase() !== kind)
    return wrong(`${variant} properties on a ${kind} reference`);
  for (const child of payload.children) {
    const reference = ownReference(child, ownHost, references);
    if (typeof reference === 'string') return wrong(reference);
  }
  const error = parentError(payload, self, ownHost, references) ?? linkError(payload) ?? foreignError(payload);
  if (error !== null) return wrong(error);
  return {
    key: self.key,
    identity: payload.identity,
    kind,
    text: JSON.stringify(payload),
    children: payload.children,
    as_of_ms: Date.parse(payload.as_of),
    parent: payload.parent ?? 'root',
    status: JSON.stringify(statusOf(payload, limits)),
    since: sinceOf(payload),
    addr: 'Host' in payload.properties ? payload.properties.Host.addr : null,
  };
}

function ownReference(text: string, ownHost: string, references: References): CheckedRef | string {
  const reference = references.check(text);
  if (typeof reference === 'string' || reference.host === ownHost) return reference;
  return `reference '${text}' belongs to ${reference.host === '' ? 'no host' : reference.host}, not to ${ownHost}`;
}

function parentError(payload: NodePayload, self: CheckedRef, ownHost: string, references: References): string | null {
  const { parent } = payload;
  if (self.ref.kind === 'host') return parent === 'root' ? null : 'the parent of a host is root (NI-2)';
  const reference = parent === null ? 'parent is null' : ownReference(parent, ownHost, references);
  if (typeof reference === 'string') return reference;
  if (self.ref.kind === 'proc') return reference.ref.kind === 'host' ? null : 'the parent of a proc is its host (NI-2)';
  const proc = self.ref.kind === 'actor' ? refKey(procOf(self.ref)) : '';
  return reference.key === proc ? null : 'the parent of an actor is its proc (NI-2)';
}

function linkError(payload: NodePayload): string | null {
  const { properties } = payload;
  if ('Host' in properties && properties.Host.system_children.length > 0) return 'system_children of a host (LC-2)';
  if (!('Proc' in properties)) return null;
  const { system_children, stopped_children } = properties.Proc;
  if (system_children.length + stopped_children.length === 0) return null;
  const children = new Set(payload.children);
  if (system_children.some((child) => !children.has(child))) return 'system_children beyond children (LC-3)';
  if (stopped_children.some((child) => !children.has(child))) return 'stopped_children beyond children (LC-4)';
  return null;
}

/** References that may lead to other hosts still have to be readable: clients reject a payload over one that is not. */
function foreignError(payload: NodePayload): string | null {
  if (!('Actor' in payload.properties)) return null;
  const { failure_info, inbound_ordering } = payload.properties.Actor;
  if (failure_info !== null) {
    const cause = parseActorRef(failure_info.root_cause_actor);
    if (!cause.ok) return `failure_info.root_cause_actor: ${cause.error}`;
  }
  for (const session of inbound_ordering?.sessions ?? []) {
    if (session.sender === null) continue;
    const sender = parseActorRef(session.sender);
    if (!sender.ok) return `inbound_ordering.sessions sender: ${sender.error}`;
  }
  return null;
}
