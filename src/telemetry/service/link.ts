/**
 * The telemetry service at the end of a link that was dialled to a gateway (contract/store-link.ts). Whoever dials gives
 * an open link, after `welcome`; here is what goes on over it until it closes:
 *
 *  1. Parts of an `ask` are put together, `got` for each but the last, within the bounds that bodies have by HTTP too.
 *  2. A whole ask is answered by requests.ts, as a request over HTTP is; many at once.
 *  3. Answers go out in parts, those of several calls in turns, and no faster than the link takes them.
 *  4. `cancel`, and the deadline of the ask, give up what has not been answered; the end of the link all of it. A write
 *     that has begun is finished nonetheless.
 */
import type { Failure } from '../../base/index.ts';
import {
  ANSWER_PART_CHARS,
  ASKS_MAX,
  type AskFrame,
  type StoreFrame,
  type StoreGatewayFrame,
} from '../../contract/index.ts';
import { type HeldBody, readJson } from './bodies.ts';
import type { Requests } from './requests.ts';

/** An open link, as far as it is needed here. */
export interface StoreConnection {
  /** Sends a frame; false when the link is over. */
  send(frame: StoreFrame): boolean;
  /** Bytes that were sent and are still on this side. */
  readonly unsent_bytes: number;
  /** Sets who hears the frames that arrive. */
  listen(listener: (frame: StoreGatewayFrame) => void): void;
  /** Settles when the link is over. */
  readonly closed: Promise<unknown>;
}

interface Pending {
  readonly call: number;
  /** Held until the work on it is over, which may be after its call: a write that has begun is finished. */
  readonly body: HeldBody;
  readonly over: AbortController;
  readonly timer: ReturnType<typeof setTimeout>;
  isAtWork: boolean;
  text: string;
}

interface Outgoing {
  readonly call: number;
  readonly text: string;
  sent: number;
}

/** Serves a link until it closes. */
export function serveStoreLink(requests: Requests, connection: StoreConnection): void {
  const link = new ServedLink(requests, connection);
  connection.closed.then(() => link.end());
  connection.listen((frame) => link.take(frame));
}

class ServedLink {
  readonly #requests: Requests;
  readonly #connection: StoreConnection;
  readonly #pending = new Map<number, Pending>();
  readonly #outgoing: Outgoing[] = [];
  #outgoing_chars = 0;
  /** Parts of calls up to this one that are not pending belong to calls that are over. */
  #highest = -1;
  #isPumping = false;
  #isOver = false;

  constructor(requests: Requests, connection: StoreConnection) {
    this.#requests = requests;
    this.#connection = connection;
  }

  take(frame: StoreGatewayFrame) {
    if (frame.type === 'ask') this.#ask(frame);
    else if (frame.type === 'cancel') this.#finish(frame.call);
  }

  end() {
    this.#isOver = true;
    for (const call of [...this.#pending.keys()]) this.#finish(call);
  }

  #ask({ call, deadline_ms, method, part, more }: AskFrame) {
    let pending = this.#pending.get(call);
    if (pending === undefined) {
      if (call <= this.#highest) return;
      this.#highest = call;
      if (this.#pending.size >= ASKS_MAX) {
        return this.#fault(call, { code: 'service_unavailable', message: `${ASKS_MAX} calls on one link at a time` });
      }
      const over = new AbortController();
      const timer = setTimeout(() => this.#finish(call), deadline_ms);
      const body = this.#requests.bodies.hold(this.#requests.max_bytes[method]);
      pending = { call, body, over, timer, isAtWork: false, text: '' };
      this.#pending.set(call, pending);
    }
    const error = pending.body.take(Buffer.byteLength(part));
    if (error !== null) return this.#fault(call, error);
    pending.text += part;
    if (more) this.#connection.send({ type: 'got', call });
    else void this.#answer(pending, method);
  }

  async #answer(pending: Pending, method: AskFrame['method']): Promise<void> {
    const { call, over } = pending;
    const json = readJson(() => pending.text);
    pending.text = '';
    pending.isAtWork = true;
    const answer = json.ok ? await this.#requests.answer(method, json.value, over.signal) : json;
    pending.body.release();
    if (this.#pending.get(call) !== pending) return;
    if (!answer.ok) return this.#fault(call, answer.failure);
    const max_chars = this.#requests.limits.link_answers_max_chars;
    if (this.#outgoing_chars + answer.value.length > max_chars) {
      const message = `more than ${max_chars} characters of answers wait for the link; try again`;
      return this.#fault(call, { code: 'service_unavailable', message });
    }
    this.#outgoing_chars += answer.value.length;
    this.#outgoing.push({ call, text: answer.value, sent: 0 });
    if (!this.#isPumping) void this.#pump();
  }

  async #pump(): Promise<void> {
    const { link_unsent_max_bytes, link_drain_poll_ms } = this.#requests.limits;
    this.#isPumping = true;
    for (let next = this.#outgoing[0]; next !== undefined; next = this.#outgoing[0]) {
      // A WebSocket does not tell when it has room again.
      if (this.#connection.unsent_bytes > link_unsent_max_bytes) {
        await new Promise((resolve) => setTimeout(resolve, link_drain_poll_ms));
        continue;
      }
      this.#outgoing.shift();
      const { call, text, sent } = next;
      const part = text.slice(sent, sent + ANSWER_PART_CHARS);
      next.sent += part.length;
      this.#outgoing_chars -= part.length;
      const more = next.sent < text.length;
      if (more) this.#outgoing.push(next);
      this.#connection.send({ type: 'answer', call, part, more });
      if (!more) this.#finish(call);
    }
    this.#isPumping = false;
  }

  #fault(call: number, { code, message, details }: Failure) {
    const error = details === undefined ? { code, message } : { code, message, details };
    if (!this.#isOver) this.#connection.send({ type: 'fault', call, error });
    this.#finish(call);
  }

  /** The call is answered, or nobody waits for its answer any more. */
  #finish(call: number) {
    const pending = this.#pending.get(call);
    if (pending === undefined) return;
    this.#pending.delete(call);
    clearTimeout(pending.timer);
    if (!pending.isAtWork) pending.body.release();
    pending.over.abort();
    const index = this.#outgoing.findIndex((each) => each.call === call);
    const [dropped] = index < 0 ? [] : this.#outgoing.splice(index, 1);
    if (dropped !== undefined) this.#outgoing_chars -= dropped.text.length - dropped.sent;
  }
}
