/** Every bound of the gateway, with its number. What happens at a bound is said beside it. */

/** Hosts known at once, live and gone together. At the bound the one longest gone is forgotten; without one a new host is refused, `retry` true. */
export const HOSTS_MAX = 8_192;
/** How long a host whose link broke is kept, milliseconds. */
export const GONE_HOST_KEPT_MS = 24 * 60 * 60 * 1_000;
/** How old may be what is kept of when a linked host was last heard, milliseconds: writing it costs. */
export const HEARD_KEPT_MS = 60 * 60 * 1_000;
/** Nodes that one host may publish. Above it the link is closed with 1008. */
export const NODES_PER_HOST_MAX = 20_000;
/** Characters of JSON that one host's nodes may take together. Above it the link is closed with 1008. */
export const STATE_PER_HOST_MAX_CHARS = 128 * 1024 * 1024;
/** References remembered as already checked; at the bound the memory is emptied and filled anew. */
export const CHECKED_REFERENCES_MAX = 100_000;

/** Links open at once, hosts and those that have not said hello. Above it a link is refused, `retry` true. */
export const LINKS_MAX = HOSTS_MAX + 1_024;
/** Bytes that may wait to be sent on a link whose peer does not read. Above it the link is cut; on Workers nobody can tell. */
export const LINK_UNSENT_MAX_BYTES = 4 * 1024 * 1024;
/** How long a link may wait before its `hello`, and before its first whole `sync`, milliseconds. Then 1008. */
export const HELLO_WAIT_MS = 10_000;
export const SYNC_WAIT_MS = 30_000;
/** Silence, in heartbeats, after which a link counts as dead for a newcomer that claims the same host name. */
export const TAKEOVER_SILENCE_HEARTBEATS = 1.5;
/** Newcomers that may wait at once for the same host name. Above it they are refused. */
export const CONTENDERS_MAX = 4;

/** Relayed calls in flight, per host and in all. Above it the request is answered 503 with `Retry-After`. */
export const CALLS_PER_HOST_MAX = 4_096;
export const CALLS_MAX = 16_384;
/** Requests that wait for relayed calls, which many may share. Above it 503 with `Retry-After`. */
export const WAITERS_MAX = 16_384;
/** Characters of answers being assembled, in all. Above it the call whose part came last fails with 503. */
export const ANSWERS_MAX_CHARS = 256 * 1024 * 1024;
/** Parts of one answer, of which an agent that fills them needs 256. Above it the call fails with 500. */
export const ANSWER_PARTS_MAX = 4_096;
/** `Retry-After` of a 503 at one of these bounds, seconds. */
export const RETRY_AFTER_S = 1;

/** Event batches of one link at the store at a time, of as many producers; and as many that wait. Above it a batch is dropped unacknowledged: it comes again. */
export const EVENT_BATCHES_PER_LINK_MAX = 8;

/**
 * Live updates kept for clients that come back or read slowly, events and bytes in all. Above either the oldest goes, and
 * a client that had not read it yet gets one `snapshot` in place of all it has missed.
 */
export const LIVE_EVENTS_MAX = 4_096;
export const LIVE_EVENTS_MAX_BYTES = 4 * 1024 * 1024;
/** Characters of one event. Above it the event goes without its `status`. */
export const LIVE_EVENT_MAX_CHARS = 16 * 1024;
/** Characters of a command, a status or a failure in an event. What is longer is cut. */
export const LIVE_TEXT_MAX_CHARS = 500;
/** Differences that are told one by one when a host sends its whole state again. Above it `read_again` is true. */
export const LIVE_SYNC_CHANGES_MAX = 256;
/** Streams of live updates open at once. Above it 503 with `Retry-After`. */
export const LIVE_CLIENTS_MAX = 1_024;
/** Bytes handed to a client at a time, except where one event alone is larger. The rest waits in what is kept. */
export const LIVE_CHUNK_MAX_BYTES = 64 * 1024;
/** How long a client may leave unread what was handed to it, milliseconds. Then its stream is cut. */
export const LIVE_STALL_MS = 60_000;

/** Body of a POST, bytes. Above it 413. */
export const BODY_MAX_BYTES = 2 * 1024 * 1024;
/** Bodies being read, bytes in all. Above it 503 with `Retry-After`. */
export const BODIES_MAX_BYTES = 64 * 1024 * 1024;
/** Characters of an answer that is sent whole. A longer one goes out in pieces, other requests between them. */
export const WHOLE_BODY_MAX_CHARS = 1024 * 1024;
/** Characters of such a piece. */
export const BODY_PIECE_CHARS = 128 * 1024;
/** Request line and headers together, bytes: a reference of 10,000 characters must get an orderly answer. Above it 431. */
export const HEAD_MAX_BYTES = 80 * 1024;
/** Characters of a dump that is checked whole. Of a longer one the envelope is, and its stacks pass as they came. */
export const DUMP_CHECKED_MAX_CHARS = 64 * 1024;
/** Characters before the stacks of such a dump, and behind them. Above it 500. */
export const DUMP_ENVELOPE_MAX_CHARS = 16 * 1024;
/** Answer of the telemetry service, bytes. Above it 500 `proxy_error`. */
export const TELEMETRY_ANSWER_MAX_BYTES = 64 * 1024 * 1024;
/** Links of telemetry services that dial in, those that have not said hello included. Above it refused, `retry` true. */
export const STORE_LINKS_MAX = 8;
/** Characters of bodies that wait to be sent to a linked store. Above it 503 with `Retry-After`. */
export const STORE_WAITING_MAX_CHARS = 64 * 1024 * 1024;
/** `Retry-After` of a 503 while the link of the store is gone, seconds. */
export const STORE_RETRY_AFTER_S = 5;
/** How long a call waits for a sign of life of a store that seems silent, milliseconds. Then its link is closed. */
export const STORE_DOUBT_MS = 250;
/** Token of a request, characters. A longer one is wrong. */
export const TOKEN_MAX_CHARS = 1_024;
/** Shortest time between two looks at whether the file of tokens has changed, milliseconds. */
export const TOKEN_FILE_LOOK_MS = 1_000;
/** The file of tokens, bytes, which has room for the longest document. A larger one is not read: the tokens stay as they are. */
export const TOKEN_FILE_MAX_BYTES = 4 * 1024 * 1024;
/** Characters of a reference or of SQL in an audit line. What is longer is cut. */
export const AUDIT_TARGET_MAX_CHARS = 200;

/** How long the gateway waits, milliseconds. Each of these ends in 504 unless said otherwise. */
export const RESOLVE_WAIT_MS = 3_000;
/** After this an actor's last published state is shown instead of a fresh one. */
export const ACTOR_FRESH_WAIT_MS = 500;
export const DUMP_WAIT_MS = 13_000;
/** Added to the duration of a profile. */
export const PROFILE_EXTRA_WAIT_MS = 20_000;
export const CONFIG_WAIT_MS = 5_000;
export const TELEMETRY_WAIT_MS = 10_000;

/** Snapshots: period, wait for the first, tries per batch, wait between tries (doubling), rows and characters per batch. */
export const SNAPSHOT_INTERVAL_MS = 30_000;
export const SNAPSHOT_FIRST_MS = 1_000;
export const SNAPSHOT_TRIES_MAX = 4;
export const SNAPSHOT_RETRY_MS = 500;
export const SNAPSHOT_BATCH_ROWS = 5_000;
export const SNAPSHOT_BATCH_CHARS = 512 * 1024;
/** Nodes turned into rows before other work gets its turn. */
export const SNAPSHOT_SLICE_NODES = 250;

/** How often the gateway sends what it has to say of itself, milliseconds. */
export const OWN_ROWS_INTERVAL_MS = 10_000;
/** Log lines and spans of the gateway that wait to be sent, rows. Above it the newest are dropped, and counted as lost. */
export const OWN_ROWS_MAX = 5_000;
/** Series of one metric of the gateway. Beyond: further ones go together into one with the attribute `overflow`. */
export const METRIC_SERIES_MAX = 1_000;

/** How long a request may take to come, its head and the whole of it, milliseconds. Then 408. */
export const HEAD_WAIT_MS = 20_000;
export const REQUEST_WAIT_MS = 60_000;
/** How long an idle connection is kept, above the 90 s of common clients, milliseconds. */
export const KEEP_ALIVE_MS = 95_000;
/** How long a gateway that stops waits for the calls in flight to be answered, milliseconds. Then their requests end in 504. */
export const DRAIN_WAIT_MS = 15_000;
/** How long `close()` waits, and a peer that was refused has to hang up, milliseconds. Then its socket is destroyed. */
export const CLOSE_WAIT_MS = 2_000;

/** Shards that a mesh may be spread over. A number above it is refused at the start. */
export const SHARDS_MAX = 64;
/** The same as STATE_PER_HOST_MAX_CHARS in a shard, whose object has 128 MB of memory in all. */
export const SHARD_STATE_PER_HOST_MAX_CHARS = 16 * 1024 * 1024;
/** Live updates in one message of a shard to the directory. The rest goes in the next. */
export const TOLD_EVENTS_MAX = 512;
/** Tries of such a message, and the wait before the next, milliseconds, longer each time. Then the next names all hosts. */
export const TOLD_TRIES_MAX = 4;
export const TOLD_RETRY_MS = 250;
/** How long a shard then waits before it sends that one, unless something is to be told before, milliseconds. */
export const TOLD_AGAIN_MS = 5_000;
/** Heartbeat of a gateway whose hub sleeps between frames, milliseconds: looking for silence wakes it. */
export const SLEEPY_HEARTBEAT_MS = 20_000;
