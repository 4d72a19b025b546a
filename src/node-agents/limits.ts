/** Every bound of the agent, in one place. Times in milliseconds, sizes as their names say. */
export const LIMITS = {
  /** Procs of one host that are shown, ended ones included. Beyond it, processes are counted but not shown. */
  procs_max: 2_000,
  /** A process that is not shown is found again at every look: one finding of so many is worth a line in the log. */
  refused_procs_told_every: 10_000,
  /** Ended procs that stay listed; cleanly stopped ones go first, then the most recent failures. */
  ended_procs_max: 100,
  /** Lines kept of each output stream of a command. */
  output_lines_max: 100,
  /** Longest line kept, characters; a longer one is cut and marked. */
  output_line_max_chars: 4_096,
  /** Lines of standard error that a failure carries, and their size as JSON text; beyond either the oldest are left out. */
  failure_lines_max: 20,
  failure_lines_max_bytes: 32 * 1024,
  /** Events in a flight recorder, and its size as JSON text when it is asked for; beyond either the oldest are left out. */
  recorder_events_max: 64,
  recorder_max_bytes: 256 * 1024,
  /** The same of a recorder that is pushed with the state of the host, of which there are as many as there are procs. */
  pushed_recorder_max_bytes: 8 * 1024,
  /** Longest reason for a failed start that is shown; it may quote a whole PATH. */
  reason_max_chars: 2_000,

  /** Descriptions of commands in one mesh file, and copies of all of them together. */
  specs_max: 256,
  copies_max: 1_024,
  /** Characters of the name in such a description: a copy's number and its hyphen still have to fit into a label. */
  spec_name_max_chars: 56,
  /** Characters of a program's label in the name of a proc that was found; the rest is cut, so that its pid fits. */
  program_name_max_chars: 48,

  /** From TERM to KILL when a proc is stopped. */
  terminate_grace_ms: 10_000,
  /** How long a killed process may take to end; one that hangs in the kernel does not, and is left to it. */
  kill_wait_ms: 2_000,
  /** Between two looks for what is left of a command's group whose first process has ended. */
  group_poll_ms: 50,
  /** How long an exit waits for the output that is still in the pipe before it is shown. */
  exit_drain_ms: 15,
  /** How long the guardian may take to sweep what is left at the end. */
  guardian_sweep_ms: 5_000,
  /** Rounds of that sweep, and the pause between two of them. */
  guardian_sweep_rounds: 50,
  guardian_sweep_pause_ms: 20,
  /** From one start of the guardian to the next, when it does not stay. */
  guardian_restart_ms: 500,

  /** Between two looks for processes to watch and for children of procs. */
  scan_interval_ms: 1_000,
  /** In so many looks a process that has its name newly is judged; after them its command line is not read again. */
  discovery_new_looks: 2,
  /** Procs that one look adds before the event loop has its turn. */
  discovery_slice_procs: 16,
  /** Between two looks at whether the processes that are not the agent's own children are still there. */
  liveness_interval_ms: 200,
  /** Between two readings of the memory of procs; a heartbeat of the gateway, where that is longer. */
  memory_interval_ms: 5_000,

  /** Characters of nodes that are put into one sync or delta frame. */
  frame_nodes_chars: 256 * 1024,
  /** References of nodes that are gone in one delta frame. */
  frame_removed_max: 500,
  /** Changes are gathered this long before they are sent, so that a burst is one frame. */
  publish_delay_ms: 2,

  /** Calls that one agent works on at once; beyond it a call is refused as `service_unavailable`. */
  calls_max: 64,
  /** Characters of answers that wait for the link; an answer for which there is no room becomes `service_unavailable`. */
  answers_max_chars: 64 * 1024 * 1024,
  /** Bytes that may wait in the link's socket before more of an answer is sent, and how often it is looked at then. */
  answers_unsent_max_bytes: 4 * 1024 * 1024,
  answers_drain_poll_ms: 5,

  /** Rows of one producer that wait to become a batch; beyond it the oldest are dropped and counted. */
  pending_rows_max: 50_000,
  /** Rows after which a batch is closed, and how long rows wait for company before. */
  batch_rows: 1_000,
  batch_delay_ms: 100,
  /** Rows that one batch takes where more have gathered meanwhile. */
  batch_rows_max: 4_000,
  /** Characters of the values of one batch before compression; one row may have more. */
  batch_max_chars: 512 * 1024,
  /** JSON text of one batch, bytes, so that it fits into a frame; a batch above it is halved, a row above it dropped and counted. */
  batch_max_bytes: 1024 * 1024 - 4_096,
  /** Refused rows that are told of in the log, per producer; all are counted. */
  refused_rows_told_max: 3,

  /** Bytes of batches on disk, where nothing else was asked for; beyond it the oldest file of batches goes, and is counted. */
  spool_max_bytes: 256 * 1024 * 1024,
  /** Smallest bound that may be asked for. */
  spool_max_bytes_min: 1024 * 1024,
  /** A spool is in this many files, and a file has no more bytes than this. */
  spool_files: 32,
  spool_file_max_bytes: 8 * 1024 * 1024,
  /** A batch counts as so many bytes at least in the bound of the spool: each is known in memory. */
  spool_batch_min_bytes: 1_024,
  /** Bytes of batches in memory where the disk takes none; beyond it the oldest go, and are counted. */
  spool_memory_max_bytes: 16 * 1024 * 1024,
  /** Bytes of batches that are kept in memory beside the disk; beyond it they are read again when they are sent. */
  spool_cache_max_bytes: 4 * 1024 * 1024,
  /** From one sync of the spool's files to the next: what a crash of the machine may lose. */
  spool_sync_ms: 1_000,
  /** Wait before a disk that took no batch is tried again. */
  spool_retry_ms: 5_000,
  /** How often a batch is tried to be read from a disk that fails, and the wait between; then it is counted as lost. */
  spool_reads_max: 5,
  spool_read_retry_ms: 500,
  /** Folders of dead agents that one agent takes over at its start; further ones stay for the next. */
  spool_adopted_max: 256,
  /** How often a folder is made anew that another agent, which ends, has just removed as empty. */
  spool_make_tries_max: 3,
  /** Between two looks whether everything has been acknowledged when the agent stops. */
  spool_drain_poll_ms: 10,
  /** Batches under way to the gateway, one of each producer: as many as a gateway lets wait. */
  under_way_max: 8,

  /** Connections of procs to the collector; a further one is told so and closed. */
  collector_connections_max: 64,
  /** One line of a proc, bytes; a longer one ends its connection. */
  collector_line_max_bytes: 1024 * 1024,
  /** Folders of collectors that were killed which one start looks at, to remove them. */
  collector_stale_max: 64,
  /** A newer one may be about to have its socket, and a socket its listener. */
  collector_stale_age_ms: 60_000,
  /** Time for a proc that was refused to read why and hang up, milliseconds. Then its connection is cut. */
  collector_refused_ms: 1_000,
  /** Bytes of lines that have not arrived whole, over all connections; the one that goes beyond ends. */
  collector_waiting_max_bytes: 16 * 1024 * 1024,
  /** Producers whose last number is remembered; the longest silent is forgotten. With so many waiting a new one is refused. */
  producers_max: 4_096,
  /** Batches that a client has sent and that are not acknowledged. */
  client_window_batches: 8,
  /** First and longest wait of a client before it connects again. */
  client_retry_first_ms: 50,
  client_retry_max_ms: 2_000,
  /** Longest answer of a collector that a client reads, characters; beyond it the client connects anew. */
  client_answer_max_chars: 64 * 1024,
  /** How long a client waits for the collector to answer anything while batches are unacknowledged; then it connects anew. */
  client_silence_ms: 10_000,

  /** From one set of rows of the agent's own metrics to the next. */
  metrics_interval_ms: 10_000,
  /** Series of one metric of the agent; further ones go together into one with the attribute `overflow`. */
  metric_series_max: 1_000,
  /** Connections and request of the listener for metrics. */
  metrics_connections_max: 16,
  metrics_request_timeout_ms: 5_000,

  /** How long the last rows may take to be acknowledged when the agent stops. */
  stop_drain_ms: 1_000,
  /** How long the spool's disk may take for its last lines; whoever stops does not wait for one that hangs. */
  stop_disk_ms: 2_000,
  /** How long an acknowledgement may take before the batch is sent again, as often as that takes. */
  ack_timeout_ms: 15_000,
} as const;

export type AgentLimits = { readonly [Name in keyof typeof LIMITS]: number };

/**
 * The limits with some replaced.
 *
 * @throws RangeError naming the limit and its value, when it is not a positive whole number
 */
export function resolveLimits(changes: Partial<AgentLimits> = {}): AgentLimits {
  for (const [name, value] of Object.entries(changes)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`limits.${name} must be a positive whole number, got ${value}`);
    }
  }
  return { ...LIMITS, ...changes };
}
