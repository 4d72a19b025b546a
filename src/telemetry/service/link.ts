/**
 * The telemetry service at the end of a link that was dialled to a gateway (contract/store-link.ts). Whoever dials gives
 * an open link, after `welcome`; here is what goes on over it until it closes:
 *
 *  1. Parts of an `ask` are put together, `got` for each but the last, within the bounds that bodies have by HTTP too.
 *  2. A whole ask is answered by requests.ts, as a request over HTTP is; many at once. A write that has begun is finished,
 *     whether or not anybody still waits for it.
 *  3. How answers go back, and when calls end, is that of every link (link/calls/answerer.ts).
 */
import type { Outcome } from '../../base/index.ts';
import { ASKS_MAX, type AskFrame, type StoreFrame, type StoreGatewayFrame } from '../../contract/index.ts';
import { Answerer } from '../../link/index.ts';
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

/** An ask of which parts are still to come. */
interface Gathered {
  readonly body: HeldBody;
  readonly over: AbortSignal;
  text: string;
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
  readonly #answerer: Answerer;
  readonly #gathered = new Map<number, Gathered>();
  /** Parts of calls up to this one that are not gathered belong to calls that are over. */
  #highest = -1;

  constructor(requests: Requests, connection: StoreConnection) {
    const { link_answers_max_chars, link_unsent_max_bytes, link_drain_poll_ms } = requests.limits;
    this.#requests = requests;
    this.#connection = connection;
    this.#answerer = new Answerer('the telemetry service', connection, {
      calls_max: ASKS_MAX,
      answer_max_chars: link_answers_max_chars,
      answers_max_chars: link_answers_max_chars,
      unsent_max_bytes: link_unsent_max_bytes,
      drain_poll_ms: link_drain_poll_ms,
    });
  }

  take(frame: StoreGatewayFrame) {
    if (frame.type === 'ask') this.#ask(frame);
    else if (frame.type === 'cancel') this.#answerer.cancel(frame.call);
  }

  end() {
    void this.#answerer.close();
  }

  #ask({ call, deadline_ms, method, part, more }: AskFrame) {
    const gathered = this.#gathered.get(call) ?? this.#begin(call, deadline_ms, this.#requests.max_bytes[method]);
    if (gathered === null) return;
    const error = gathered.body.take(Buffer.byteLength(part));
    if (error !== null) return this.#answerer.fail(call, error);
    gathered.text += part;
    if (more) this.#connection.send({ type: 'got', call });
    else void this.#answer(call, method, gathered);
  }

  /** Holds the body of a new call until it is whole, or the call is over; null for parts of a call that is over. */
  #begin(call: number, deadline_ms: number, max_bytes: number): Gathered | null {
    if (call <= this.#highest) return null;
    this.#highest = call;
    const over = this.#answerer.open(call, deadline_ms);
    if (over === null) return null;
    const gathered = { body: this.#requests.bodies.hold(max_bytes), over, text: '' };
    this.#gathered.set(call, gathered);
    over.addEventListener('abort', () => {
      if (this.#gathered.delete(call)) gathered.body.release();
    });
    return gathered;
  }

  async #answer(call: number, method: AskFrame['method'], gathered: Gathered): Promise<void> {
    // From here on the body is held until the work on it is over, which may be after its call.
    this.#gathered.delete(call);
    const { body, over, text } = gathered;
    const work = async (): Promise<Outcome<string>> => {
      const json = readJson(() => text);
      try {
        return json.ok ? await this.#requests.answer(method, json.value, over) : json;
      } finally {
        body.release();
      }
    };
    await this.#answerer.answer(call, work());
  }
}
