/**
 * Every bound of the gateway, with its number. What happens at a bound is said beside it.
 *
 * The options of a gateway may replace single numbers (`limits`); nothing else changes them.
 */
export const LIMITS = {
  /** Hosts known at once, linked or disconnected. At the bound the host that disconnected first is forgotten; when all are linked, a new host is refused, `retry` true. */
  hosts_max: 8_192,
  /** How long a disconnected host is kept, milliseconds. */
  gone_host_kept_ms: 24 * 60 * 60 * 1_000,
  /** How often the time when a linked host was last heard is written to storage, milliseconds: each write costs. */
  heard_kept_ms: 60 * 60 * 1_000,
  /** Nodes that one host may publish. Above it the link is closed with 1008. */
  nodes_per_host_max: 20_000,
  /** Characters of JSON that one host's nodes may take together. Above it the link is closed with 1008. */
  state_per_host_max_chars: 128 * 1024 * 1024,
  /** Checked references that are remembered. At the bound all are forgotten. */
  checked_references_max: 100_000,

  /** Links open at once, including those that have not sent `hello` yet. Above it a link is refused, `retry` true. */
  links_max: 8_192 + 1_024,
  /** Bytes that may wait to be sent on a link whose peer does not read. Above it the link is cut; on Workers this cannot be seen. */
  link_unsent_max_bytes: 4 * 1024 * 1024,
  /** How long a link may wait before its `hello`, and before its first whole `sync`, milliseconds. Then 1008. */
  hello_wait_ms: 10_000,
  sync_wait_ms: 30_000,
  /** Shortest and longest silence before a heartbeat that can be set, milliseconds. Outside of these the gateway does not start. */
  heartbeat_min_ms: 20,
  heartbeat_max_ms: 60_000,
  /** Shortest time between two looks at what is due on the links, milliseconds: they come five to a heartbeat. */
  look_pause_min_ms: 10,
  /** Silence, in heartbeats, after which a link counts as dead for a newcomer that claims the same host name. */
  takeover_silence_heartbeats: 1.5,
  /** Characters of an agent's version that are remembered. What is longer is cut. */
  agent_version_max_chars: 64,
  /** Newcomers that may wait at once for the same host name. Above it they are refused. */
  contenders_max: 4,

  /** Relayed calls in flight, per host and in all. Above it the request is answered 503 with `Retry-After`. */
  calls_per_host_max: 4_096,
  calls_max: 16_384,
  /** Requests that wait for relayed calls, which many may share. Above it 503 with `Retry-After`. */
  waiters_max: 16_384,
  /** Characters of answers being assembled, in all. Above it the call that received the last part fails with 503. */
  answers_max_chars: 256 * 1024 * 1024,
  /** Parts of one answer; an agent that fills its parts needs 256. Above it the call fails with 500. */
  answer_parts_max: 4_096,
  /** `Retry-After` of a 503 at one of these bounds, seconds. */
  retry_after_s: 1,

  /** Event batches of one link that are being stored at a time, each of another producer, and as many that wait. Above it a batch is dropped without an acknowledgement, and the agent sends it again. */
  event_batches_per_link_max: 8,

  /**
   * Live updates kept for clients that reconnect or read slowly, events and bytes in all. Above either the oldest is
   * dropped, and a client that had not read it yet gets one `snapshot` in place of everything it missed.
   */
  live_events_max: 4_096,
  live_events_max_bytes: 4 * 1024 * 1024,
  /** Characters of one event. Above it the event is sent without its `status`. */
  live_event_max_chars: 16 * 1024,
  /** Characters of a command, a status or a failure in an event. What is longer is cut. */
  live_text_max_chars: 500,
  /** Differences that are sent one by one when a host sends its whole state again. Above it `read_again` is true. */
  live_sync_changes_max: 256,
  /** Streams of live updates open at once. Above it 503 with `Retry-After`. */
  live_clients_max: 1_024,
  /** Bytes sent to a client at a time, unless a single event is larger. The rest waits. */
  live_chunk_max_bytes: 64 * 1024,
  /** How long a browser is asked to wait before it reconnects, milliseconds. */
  live_retry_ms: 1_000,
  /** How long a client may leave sent events unread, milliseconds. Then its stream is cut. */
  live_stall_ms: 60_000,

  /** Body of a POST, bytes. Above it 413. */
  body_max_bytes: 2 * 1024 * 1024,
  /** Bodies being read, bytes in all. Above it 503 with `Retry-After`. */
  bodies_max_bytes: 64 * 1024 * 1024,
  /** Characters of an answer that is sent whole. A longer one goes out in pieces, other requests between them. */
  whole_body_max_chars: 1024 * 1024,
  /** Characters of such a piece. */
  body_piece_chars: 128 * 1024,
  /** Request line and headers together, bytes. A reference of 10,000 characters must still be answered. Above it 431. */
  head_max_bytes: 80 * 1024,
  /** Characters of a dump that is checked whole. Of a longer one the envelope is, and its stacks pass as they came. */
  dump_checked_max_chars: 64 * 1024,
  /** Characters before the stacks of such a dump, and behind them. Above it 500. */
  dump_envelope_max_chars: 16 * 1024,
  /** Answer of the telemetry service, bytes. Above it 500 `proxy_error`. */
  telemetry_answer_max_bytes: 64 * 1024 * 1024,
  /** Links of telemetry services, including those that have not sent `hello` yet. Above it a link is refused, `retry` true. */
  store_links_max: 8,
  /** Characters of bodies that wait to be sent to a linked store. Above it 503 with `Retry-After`. */
  store_waiting_max_chars: 64 * 1024 * 1024,
  /** `Retry-After` of a 503 while the store is disconnected, seconds. */
  store_retry_after_s: 5,
  /** How long a call waits for a store that seems silent, milliseconds. Then the store's link is closed. */
  store_doubt_ms: 250,
  /** Characters of the owner's token, at least. With a shorter one the gateway does not start. */
  token_min_chars: 16,
  /** Token of a request, characters. A longer one is wrong. */
  token_max_chars: 1_024,
  /** Shortest time between two looks at whether the file of tokens has changed, milliseconds. */
  token_file_look_ms: 1_000,
  /** Size of the token file, bytes; the longest document fits. A larger file is not read, and the tokens stay as they are. */
  token_file_max_bytes: 4 * 1024 * 1024,
  /** Characters of a reference or of SQL in an audit line. What is longer is cut. */
  audit_target_max_chars: 200,

  /** How long the gateway waits, milliseconds. Each of these ends in 504 unless said otherwise. */
  resolve_wait_ms: 3_000,
  /** After this an actor's last published state is shown instead of a fresh one. */
  actor_fresh_wait_ms: 500,
  dump_wait_ms: 13_000,
  /** Added to the duration of a profile. */
  profile_extra_wait_ms: 20_000,
  config_wait_ms: 5_000,
  telemetry_wait_ms: 10_000,

  /** Snapshots: period, wait for the first, tries per batch, wait between tries (doubling), rows and characters per batch. */
  snapshot_interval_ms: 30_000,
  snapshot_first_ms: 1_000,
  snapshot_tries_max: 4,
  snapshot_retry_ms: 500,
  snapshot_batch_rows: 5_000,
  snapshot_batch_chars: 512 * 1024,
  /** Longest period of snapshots that can be set, milliseconds. With a longer one the gateway does not start. */
  snapshot_interval_max_ms: 24 * 60 * 60 * 1_000,
  /** Nodes turned into rows before other work gets its turn. */
  snapshot_slice_nodes: 250,

  /** How often the gateway stores its own metrics, log lines and spans, milliseconds. */
  own_rows_interval_ms: 10_000,
  /** The gateway's own log lines and spans that wait to be stored, rows. Above it the newest are dropped and counted as lost. */
  own_rows_max: 5_000,
  /** Series of one metric of the gateway. Beyond: further ones go together into one with the attribute `overflow`. */
  metric_series_max: 1_000,

  /** How long a request may take to come, its head and the whole of it, milliseconds. Then 408. */
  head_wait_ms: 20_000,
  request_wait_ms: 60_000,
  /** How long an idle connection is kept, above the 90 s of common clients, milliseconds. */
  keep_alive_ms: 95_000,
  /** How long a gateway that stops waits for the calls in flight to be answered, milliseconds. Then their requests end in 504. */
  drain_wait_ms: 15_000,
  /** How long `close()` waits, and a peer that was refused has to hang up, milliseconds. Then its socket is destroyed. */
  close_wait_ms: 2_000,

  /** Shards that a mesh may be spread over. A number above it is refused at the start. */
  shards_max: 64,
  /** `state_per_host_max_chars` in a shard, whose object has 128 MB of memory in all. */
  shard_state_per_host_max_chars: 16 * 1024 * 1024,
  /** Live updates in one report of a shard to the directory. The rest goes into the next. */
  report_events_max: 512,
  /** Tries of such a report, and the wait after the first, milliseconds, which doubles. Then the next report names all hosts. */
  report_tries_max: 4,
  report_retry_ms: 250,
  /** How long a shard then waits before it sends that report, unless something changes earlier, milliseconds. */
  report_again_ms: 5_000,
  /** Heartbeat of a gateway whose hub sleeps between frames, milliseconds: checking for silence wakes the hub. */
  sleepy_heartbeat_ms: 20_000,
  /** A Durable Object's alarm is set anew only for what is due earlier than it rings, by more than this, milliseconds. */
  alarm_slack_ms: 5,
} as const;

export type GatewayLimits = { readonly [Name in keyof typeof LIMITS]: number };

/**
 * The limits with some replaced.
 *
 * @throws RangeError naming the limit and its value, when it is not a positive number or, apart from the silence before a
 *   takeover, no whole one
 */
export function resolveLimits(changes: Partial<GatewayLimits> = {}): GatewayLimits {
  for (const [name, value] of Object.entries(changes)) {
    const isValid = name === 'takeover_silence_heartbeats' ? value > 0 : Number.isSafeInteger(value) && value >= 1;
    if (!isValid) throw new RangeError(`limits.${name} must be a positive whole number, got ${value}`);
  }
  return { ...LIMITS, ...changes };
}
