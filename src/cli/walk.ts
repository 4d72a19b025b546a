/** Walking the mesh as any client does: a node, then its children, each by its reference. */
import type { Client } from './client.ts';
import { CommandError } from './exit.ts';
import type { TreeNode } from './render/tree.ts';

/** Requests under way at once: enough to be quick, few enough to be polite. */
const CONCURRENCY = 16;

export type Limit = <T>(work: () => Promise<T>) => Promise<T>;

/** Lets at most `max` pieces of work run at a time. */
export function createLimit(max: number): Limit {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= max) await new Promise<void>((resolve) => waiting.push(resolve));
    running += 1;
    try {
      return await work();
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  };
}

/** The hosts of the mesh with everything below them, `depth` levels deep: 1 hosts, 2 procs, 3 actors. */
export async function walkHosts(client: Client, depth: number): Promise<TreeNode[]> {
  const limit = createLimit(CONCURRENCY);
  const root = await client.node('root');
  return Promise.all(root.children.map((reference) => walk(client, limit, reference, depth - 1)));
}

/** One host with everything below it, to the same depths. */
export function walkHost(client: Client, reference: string, depth: number): Promise<TreeNode> {
  return walk(client, createLimit(CONCURRENCY), reference, depth - 1);
}

async function walk(client: Client, limit: Limit, reference: string, depth: number): Promise<TreeNode> {
  const node = await limit(() => client.tryNode(reference));
  if (node instanceof CommandError) return { reference, node: node.message, children: [] };
  const children =
    depth === 0 ? [] : await Promise.all(node.children.map((child) => walk(client, limit, child, depth - 1)));
  return { reference, node, children };
}
