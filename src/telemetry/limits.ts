/**
 * Every bound of the telemetry service, with its number, its unit and what happens at it.
 *
 * A test may replace single numbers through `TelemetryOptions.limits`; nothing else changes them.
 */
export const LIMITS = {
  /** Body of `POST /ingest`, bytes. Beyond: `payload_too_large`. */
  ingest_body_max_bytes: 8 * 1024 * 1024,
  /** Body of `POST /dumps`, bytes. Beyond: `payload_too_large`. */
  dump_body_max_bytes: 32 * 1024 * 1024,
  /** Body of `POST /query`, bytes: room for `sql_max_bytes` however it is escaped. Beyond: `payload_too_large`. */
  query_body_max_bytes: 512 * 1024,
  /** All request bodies being read or worked on, bytes together. Beyond: `service_unavailable`. */
  bodies_in_flight_max_bytes: 64 * 1024 * 1024,
  /** Open connections. Beyond: new ones are closed at once. */
  connections_max: 512,
  /** Time in which a request must have arrived whole, milliseconds. Beyond: the connection is answered 408 and closed. */
  request_timeout_ms: 30_000,
  /** How often connections are checked against it, milliseconds. */
  request_check_interval_ms: 5_000,
  /** Length of an `Accept` header, characters. The rest of a longer one is ignored. */
  accept_max_chars: 4_096,

  /** Rows packed before the event loop has its turn: a few milliseconds. */
  pack_rows_max: 1_000,
  /** Compressed bytes of a batch that are decompressed at once, in a quarter of a millisecond. Beyond: in another thread. */
  unpack_inline_max_bytes: 256 * 1024,
  /** Writes that wait for their commit. Beyond: `service_unavailable`, and the producer sends again. */
  writes_waiting_max: 256,
  /** Unpacked columns of writes that wait for their commit, bytes. Beyond: `service_unavailable` likewise; one alone always may. */
  writes_waiting_max_bytes: 64 * 1024 * 1024,
  /** Pause between attempts to open a data file again that DuckDB has given up, milliseconds. */
  reopen_interval_ms: 1_000,
  /** Rows of one commit, unless a single write alone has more. */
  commit_rows_max: 20_000,
  /** Columns of one commit, bytes, unless a single write alone has more: a commit of wide rows takes memory until a checkpoint. */
  commit_max_bytes: 8 * 1024 * 1024,
  /** Threads and local variables of one stored dump, rows together with its frames. Beyond: `bad_request`. */
  dump_rows_max: 100_000,
  /** Producers remembered. Beyond: those longest unheard are forgotten by the next sweep, which comes early when there are a tenth more, and their losses kept in the total. */
  producers_max: 10_000,
  /** Memory of DuckDB in the owner process, MiB. Beyond: what needs it fails, and is tried again with four times as much. */
  owner_memory_mib: 96,
  /** Most of it that is tried, MiB. Beyond: what needs it fails. */
  owner_memory_max_mib: 1_024,
  /** Time after which it is as little again as at first, milliseconds, when nothing has needed more. */
  owner_memory_calm_ms: 600_000,
  /** Rows committed after which the data file is closed and opened again behind the next sealing, which takes some tens of milliseconds: for so many DuckDB keeps some 70 MiB until then. */
  owner_renew_rows: 2_000_000,
  /** Commits not yet moved into the data file, MiB of columns; a checkpoint follows, for which the next commit waits. */
  owner_wal_mib: 4,
  /** The same while the data file is being copied, MiB. Beyond: commits wait for the end of that. */
  owner_wal_max_mib: 64,

  /** Characters of SQL text, bytes of UTF-8. Beyond: `bad_request`. */
  sql_max_bytes: 64 * 1024,
  /** Nesting of the parsed statement. Beyond: `bad_request`. */
  sql_depth_max: 2_000,
  /**
   * Time of one query, milliseconds. Beyond: its process is killed, `gateway_timeout`. With the wait for a process it stays
   * under the 10 s that a gateway waits, so that the answer still names the reason.
   */
  sql_timeout_ms: 7_000,
  /** SQL texts that a query process knows to have passed the check. Beyond: the one longest unused is checked again. */
  sql_checked_texts_max: 64,
  /** Rows of one result. Beyond: `bad_request`. */
  sql_rows_max: 100_000,
  /** Text of one result, characters of JSON or CSV, or bytes of Arrow. Beyond: `bad_request`. */
  sql_result_max_chars: 16 * 1024 * 1024,
  /** One part of an answer on its way from a query process, bytes. */
  sql_part_bytes: 256 * 1024,
  /** Rows of one Arrow record batch: as many as have `sql_arrow_batch_cells_max` values together, but not fewer or more than this. */
  sql_arrow_batch_rows_min: 64,
  sql_arrow_batch_rows_max: 16_384,
  /** Values of one Arrow record batch, as long as that allows the fewest rows. */
  sql_arrow_batch_cells_max: 256 * 1024,
  /** Answers of more than one part that clients have not read yet, bytes together. Beyond: `service_unavailable`. */
  sql_answers_max_bytes: 96 * 1024 * 1024,
  /** Time in which a client must have read such an answer, milliseconds. Beyond: its connection is cut. */
  sql_answer_timeout_ms: 30_000,
  /** Query processes, each running one query at a time. Beyond: queries wait. */
  sql_processes_max: 2,
  /** Processes that one query is handed to, should they end before they begin with it. Beyond: `service_unavailable`. */
  sql_tries_max: 3,
  /** Queries that wait for a process. Beyond: `service_unavailable`. */
  sql_queue_max: 32,
  /** Time that a query waits for a process, milliseconds. Beyond: `service_unavailable`. */
  sql_queue_timeout_ms: 2_000,
  /** Time in which a query process must have copied the store and be ready, milliseconds. Beyond: it is killed. */
  sql_start_timeout_ms: 20_000,
  /** Rest after which a query process ends, milliseconds, unless it is kept warm. */
  sql_idle_ms: 60_000,
  /** Pause before a warm process is replaced, milliseconds, when the last became unusable before it had a query. */
  sql_warm_pause_ms: 1_000,
  /** Shortest length of this pause, as a multiple of the duration of the last start, so that the service does not spend its time on copying. */
  sql_warm_pause_starts: 3,
  /** Memory of DuckDB in a query process, MiB. Beyond: `bad_request`. */
  sql_memory_mib: 256,
  /** JavaScript's heap in a query process, MiB. Beyond: the process ends. */
  sql_heap_mib: 256,
  /** Data segment of a query process, MiB, held by the kernel: what DuckDB's own accounting misses. */
  sql_process_memory_mib: 1_280,
  /** Resident memory of a query process after a query, MiB. Beyond: it is replaced by the next query. */
  sql_rest_memory_mib: 512,
  /** Committed rows that wait for a busy query process. Beyond: it is replaced, with a fresh copy, by the next query. */
  copy_backlog_max_rows: 200_000,
  /** Columns of committed rows that wait for a busy query process, bytes. Beyond: it is replaced likewise. */
  copy_backlog_max_bytes: 64 * 1024 * 1024,
  /** Rows that a query process takes over in memory before it moves them into its own data file. */
  copy_checkpoint_rows: 500_000,
  /** Columns of rows that a query process takes over in memory before it moves them into its own data file, bytes. */
  copy_checkpoint_bytes: 32 * 1024 * 1024,

  /** Longest pause between two looks at whether a sealing or a sweep is due, milliseconds. */
  upkeep_interval_ms: 1_000,
  /** Rows committed since the last sealing, after which the next one begins. Commits continue meanwhile. */
  seal_rows_max: 1_000_000,
  /** Columns committed since the last sealing, bytes, after which the next one begins. */
  seal_max_bytes: 256 * 1024 * 1024,
  /** Age of the oldest row that is not sealed, milliseconds, at which the next sealing begins. */
  seal_interval_ms: 60_000,
  /** Memory of DuckDB in the owner process while it seals or sweeps, MiB on top of its own. Beyond: tried again with `owner_memory_max_mib`. */
  seal_memory_mib: 256,
  /** Sealed segments. Beyond: the next sealing writes all rows into one that replaces them; if that fails, it is tried again after a quarter as many. */
  segments_max: 256,
  /** Rows of one row group of a sealed file: fewer where they are wide. A multiple of DuckDB's 2,048. */
  segment_group_rows_max: 20_480,
  /** Values of one row group of a sealed file, bytes, unless a single row has more: a writer holds a whole group. */
  segment_group_max_bytes: 16 * 1024 * 1024,
  /** Values that are loaded in one transaction when a data file is filled from segments, bytes, unless one row group has more. */
  rebuild_part_max_bytes: 16 * 1024 * 1024,
  /** Room on the disk of the data folder, bytes. Below: ingestion pauses with `service_unavailable`; everything else continues. */
  disk_free_min_bytes: 128 * 1024 * 1024,
  /** Pause between two looks at the room on the disk, milliseconds. */
  disk_look_interval_ms: 1_000,
  /** Producers whose losses are shown one by one, those last heard. Beyond: their losses are shown as one sum. */
  losses_shown_max: 1_000,

  /** Pause between retention sweeps, milliseconds: a tenth of the shortest window, between these two, and no longer than it. */
  sweep_interval_min_ms: 30_000,
  sweep_interval_max_ms: 300_000,
  /** Step of the system's clock ahead that sweeps by age follow at once, milliseconds. Beyond: only when it has lasted. */
  clock_step_max_ms: 300_000,
  /** How long, milliseconds. */
  clock_doubt_ms: 3_600_000,
  /** Columns committed since the last sweep, bytes, after which the next one begins: a tenth of what the groups may have. */
  sweep_after_bytes: 200 * 1024 * 1024,
  /** Age at which messages and status changes go, milliseconds. In this and the other windows, 0 is never. */
  core_window_ms: 24 * 3_600_000,
  /** Age at which spans and events go, milliseconds. */
  trace_window_ms: 24 * 3_600_000,
  /** Age at which metric points go, milliseconds. */
  metric_window_ms: 24 * 3_600_000,
  /**
   * Bytes of messages and status changes, before compression, by the average row as it was sealed. Beyond: the oldest go. The
   * bounds of the groups stand to one another as `--max-bytes` divides what it is given.
   */
  core_max_bytes: 800 * 1024 * 1024,
  /** Bytes of `actors`, and of `meshes`, likewise. Beyond: the oldest that no row refers to, then the oldest. */
  entity_max_bytes: 100 * 1024 * 1024,
  /** Bytes of spans and events likewise. */
  trace_max_bytes: 400 * 1024 * 1024,
  /** Bytes of metric points likewise. */
  metric_max_bytes: 200 * 1024 * 1024,
  /** Bytes of captures likewise. Beyond: the oldest go; the newest stays. */
  snapshot_max_bytes: 200 * 1024 * 1024,
  /** Bytes of stored dumps likewise. Beyond: the oldest go; the newest stays. */
  pyspy_max_bytes: 200 * 1024 * 1024,
  /** Rows that each table of core, trace and metric keeps at most; the oldest go. */
  event_rows_max: 20_000_000,
  /** Age at which stored dumps go, milliseconds. */
  pyspy_window_ms: 30 * 24 * 3_600_000,
  /** Captures kept whatever their age. */
  snapshots_keep_min: 16,
  /** Age at which other captures go, milliseconds. */
  snapshot_window_ms: 3_600_000,
  /** Captures kept at most, however young. */
  snapshots_keep_max: 512,
  /** Rows of captures kept together, the newest captures' and at least one capture's. */
  snapshot_rows_keep_max: 5_000_000,
  /** Time after which rows go that belong to no capture or dump, milliseconds since a sweep saw them first. */
  unfinished_window_ms: 3_600_000,
  /** Captures, or dumps, of which there are such rows and that are remembered. Beyond: their rows go at once. */
  unfinished_max: 10_000,
  /** Stored dumps kept, the newest. */
  dumps_keep_max: 1_000,
  /** Rows of stored dumps kept together, the newest dumps' and at least one dump's. */
  dump_rows_keep_max: 5_000_000,

  /** Characters of answers that wait for a link to a gateway. Beyond: `service_unavailable`. */
  link_answers_max_chars: 64 * 1024 * 1024,
  /** Bytes that may wait in the socket of such a link. Beyond: answers wait. */
  link_unsent_max_bytes: 1024 * 1024,
  /** Pause between two looks at whether such a link has room again, milliseconds. */
  link_drain_poll_ms: 10,

  /** How often the service stores what it has to say of itself, milliseconds. */
  own_rows_interval_ms: 10_000,
  /** Its log lines and spans that wait for that, rows. Beyond: dropped, and counted as lost. */
  own_rows_max: 5_000,
  /** Series of one metric that the service reports about itself. Beyond: further ones go together into one with the attribute `overflow`. */
  metric_series_max: 1_000,

  /** Time for what is in flight to finish when the service closes, milliseconds. Beyond: connections are cut. */
  close_timeout_ms: 5_000,
} as const;

export type TelemetryLimits = { readonly [K in keyof typeof LIMITS]: number };

/** The limits with some replaced. Every number must be a positive integer; a window may be 0. */
export function resolveLimits(changes: Partial<TelemetryLimits> = {}): TelemetryLimits {
  for (const [name, value] of Object.entries(changes)) {
    const min = name.endsWith('_window_ms') ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < min)
      throw new RangeError(`limits.${name}: ${value} is not ${min} or more`);
  }
  return { ...LIMITS, ...changes };
}
