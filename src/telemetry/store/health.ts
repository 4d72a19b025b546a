/** What `/healthz` says of a store. */
export interface StoreHealth {
  /** Whether the last commit succeeded and the data file is usable. */
  readonly ok: boolean;
  /** Why not. */
  readonly failure: string | null;
  readonly rows_stored: number;
  readonly batches_stored: number;
  readonly duplicate_batches: number;
  readonly commits: number;
  readonly failed_commits: number;
  readonly writes_waiting: number;
  readonly producers: number;
  /** Rows that producers say they had to drop, over the life of the file. */
  readonly lost_rows: number;
  readonly database_bytes: number;
  /** Rows committed by this process that are in no segment yet. */
  readonly unsealed_rows: number;
  readonly segments: number;
  readonly segment_bytes: number;
  /** Files of segments that were not what had been sealed, and were left out. */
  readonly damaged_files: number;
  /** Room on the disk; null when the system does not say. */
  readonly disk_free_bytes: number | null;
}
