/** What a commit changed, for followers that keep a copy of the store. */

/**
 * What one commit changed, enough to bring a copy of the store up to date. Packs are handed on as they were appended, since a
 * follower reads them as fast as it can copy them. `bytes` is the size of the change when it is kept or sent.
 */
export type Change =
  | { readonly kind: 'insert'; readonly rows: number; readonly bytes: number; readonly packs: readonly Uint8Array[] }
  | { readonly kind: 'statements'; readonly rows: number; readonly bytes: number; readonly sql: readonly string[] };

/** Called with every change, in order, and with `lost` when there may have been a change that nobody knows. */
export type Follower = (change: Change | 'lost') => void;
