/** Every bound of the agent, with its number. Times are in milliseconds; sizes are in the unit that ends the name. */
export const LIMITS = {
  /** Procs that one host shows, including ended ones. Beyond it, processes are counted but not shown. */
  procs_max: 2_000,
  /** Processes that are not shown are found again by every scan, so only one in so many is logged. */
  refused_procs_told_every: 10_000,
  /** Ended procs that stay listed. Beyond it, clean stops are removed first, then the most recent failures. */
  ended_procs_max: 100,
  /** Lines kept of each output stream of a command. */
  output_lines_max: 100,
  /** Longest line kept, characters; a longer one is cut and marked. */
  output_line_max_chars: 4_096,
  /** Lines of standard error in a failure, and their size as JSON text. Beyond either, the oldest lines are left out. */
  failure_lines_max: 20,
  failure_lines_max_bytes: 32 * 1024,
  /** Events in a flight recorder, and its size as JSON text in an answer. Beyond either, the oldest events are left out. */
  recorder_events_max: 64,
  recorder_max_bytes: 256 * 1024,
  /** The same size for a recorder that is pushed with the state of the host. Every proc has one. */
  pushed_recorder_max_bytes: 8 * 1024,
  /** Longest reason shown for a failed start. It may quote a whole PATH. */
  reason_max_chars: 2_000,

  /** Descriptions of commands in one mesh file, and copies of all of them together. */
  specs_max: 256,
  copies_max: 1_024,
  /** Characters of a spec's name. A hyphen and a copy's number must still fit into the label. */
  spec_name_max_chars: 56,
  /** Characters of the program's label in the name of a discovered proc. The rest is cut to make room for the pid. */
  program_name_max_chars: 48,

  /** Time between TERM and KILL when a proc is stopped. */
  terminate_grace_ms: 10_000,
  /** How long a killed process may take to end. A process that hangs in the kernel is abandoned after that. */
  kill_wait_ms: 2_000,
  /** Interval between two checks for what is left of a command's process group after its first process has ended. */
  group_poll_ms: 50,
  /** How long an exit waits for output that is still in the pipe before it is shown. */
  exit_drain_ms: 15,
  /** How long the guardian may take to kill what is left when the agent stops. */
  guardian_sweep_ms: 5_000,
  /** Rounds of that sweep, and the pause between two rounds. */
  guardian_sweep_rounds: 50,
  guardian_sweep_pause_ms: 20,
  /** Shortest time between two starts of the guardian when it keeps dying. */
  guardian_restart_ms: 500,

  /** Interval between two scans for processes to watch and for children of procs. */
  scan_interval_ms: 1_000,
  /** Scans in which a process with a new name is matched. After them its command line is not read again. */
  discovery_new_looks: 2,
  /** Procs that one scan adds before it yields to the event loop. */
  discovery_slice_procs: 16,
  /** Interval between two checks that processes the agent did not start still exist. */
  liveness_interval_ms: 200,
  /** Interval between two readings of the memory of procs, or the gateway's heartbeat if that is longer. */
  memory_interval_ms: 5_000,

  /** Characters of nodes in one sync or delta frame. Beyond it, the rest goes into further frames. */
  frame_nodes_chars: 256 * 1024,
  /** References of removed nodes in one delta frame. Beyond it, the rest goes into further frames. */
  frame_removed_max: 500,
  /** How long changes are collected before they are sent, so that a burst becomes one frame. */
  publish_delay_ms: 2,

  /** Calls that one agent works on at once. Beyond it, a call is refused as `service_unavailable`. */
  calls_max: 64,
  /** Characters of answers that wait for the link. Beyond it, an answer becomes `service_unavailable`. */
  answers_max_chars: 64 * 1024 * 1024,
  /** Bytes that may wait in the link's socket before more of an answer is sent, and how often that is checked. */
  answers_unsent_max_bytes: 4 * 1024 * 1024,
  answers_drain_poll_ms: 5,

  /** Rows of one producer that wait to become a batch. Beyond it, the oldest are dropped and counted. */
  pending_rows_max: 50_000,
  /** Rows after which a batch is closed, and how long rows wait for more before it is closed anyway. */
  batch_rows: 1_000,
  batch_delay_ms: 100,
  /** Rows in one batch when more have accumulated in the meantime. */
  batch_rows_max: 4_000,
  /** Characters of the values in one batch before compression. A single row may have more. */
  batch_max_chars: 512 * 1024,
  /** Bytes of one batch as JSON text, which must fit into a frame. A larger batch is halved, a larger row dropped. */
  batch_max_bytes: 1024 * 1024 - 4_096,
  /** Refusals of rows that are logged per producer. All are counted. */
  refused_rows_told_max: 3,

  /** Default size of the spool on disk, bytes. Beyond it, the oldest file is deleted and its rows count as lost. */
  spool_max_bytes: 256 * 1024 * 1024,
  /** Smallest size that may be configured. */
  spool_max_bytes_min: 1024 * 1024,
  /** Files that a spool is divided into, and the most bytes of one file. */
  spool_files: 32,
  spool_file_max_bytes: 8 * 1024 * 1024,
  /** Bytes that a batch counts at least towards the size of the spool, because each one also takes memory. */
  spool_batch_min_bytes: 1_024,
  /** Bytes of batches in memory while the disk accepts none. Beyond it, the oldest are dropped and counted. */
  spool_memory_max_bytes: 16 * 1024 * 1024,
  /** Bytes of batches on disk that are also cached in memory. Beyond it, batches are read back when they are sent. */
  spool_cache_max_bytes: 4 * 1024 * 1024,
  /** Interval between two syncs of the spool's files: what a crash of the machine can lose. */
  spool_sync_ms: 1_000,
  /** Wait before the disk is tried again after a failed write. */
  spool_retry_ms: 5_000,
  /** Attempts to read a batch from a failing disk, and the wait between them. After that the batch is counted as lost. */
  spool_reads_max: 5,
  spool_read_retry_ms: 500,
  /** Folders of dead agents that one agent takes over when it starts. The others wait for the next agent. */
  spool_adopted_max: 256,
  /** Attempts to create the spool's folder when another agent that is ending removes it at the same moment. */
  spool_make_tries_max: 3,
  /** Interval between two checks, while the agent stops, whether everything has been acknowledged. */
  spool_drain_poll_ms: 10,
  /** Batches in flight to the gateway, one per producer: as many as a gateway queues. */
  under_way_max: 8,

  /** Connections of procs to the collector. Another one gets an error and is closed. */
  collector_connections_max: 64,
  /** Bytes of one line from a proc. A longer line ends its connection. */
  collector_line_max_bytes: 1024 * 1024,
  /** Folders left by killed collectors that one start removes. */
  collector_stale_max: 64,
  /** Age below which such a folder is left alone: another agent may be about to listen there. */
  collector_stale_age_ms: 60_000,
  /** Time for a refused proc to read the reason and hang up. Then its connection is cut. */
  collector_refused_ms: 1_000,
  /** Bytes of incomplete lines over all connections. The connection that exceeds it is ended. */
  collector_waiting_max_bytes: 16 * 1024 * 1024,
  /**
   * Producers whose last sequence number is remembered. Beyond it, the one that was silent longest is forgotten; if all have
   * batches waiting, a new producer is refused.
   */
  producers_max: 4_096,
  /** Batches that a client sends ahead of their acknowledgements. */
  client_window_batches: 8,
  /** First and longest wait before a client reconnects. */
  client_retry_first_ms: 50,
  client_retry_max_ms: 2_000,
  /** Characters of one answer that a client reads. Beyond it, the client reconnects. */
  client_answer_max_chars: 64 * 1024,
  /** How long a client with unacknowledged batches waits for any answer. Then it reconnects. */
  client_silence_ms: 10_000,

  /** Interval between two sets of rows of the agent's own metrics. */
  metrics_interval_ms: 10_000,
  /** Series of one metric of the agent. Further ones are combined into one series with the attribute `overflow`. */
  metric_series_max: 1_000,
  /** Connections to the metrics listener, and the time for one request to arrive. */
  metrics_connections_max: 16,
  metrics_request_timeout_ms: 5_000,

  /** How long a stopping agent waits for its last rows to be acknowledged. */
  stop_drain_ms: 1_000,
  /** How long a stopping agent waits for the spool's disk, which may hang. */
  stop_disk_ms: 2_000,
  /** How long an acknowledgement may take before the batch is sent again, each time. */
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
