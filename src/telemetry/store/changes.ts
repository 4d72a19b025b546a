/** What commits change, as those who keep a copy of the store are told of it. */

/**
 * What one commit changed, enough to bring a copy of the store up to date: the packs as they were appended, since others
 * read them as fast as they can copy them. `bytes` is what it takes to keep or send the change.
 */
export type Change =
  | { readonly kind: 'insert'; readonly rows: number; readonly bytes: number; readonly packs: readonly Uint8Array[] }
  | { readonly kind: 'statements'; readonly rows: number; readonly bytes: number; readonly sql: readonly string[] };

/** Told every change, in order; `lost` when there may have been one that nobody knows. */
export type Follower = (change: Change | 'lost') => void;
