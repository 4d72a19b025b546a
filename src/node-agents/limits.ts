/** Every bound of the agent, in one place. Times in milliseconds, sizes as their names say. */
export const LIMITS = {
  /** Procs of one host that are shown, ended ones included. Beyond it, processes are counted but not shown. */
  procs_max: 2_000,
  /** Ended procs that stay listed; cleanly stopped ones go first, then the most recent failures. */
  ended_procs_max: 100,
  /** Lines kept of each output stream of a command. */
  output_lines_max: 100,
  /** Longest line kept, characters; a longer one is cut and marked. */
  output_line_max_chars: 4_096,
  /** Lines of standard error that a failure carries. */
  failure_lines_max: 20,
  /** Events in a flight recorder. */
  recorder_events_max: 64,

  /** From TERM to KILL when a proc is stopped. */
  terminate_grace_ms: 10_000,
  /** How long an exit waits for the output that is still in the pipe before it is shown. */
  exit_drain_ms: 15,
  /** How long the guardian may take to sweep what is left at the end. */
  guardian_sweep_ms: 5_000,

  /** Between two looks for processes to watch and for children of procs. */
  scan_interval_ms: 1_000,
  /** Between two looks at whether the processes that are not the agent's own children are still there. */
  liveness_interval_ms: 200,
  /** Between two readings of the memory of procs. */
  memory_interval_ms: 5_000,

  /** Longest wait for a connection and its welcome. */
  dial_timeout_ms: 10_000,
  /** Longest wait for the gateway's word on why it did not take a connection. */
  explain_timeout_ms: 2_000,
  backoff_first_ms: 250,
  backoff_max_ms: 15_000,
  /** Uptime after which the next dial starts again at the first backoff. */
  backoff_reset_ms: 10_000,
  /** Characters that may wait in the socket; beyond it the link is closed and synchronized anew. */
  send_buffer_max_bytes: 32 * 1024 * 1024,
  /** Characters of nodes that are put into one sync or delta frame. */
  frame_nodes_chars: 256 * 1024,
  /** Changes are gathered this long before they are sent, so that a burst is one frame. */
  publish_delay_ms: 2,

  /** Calls that one agent works on at once; beyond it a call is refused as `service_unavailable`. */
  calls_max: 64,

  /** Rows that wait for an acknowledgement; beyond it the oldest are dropped and counted. */
  spool_rows_max: 50_000,
  /** Rows of one batch. */
  batch_rows_max: 1_000,
  /** How long rows wait for company before a batch is closed. */
  batch_delay_ms: 100,
  /** How long an acknowledgement may take before the batch is sent again. */
  ack_timeout_ms: 15_000,
} as const;
