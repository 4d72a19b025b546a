/** Whether a node that was published differs from what was known, in anything that live updates tell of. */
import type { GatewayLimits } from '../limits.ts';
import type { PublishedNode } from './published.ts';

export interface NodeChange {
  readonly type: 'node_added' | 'node_changed' | 'node_removed';
  /** As it is now; of one that was removed, as it was. */
  readonly node: PublishedNode;
}

/** What putting `after` in the place of `before` changes: nothing, or one or two steps. */
export function changesOf(before: PublishedNode | undefined, after: PublishedNode): readonly NodeChange[] {
  if (before === undefined) return [{ type: 'node_added', node: after }];
  // The same node under another label: clients know nodes by their references.
  if (before.identity !== after.identity) {
    return [
      { type: 'node_removed', node: before },
      { type: 'node_added', node: after },
    ];
  }
  const isSame = before.status === after.status && isSameList(before.children, after.children);
  return isSame ? [] : [{ type: 'node_changed', node: after }];
}

/** What differs between two states of a host; null when there are too many differences to send one by one. */
export function differenceOf(
  before: ReadonlyMap<string, PublishedNode>,
  after: ReadonlyMap<string, PublishedNode>,
  { live_sync_changes_max }: GatewayLimits,
): readonly NodeChange[] | null {
  const changes: NodeChange[] = [];
  for (const [key, node] of before) {
    if (!after.has(key)) changes.push({ type: 'node_removed', node });
    if (changes.length > live_sync_changes_max) return null;
  }
  for (const [key, node] of after) {
    changes.push(...changesOf(before.get(key), node));
    if (changes.length > live_sync_changes_max) return null;
  }
  return changes;
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
