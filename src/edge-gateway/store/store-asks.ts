/**
 * What a gateway asks a linked store, from question to answer, on one link (contract/store-link.ts):
 *
 *  1. Each call gets a number that is above every earlier one on any link, and a deadline. Its body waits here and goes out
 *     in parts, those of several calls in turns, as long as the window has room.
 *  2. Answer parts are put together in the order they come; `more: false` or a `fault` ends the call.
 *  3. At the deadline, or when nobody waits any more, the store is told to cancel; what it still sends is dropped, as is
 *     an answer to a number that is unknown or over.
 *  4. When the link ends, every call on it ends with the failure that says so.
 */
import { type Failure, failure, type Outcome, success } from '../../base/index.ts';
import {
  ASK_PART_CHARS,
  ASK_WINDOW_CHARS,
  ASKS_MAX,
  type StoreGatewayFrame,
  type StoreMethod,
} from '../../contract/index.ts';
import { RETRY_AFTER_S, STORE_WAITING_MAX_CHARS, TELEMETRY_ANSWER_MAX_BYTES } from '../limits.ts';
import { type ServiceError, telemetryFailure } from './store-failure.ts';

interface Pending {
  readonly method: StoreMethod;
  readonly body: string;
  readonly deadline_ms: number;
  readonly settle: (outcome: Outcome<string>) => void;
  /** Characters of the body that have been sent. */
  sent: number;
  /** Parts of them, the last aside, that the store has not told it got. */
  unconfirmed: number;
  /** Characters that this call takes up in the window. */
  underWay: number;
  answer: string;
}

export class StoreAsks {
  readonly #pending = new Map<number, Pending>();
  /** Numbers of the calls that have something left to send, in turn. */
  readonly #turns: number[] = [];
  readonly #send: (frame: StoreGatewayFrame) => void;
  #lastNumber: number;
  #underWay = 0;
  #waiting = 0;
  #answered = 0;
  #over: Failure | null = null;

  /** @param lastNumber a number that no earlier call was above */
  constructor(send: (frame: StoreGatewayFrame) => void, lastNumber: number) {
    this.#send = send;
    this.#lastNumber = lastNumber;
  }

  /** Of the calls so far. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** @param deadline_ms milliseconds until the call ends as late. */
  ask(method: StoreMethod, body: string, deadline_ms: number, signal?: AbortSignal): Promise<Outcome<string>> {
    if (this.#over !== null) return Promise.resolve({ ok: false, failure: this.#over });
    if (signal?.aborted === true) return Promise.resolve({ ok: false, failure: CANCELLED });
    if (this.#pending.size >= ASKS_MAX) return Promise.resolve(full(`${ASKS_MAX} calls wait for the telemetry store`));
    if (this.#waiting + body.length > STORE_WAITING_MAX_CHARS) {
      return Promise.resolve(full(`${STORE_WAITING_MAX_CHARS} characters wait to be sent to the telemetry store`));
    }
    const { promise, resolve } = Promise.withResolvers<Outcome<string>>();
    this.#lastNumber += 1;
    const call = this.#lastNumber;
    const late = failure('gateway_timeout', `the telemetry service did not answer within ${deadline_ms / 1_000} s`);
    const timer = setTimeout(() => this.#abandon(call, late), deadline_ms);
    const cancel = () => this.#abandon(call, { ok: false, failure: CANCELLED });
    signal?.addEventListener('abort', cancel);
    const settle = (outcome: Outcome<string>) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      resolve(outcome);
    };
    this.#pending.set(call, { method, body, deadline_ms, settle, sent: 0, unconfirmed: 0, underWay: 0, answer: '' });
    this.#waiting += body.length;
    this.#turns.push(call);
    this.#pump();
    return promise;
  }

  /** The store has taken in a part, and has room for another. */
  got(call: number) {
    const pending = this.#pending.get(call);
    if (pending === undefined || pending.unconfirmed === 0) return;
    pending.unconfirmed -= 1;
    this.#free(pending, ASK_PART_CHARS);
    this.#pump();
  }

  answer(call: number, part: string, more: boolean) {
    const pending = this.#pending.get(call);
    if (pending === undefined) return;
    if (this.#answered + part.length > TELEMETRY_ANSWER_MAX_BYTES) {
      const message = `telemetry answered more than ${TELEMETRY_ANSWER_MAX_BYTES} characters`;
      return this.#abandon(call, failure('proxy_error', message));
    }
    pending.answer += part;
    this.#answered += part.length;
    if (!more) this.#finish(call, success(pending.answer));
  }

  fault(call: number, error: ServiceError) {
    this.#finish(call, { ok: false, failure: telemetryFailure(error, 'the telemetry service answered') });
  }

  /** The link has ended. */
  end(why: Failure) {
    this.#over = why;
    for (const call of [...this.#pending.keys()]) this.#finish(call, { ok: false, failure: why });
  }

  #pump() {
    for (let call = this.#turns[0]; call !== undefined; call = this.#turns[0]) {
      const pending = this.#pending.get(call);
      if (pending === undefined) {
        this.#turns.shift();
        continue;
      }
      const { method, body, deadline_ms, sent } = pending;
      const part = body.slice(sent, sent + ASK_PART_CHARS);
      if (this.#underWay > 0 && this.#underWay + part.length > ASK_WINDOW_CHARS) return;
      this.#turns.shift();
      pending.sent += part.length;
      pending.underWay += part.length;
      this.#underWay += part.length;
      this.#waiting -= part.length;
      const more = pending.sent < body.length;
      if (more) {
        pending.unconfirmed += 1;
        this.#turns.push(call);
      }
      this.#send({ type: 'ask', call, deadline_ms, method, part, more });
    }
  }

  #abandon(call: number, outcome: Outcome<string>) {
    const pending = this.#pending.get(call);
    if (pending === undefined) return;
    if (pending.sent > 0) this.#send({ type: 'cancel', call });
    this.#finish(call, outcome);
  }

  #finish(call: number, outcome: Outcome<string>) {
    const pending = this.#pending.get(call);
    if (pending === undefined) return;
    this.#pending.delete(call);
    this.#free(pending, pending.underWay);
    this.#waiting -= pending.body.length - pending.sent;
    this.#answered -= pending.answer.length;
    pending.settle(outcome);
    if (this.#over === null) this.#pump();
  }

  #free(pending: Pending, chars: number) {
    pending.underWay -= chars;
    this.#underWay -= chars;
  }
}

const CANCELLED: Failure = {
  code: 'gateway_timeout',
  message: 'the request was cancelled before its answer came',
};

function full(what: string): Outcome<never> {
  const details = { retry_after_s: RETRY_AFTER_S };
  return failure('service_unavailable', `${what}; try again in ${RETRY_AFTER_S} s`, details);
}
