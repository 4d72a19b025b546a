/** Which shard a host belongs to: FNV-1a over its location key. The number of shards is the only other thing it knows. */

/** @param key location key of the host @param count number of shards, at least 1. */
export function shardOf(key: string, count: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % count;
}
