/** Every bound of the command line, in one place. Times in milliseconds, sizes as their names say. */
export const LIMITS = {
  /** Largest answer that is read: above everything that a gateway sends. */
  answer_max_bytes: 128 * 1024 * 1024,
  /** Longest SQL that is read from standard input: what a gateway takes. */
  sql_max_bytes: 2 * 1024 * 1024,
  /** Largest mesh file. */
  mesh_file_max_bytes: 1024 * 1024,
  /** Largest file of certificates, or of a key. */
  pem_file_max_bytes: 1024 * 1024,
  /** Longest life of a token that has an end, days. */
  token_age_max_days: 3_650,
  /** Longest `--retention`, days. */
  retention_max_days: 3_650,
  /** Smallest `--max-bytes`. */
  store_min_bytes: 10 * 1024 * 1024,
  /** Time after which a tool for a store at rest says what it is doing, and between two such lines. */
  tool_progress_ms: 2_000,
  /** Longest wait for another command that changes the same tokens, and the time between two tries. Then it fails. */
  token_lock_wait_ms: 5_000,
  token_lock_retry_ms: 20,
  /** Output that may wait for a slow reader of ours; lines of commands that come beyond are dropped and counted. */
  output_waiting_max_chars: 4 * 1024 * 1024,
  /** Between two attempts to write to a terminal that is paused. */
  output_retry_ms: 20,
  /** Longest time in which a part of `up` that was asked to end does so; commands have their own grace on top. */
  part_end_ms: 10_000,
  /** Waits before telemetry is started again; after the last of them it is given up, unless it stayed for a while. */
  telemetry_restarts_ms: [500, 2_000, 10_000],
  telemetry_stayed_ms: 60_000,
  /** Longest `--grace`, seconds. */
  grace_max_s: 3_600,
  /** Longest `--metrics-interval`, seconds. */
  metrics_interval_max_s: 3_600,
  /** Agents and lossy producers that `status` shows; those that lost most come first. */
  status_agents_max: 100,
  status_losses_max: 20,
  /** Age of the newest row beyond which `status` says that nothing is stored: six times what the store's own metrics take. */
  status_silence_ms: 60_000,
  /** Longest wait for a word from what holds a port. */
  probe_ms: 1_000,
  /** Longest waits for a gateway's answers: a little above its own deadlines, so that its word comes first. */
  node_wait_ms: 5_000,
  stack_wait_ms: 20_000,
  query_wait_ms: 30_000,
  /** On top of the duration of a profile. */
  profile_extra_wait_ms: 30_000,
  /** Rows of a stored dump that are asked for at once. */
  dump_page_rows: 20_000,
  /** Most dumps of one list, and procs among which a name is looked up. */
  dumps_listed_max: 1_000,
  dump_procs_max: 10_000,
  /** Longest id of a dump, or beginning of one; and how many ids are told of when several begin so. */
  dump_id_max_chars: 200,
  dump_candidates_shown: 8,
  /** Following: longest event, and silence after which a stream is taken for dead, three heartbeats of a gateway. */
  event_max_chars: 2 * 1024 * 1024,
  follow_silence_ms: 15_000,
  /** Waits before a gateway that went away is dialled again: doubling from the first to the second, with jitter. */
  follow_retry_min_ms: 250,
  follow_retry_max_ms: 5_000,
  /** A tree on a terminal is drawn again this long after a change, at most, and this often in any case. */
  redraw_ms: 100,
  redraw_every_ms: 1_000,
  /** Lines of SQL that are remembered from one prompt to the next, and their characters; the oldest go. */
  history_lines_max: 1_000,
  history_max_chars: 1024 * 1024,
  /** Rows of a result that the prompt shows; what is beyond is only counted. */
  prompt_rows_max: 1_000,
  /** Longest value that is shown in a cell of a table or a line of a tree, characters. */
  cell_max_chars: 120,
} as const;
