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
  /** Rounds of that sweep, 20 ms apart. */
  guardian_sweep_rounds: 50,
  /** From one start of the guardian to the next, when it does not stay. */
  guardian_restart_ms: 500,

  /** Between two looks for processes to watch and for children of procs. */
  scan_interval_ms: 1_000,
  /** Procs that one look adds before the event loop has its turn. */
  discovery_slice_procs: 16,
  /** Between two looks at whether the processes that are not the agent's own children are still there. */
  liveness_interval_ms: 200,
  /** Between two readings of the memory of procs; a heartbeat of the gateway, where that is longer. */
  memory_interval_ms: 5_000,

  /** Longest wait for a connection and its welcome. */
  dial_timeout_ms: 10_000,
  /** Longest wait for the gateway's word on why it did not take a connection. */
  explain_timeout_ms: 2_000,
  backoff_first_ms: 250,
  backoff_max_ms: 15_000,
  /** Uptime after which the next dial starts again at the first backoff. */
  backoff_reset_ms: 10_000,
  /** Bytes that may wait in the socket; beyond it the link is closed and synchronized anew. */
  send_buffer_max_bytes: 32 * 1024 * 1024,
  /** Characters of nodes that are put into one sync or delta frame. */
  frame_nodes_chars: 256 * 1024,
  /** References of nodes that are gone in one delta frame. */
  frame_removed_max: 500,
  /** Changes are gathered this long before they are sent, so that a burst is one frame. */
  publish_delay_ms: 2,

  /** Calls that one agent works on at once; beyond it a call is refused as `service_unavailable`. */
  calls_max: 64,

  /** Rows that wait for an acknowledgement; beyond it the oldest are dropped and counted. */
  spool_rows_max: 50_000,
  /** Rows of one batch, and the characters of their JSON text, so that a batch fits into a frame. */
  batch_rows_max: 1_000,
  batch_max_chars: 256 * 1024,
  /** How long rows wait for company before a batch is closed. */
  batch_delay_ms: 100,
  /** How long the last rows may take to be acknowledged when the agent stops. */
  stop_drain_ms: 1_000,
  /** How long an acknowledgement may take before the batch is sent again. */
  ack_timeout_ms: 15_000,
} as const;
