/**
 * The store's link: one WebSocket that a telemetry service dials to a gateway which cannot dial the service. Frames are
 * JSON text; heartbeats, silence, bounds and close codes are those of the agents' link (link.ts).
 *
 * 1. The store opens `GET /v1/store` with `Authorization: Bearer <token>` and subprotocol `meshscope.store.1`, and sends
 *    `hello`. The gateway answers `welcome`, or `refuse` and closes; nothing else is sent before that.
 * 2. The gateway asks with `ask`: a method and the JSON text of its body, in parts, the last with `more: false`. Parts of
 *    several asks may come in turns; the first parts come in the order of the calls' numbers, which only grow.
 * 3. The store answers each part with `more: true` by `got`, the last by `answer` parts (the JSON text of the answer, as
 *    it is to reach whoever asked) or by `fault`; a `fault` may come before all parts have. No more than ASK_WINDOW_CHARS
 *    are under way to the store, so that the link is never filled by one large body. `ingest` and `store_dump` are
 *    answered after the commit, and only then.
 * 4. The gateway may `cancel`; the store gives up what has not been answered within `deadline_ms` by itself. An answer to a
 *    call that is unknown or over is dropped. What was asked and not answered when a link ends may have been done: batches
 *    are sent again, and count once (events.ts).
 * 5. Both sides send `heartbeat` as HEARTBEAT_TEXT: the store after `heartbeat_ms` of silence of either side, the gateway
 *    in answer. A store that has heard nothing for three of them closes.
 * 6. A gateway has one store. A link of the same `incarnation` replaces the older one; another is refused as long as the
 *    older was heard within one and a half heartbeats.
 * 7. A store that ends for good sends `bye`.
 */
import * as v from 'valibot';
import { U32, UInt } from './integers.ts';
import { AnswerFrame, ByeFrame, CancelFrame, FaultFrame, HeartbeatFrame, RefuseFrame, WelcomeFrame } from './link.ts';

export const STORE_VERSION = 1;
export const STORE_SUBPROTOCOL = `meshscope.store.${STORE_VERSION}`;

/** Calls on one link that are not answered yet. Above it the gateway refuses with 503, the store with `fault`. */
export const ASKS_MAX = 1_024;
/** Bound of one part of an ask, characters, so that its frame stays under FRAME_MAX_BYTES however it is escaped. */
export const ASK_PART_CHARS = 128 * 1024;
/** Characters of asks that the store has neither answered nor told that it `got`. Above it the gateway waits. */
export const ASK_WINDOW_CHARS = 4 * ASK_PART_CHARS;

/** What a gateway asks, with the body of each: QueryRequest, StoreDumpRequest, EventBatch. */
export const StoreMethod = v.picklist(['query', 'store_dump', 'ingest']);
export type StoreMethod = v.InferOutput<typeof StoreMethod>;

const Hello = v.object({
  type: v.literal('hello'),
  version: UInt,
  /** One run of one service. */
  incarnation: v.pipe(v.string(), v.uuid()),
  service_version: v.string(),
});
export type StoreHello = v.InferOutput<typeof Hello>;

const Got = v.object({ type: v.literal('got'), call: UInt });

export const StoreFrame = v.variant('type', [Hello, Got, AnswerFrame, FaultFrame, ByeFrame, HeartbeatFrame]);
export type StoreFrame = v.InferOutput<typeof StoreFrame>;

const Ask = v.object({
  type: v.literal('ask'),
  call: UInt,
  deadline_ms: U32,
  method: StoreMethod,
  part: v.string(),
  more: v.boolean(),
});
export type AskFrame = v.InferOutput<typeof Ask>;

export const StoreGatewayFrame = v.variant('type', [WelcomeFrame, RefuseFrame, Ask, CancelFrame, HeartbeatFrame]);
export type StoreGatewayFrame = v.InferOutput<typeof StoreGatewayFrame>;
