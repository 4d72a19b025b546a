/**
 * What is known of the mesh while it is followed: read whole when a snapshot is due, brought up to date by events. Every
 * step gives what it changed, one line each for people.
 */
import type { LiveEvent, NodePayload } from '../../contract/index.ts';
import { hostName } from '../names.ts';
import type { TreeNode } from '../render/tree.ts';
import { nodeOf } from './event-node.ts';
import { describeChange } from './lines.ts';

/** A change, for people: when it was, and what. */
export interface Line {
  readonly at_ms: number;
  readonly text: string;
}

export class MeshModel {
  /** Hosts in the order in which they are shown, and why one cannot be asked; null when it can. */
  readonly #hosts = new Map<string, string | null>();
  readonly #nodes = new Map<string, NodePayload>();
  readonly #children = new Map<string, Set<string>>();
  readonly #showsAll: boolean;

  /** @param showsAll changes of the infrastructure are lines as well */
  constructor(showsAll: boolean) {
    this.#showsAll = showsAll;
  }

  /**
   * Takes the whole mesh as it was read.
   *
   * @param keepsMissing a host that is not in it is kept as out of reach: it may not have dialled a new gateway yet
   */
  replace(hosts: readonly TreeNode[], keepsMissing: boolean): Line[] {
    const now_ms = Date.now();
    const read = new Set(hosts.map(({ reference }) => reference));
    const lines: Line[] = [];
    for (const reference of [...this.#hosts.keys()]) {
      if (read.has(reference)) continue;
      if (keepsMissing) lines.push(...this.#lose(reference, now_ms, 'not linked to this gateway'));
      else lines.push(...this.#removeHost(reference, now_ms));
    }
    for (const host of hosts) lines.push(...this.replaceHost(host));
    return lines;
  }

  /** Takes one host as it was read, with all below it. */
  replaceHost(host: TreeNode): Line[] {
    const now_ms = Date.now();
    const { reference, node } = host;
    const known = this.#hosts.get(reference);
    if (typeof node === 'string') {
      if (known === undefined) this.#hosts.set(reference, null);
      return this.#lose(reference, now_ms, node);
    }
    this.#hosts.set(reference, null);
    const lines: Line[] =
      known === undefined || known !== null ? [{ at_ms: now_ms, text: `host ${hostName(reference)} linked` }] : [];
    const below = new Map<string, NodePayload>();
    const collect = (tree: TreeNode): void => {
      if (typeof tree.node === 'string') return;
      below.set(tree.reference, tree.node);
      tree.children.forEach(collect);
    };
    collect(host);
    for (const old of this.#below(reference)) if (!below.has(old)) lines.push(...this.#remove(old, now_ms));
    for (const each of below.values()) lines.push(...this.#put(each, now_ms));
    return lines;
  }

  /** Applies an event; a snapshot and a host that has to be read are for `replace` and `replaceHost`. */
  apply(event: LiveEvent): Line[] {
    if (event.type === 'snapshot') return [];
    const { reference } = event;
    const at_ms = Date.parse(event.as_of);
    switch (event.type) {
      case 'host_linked': {
        this.#hosts.set(reference, null);
        return [{ at_ms, text: `host ${event.host} linked` }];
      }
      case 'host_lost':
        return this.#lose(reference, at_ms, 'its link is gone');
      case 'host_removed':
        return this.#removeHost(reference, at_ms);
      case 'node_removed':
        return this.#remove(reference, at_ms);
      default: {
        const node = nodeOf(event, this.#nodes.get(reference), this.#nodes.get(event.parent));
        return this.#put(node, at_ms);
      }
    }
  }

  toTree(): TreeNode[] {
    const tree = (reference: string): TreeNode => {
      const children = [...(this.#children.get(reference) ?? [])].filter((child) => this.#nodes.has(child)).map(tree);
      return { reference, node: this.#nodes.get(reference) ?? 'not read yet', children };
    };
    return [...this.#hosts].map(([reference, lost]) =>
      lost === null ? tree(reference) : { reference, node: lost, children: [] },
    );
  }

  #put(node: NodePayload, at_ms: number): Line[] {
    const before = this.#nodes.get(node.identity);
    this.#nodes.set(node.identity, node);
    if (node.parent !== null && node.parent !== 'root') {
      const siblings = this.#children.get(node.parent) ?? new Set();
      this.#children.set(node.parent, siblings.add(node.identity));
    }
    return this.#line(before, node, at_ms);
  }

  #remove(reference: string, at_ms: number): Line[] {
    const before = this.#nodes.get(reference);
    this.#nodes.delete(reference);
    this.#children.delete(reference);
    if (before?.parent != null) this.#children.get(before.parent)?.delete(reference);
    return this.#line(before, undefined, at_ms);
  }

  #removeHost(reference: string, at_ms: number): Line[] {
    if (!this.#hosts.delete(reference)) return [];
    for (const old of this.#below(reference)) {
      this.#nodes.delete(old);
      this.#children.delete(old);
    }
    return [{ at_ms, text: `host ${hostName(reference)} left` }];
  }

  #lose(reference: string, at_ms: number, why: string): Line[] {
    const wasThere = this.#hosts.get(reference) === null;
    this.#hosts.set(reference, why);
    return wasThere ? [{ at_ms, text: `host ${hostName(reference)} out of reach: ${why}` }] : [];
  }

  /** The references of a host and all that is known below it. */
  #below(reference: string): string[] {
    return [reference, ...[...(this.#children.get(reference) ?? [])].flatMap((child) => this.#below(child))];
  }

  #line(before: NodePayload | undefined, after: NodePayload | undefined, at_ms: number): Line[] {
    const parent = this.#nodes.get((after ?? before)?.parent ?? '');
    const text = describeChange(before, after, { proc: parent, showsAll: this.#showsAll });
    if (text === null) return [];
    const suffix = this.#hosts.size > 1 ? ` (on ${hostName((after ?? before)?.identity ?? '')})` : '';
    return [{ at_ms, text: text + suffix }];
  }
}
