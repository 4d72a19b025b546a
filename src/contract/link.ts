/**
 * The link: one WebSocket that a host agent dials to a gateway. Frames are JSON text.
 *
 * 1. The agent opens `GET /v1/link?host=NAME` with `Authorization: Bearer <token>` and subprotocol `meshscope.link.1`, and sends
 *    `hello`. The gateway answers `welcome`, or `refuse` and closes; nothing else is sent before that.
 * 2. The agent sends its whole state as one or more `sync` frames, the first with the Host node in it and the last with
 *    `more: false`, and the gateway shows the new state only then, all at once. Changes follow as `delta` frames. Both
 *    carry one running number; a gap in it makes the gateway drop what it has of the stream and send `resync`, which the
 *    agent answers with a new `sync`.
 * 3. The gateway asks with `call`; the agent answers with `answer` parts, the last with `more: false`, or with `fault`.
 *    The gateway may `cancel`. An answer to a call that is unknown or over is dropped.
 * 4. The agent sends telemetry as `events`; the gateway sends `ack` when the store has committed. Without an `ack` the
 *    agent sends the batch again, after a while or after reconnecting.
 * 5. Both sides send `heartbeat` after `heartbeat_ms` of their own silence, as HEARTBEAT_TEXT; a gateway may also answer
 *    each with one. A side that has heard nothing for three of them closes.
 * 6. An agent that ends for good sends `bye`, and its host leaves the mesh. A link that breaks without it leaves the last
 *    state behind, marked by its age.
 *
 * A frame that is not in this grammar closes the link with code 1008, a larger one than FRAME_MAX_BYTES with 1009.
 */
import * as v from 'valibot';
import { EventBatch } from './events.ts';
import { U32, UInt } from './integers.ts';
import { NodePayload } from './node-payload.ts';
import { PySpyProfileOpts } from './pyspy.ts';
import { Timestamp } from './timestamp.ts';

export const LINK_VERSION = 1;
export const LINK_SUBPROTOCOL = `meshscope.link.${LINK_VERSION}`;
export const HOST_NAME_MAX_CHARS = 100;

/** Bound of one frame on the wire, bytes of UTF-8. The smallest limit of the runtimes that a gateway runs on. */
export const FRAME_MAX_BYTES = 1024 * 1024;
/** Bound of one part of an answer, characters, so that its frame stays under FRAME_MAX_BYTES however it is escaped. */
export const ANSWER_PART_CHARS = 128 * 1024;
/** Bound of one whole answer, characters. */
export const ANSWER_MAX_CHARS = 32 * 1024 * 1024;
/** Silence after which a side sends a heartbeat, milliseconds, where the gateway has no reason for another. */
export const HEARTBEAT_MS = 5_000;
/** What a gateway may say in `welcome` instead, milliseconds. */
export const HEARTBEAT_MIN_MS = 20;
export const HEARTBEAT_MAX_MS = 60_000;
/** Silence after which a side takes the link for dead, heartbeats. */
export const SILENCE_MAX_HEARTBEATS = 3;
/** A heartbeat as it is on the wire: a gateway that sleeps between frames may have its runtime answer it. */
export const HEARTBEAT_TEXT = '{"type":"heartbeat"}';
/** Close codes that a gateway sends. */
export const CLOSE = { normal: 1000, going_away: 1001, protocol: 1008, too_large: 1009, replaced: 4001 } as const;
/** Close codes that an agent sends: a WebSocket client may use only 1000 and the range from 3000. */
export const AGENT_CLOSE = { normal: 1000, peer_silent: 4002, peer_slow: 4003, protocol: 4008 } as const;

/** What a close frame has room for (RFC 6455, 5.5); a WebSocket client throws at more. */
const CLOSE_REASON_MAX_BYTES = 123;

/** As much of a reason as fits into a close frame. */
export function closeReason(reason: string): string {
  return reason.slice(0, new TextEncoder().encodeInto(reason, new Uint8Array(CLOSE_REASON_MAX_BYTES)).read);
}

/** A host's name: what a person calls the machine. It is the location of the host's references. */
export const HostName = v.pipe(
  v.string(),
  v.maxLength(HOST_NAME_MAX_CHARS),
  v.regex(
    /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/,
    'host name: letters, digits, ".", "_" and "-", for example gpu-7',
  ),
);

const Seq = v.pipe(UInt, v.minValue(1));

const Hello = v.object({
  type: v.literal('hello'),
  version: UInt,
  host: HostName,
  /** One run of one agent: a new one replaces what an older one of the same host had published. */
  incarnation: v.pipe(v.string(), v.uuid()),
  agent_version: v.string(),
  started_at: Timestamp,
  /**
   * Where the host is, as its references say it. Default: what follows from its name, which is all that a token for
   * certain hosts, or a gateway over shards, may publish.
   */
  location: v.optional(v.string()),
});

const Sync = v.object({ type: v.literal('sync'), seq: Seq, nodes: v.array(NodePayload), more: v.boolean() });

const Delta = v.object({
  type: v.literal('delta'),
  seq: Seq,
  nodes: v.array(NodePayload),
  removed: v.array(v.string()),
});

export const AnswerFrame = v.object({ type: v.literal('answer'), call: UInt, part: v.string(), more: v.boolean() });
export type AnswerFrame = v.InferOutput<typeof AnswerFrame>;

export const FaultFrame = v.object({
  type: v.literal('fault'),
  call: UInt,
  error: v.object({ code: v.string(), message: v.string(), details: v.optional(v.unknown()) }),
});
export type FaultFrame = v.InferOutput<typeof FaultFrame>;

const Events = v.object({ type: v.literal('events'), batch: EventBatch });
export const ByeFrame = v.object({ type: v.literal('bye'), reason: v.string() });
export const HeartbeatFrame = v.object({ type: v.literal('heartbeat') });

export const AgentFrame = v.variant('type', [
  Hello,
  Sync,
  Delta,
  AnswerFrame,
  FaultFrame,
  Events,
  ByeFrame,
  HeartbeatFrame,
]);
export type AgentFrame = v.InferOutput<typeof AgentFrame>;
export type HelloFrame = v.InferOutput<typeof Hello>;

/** What a gateway asks of an agent. The reference of `introspect` may be any node of the host. */
export const CallRequest = v.variant('method', [
  v.object({ method: v.literal('introspect'), reference: v.string() }),
  /** `locals`: values of local variables too. Default: none; agents that do not know it give none. */
  v.object({ method: v.literal('pyspy_dump'), reference: v.string(), locals: v.optional(v.boolean()) }),
  v.object({ method: v.literal('pyspy_profile'), reference: v.string(), opts: PySpyProfileOpts }),
  v.object({ method: v.literal('config_dump'), reference: v.string() }),
]);
export type CallRequest = v.InferOutput<typeof CallRequest>;

export const WelcomeFrame = v.object({
  type: v.literal('welcome'),
  version: UInt,
  gateway_version: v.string(),
  heartbeat_ms: v.pipe(UInt, v.minValue(HEARTBEAT_MIN_MS), v.maxValue(HEARTBEAT_MAX_MS)),
  frame_max_bytes: UInt,
});

/** `retry: false` says that dialling again cannot help until somebody changes something. */
export const RefuseFrame = v.object({
  type: v.literal('refuse'),
  code: v.string(),
  message: v.string(),
  retry: v.boolean(),
});

const Call = v.object({ type: v.literal('call'), call: UInt, deadline_ms: U32, request: CallRequest });
export const CancelFrame = v.object({ type: v.literal('cancel'), call: UInt });
const Ack = v.object({ type: v.literal('ack'), producer: v.string(), seq: Seq });
const Resync = v.object({ type: v.literal('resync'), reason: v.string() });

export const GatewayFrame = v.variant('type', [
  WelcomeFrame,
  RefuseFrame,
  Call,
  CancelFrame,
  Ack,
  Resync,
  HeartbeatFrame,
]);
export type GatewayFrame = v.InferOutput<typeof GatewayFrame>;

export type ReadFrame<F> =
  | { readonly ok: true; readonly frame: F }
  /** `path` is that of the field that does not fit; null when no one field is to blame. */
  | { readonly ok: false; readonly error: string; readonly path: string | null };

/** Reads one frame: valid JSON of one of the schema's shapes, or one line saying what is wrong with it. */
export function readFrame<F>(schema: v.GenericSchema<unknown, F>, text: string): ReadFrame<F> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, error: 'frame is not JSON', path: null };
  }
  const result = v.safeParse(schema, json);
  if (result.success) return { ok: true, frame: result.output };
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  return { ok: false, error: `frame ${path ?? ''}: ${issue.message}`, path };
}
