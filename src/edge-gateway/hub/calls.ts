/**
 * Calls on one link, from question to answer:
 *
 *  1. Each call gets a number of its own on the link, a deadline, and a place in two counts (this host's and all).
 *  2. Answer parts are put together in the order they come; `more: false` or a `fault` ends the call.
 *  3. At the deadline, or when nobody waits any more, the call is cancelled: the agent is told, and what it still sends
 *     is dropped, as is an answer to a number that is unknown or over.
 *     A table that goes on for one that is lost begins above all numbers that it may have used.
 *  4. When the link breaks, every call on it ends as lost.
 */
import type { ErrorCode, Failure } from '../../base/index.ts';
import { ANSWER_MAX_CHARS, type CallRequest, type GatewayFrame } from '../../contract/index.ts';
import { ANSWER_PARTS_MAX, ANSWERS_MAX_CHARS, CALLS_MAX, CALLS_PER_HOST_MAX } from '../limits.ts';

/** What an agent may say of a call; the other codes are about a request to this gateway, which it knows nothing of. */
const AGENT_CODES: readonly ErrorCode[] = [
  'not_found',
  'bad_request',
  'gateway_timeout',
  'service_unavailable',
  'internal_error',
  'pyspy_failed',
  'profile_failed',
  'profile_output_unusable',
];

/** How a call ended. `full` is a bound, and says which. */
export type CallEnd =
  | { readonly kind: 'answer'; readonly text: string }
  | { readonly kind: 'fault'; readonly failure: Failure }
  | { readonly kind: 'late' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'full'; readonly what: string };

export interface StartedCall {
  readonly end: Promise<CallEnd>;
  cancel(): void;
}

/** Counts shared by all links of a hub. */
export class CallBudget {
  calls = 0;
  chars = 0;
  late_answers = 0;
}

interface Pending {
  parts: string[];
  chars: number;
  readonly timer: ReturnType<typeof setTimeout>;
  readonly settle: (end: CallEnd) => void;
}

export class CallTable {
  readonly #pending = new Map<number, Pending>();
  readonly #send: (frame: GatewayFrame) => void;
  readonly #budget: CallBudget;
  #lastNumber: number;
  #isOver = false;

  /** @param lastNumber calls are numbered from the one after it. */
  constructor(send: (frame: GatewayFrame) => void, budget: CallBudget, lastNumber = 0) {
    this.#send = send;
    this.#budget = budget;
    this.#lastNumber = lastNumber;
  }

  /** @param deadline_ms milliseconds until the call ends as late. */
  start(request: CallRequest, deadline_ms: number): StartedCall {
    const ended = (end: CallEnd): StartedCall => ({ end: Promise.resolve(end), cancel: () => {} });
    if (this.#isOver) return ended({ kind: 'lost' });
    if (this.#pending.size >= CALLS_PER_HOST_MAX) return ended({ kind: 'full', what: 'calls on this host' });
    if (this.#budget.calls >= CALLS_MAX) return ended({ kind: 'full', what: 'calls in all' });
    this.#lastNumber += 1;
    const call = this.#lastNumber;
    const { promise, resolve } = Promise.withResolvers<CallEnd>();
    const timer = setTimeout(() => this.#abandon(call, { kind: 'late' }), deadline_ms);
    this.#budget.calls += 1;
    this.#pending.set(call, { parts: [], chars: 0, timer, settle: resolve });
    this.#send({ type: 'call', call, deadline_ms, request });
    return { end: promise, cancel: () => this.#abandon(call, { kind: 'cancelled' }) };
  }

  answer(call: number, part: string, more: boolean) {
    const pending = this.#pending.get(call);
    if (pending === undefined) {
      this.#budget.late_answers += 1;
      return;
    }
    if (pending.chars + part.length > ANSWER_MAX_CHARS || pending.parts.length >= ANSWER_PARTS_MAX) {
      const bounds = `${ANSWER_MAX_CHARS} characters in ${ANSWER_PARTS_MAX} parts`;
      const message = `the host agent sent an answer of more than ${bounds}`;
      return this.#abandon(call, { kind: 'fault', failure: { code: 'internal_error', message } });
    }
    if (!more && pending.parts.length === 0) return this.#finish(call, { kind: 'answer', text: part });
    if (this.#budget.chars + part.length > ANSWERS_MAX_CHARS) {
      return this.#abandon(call, { kind: 'full', what: 'answers being assembled' });
    }
    pending.parts.push(part);
    pending.chars += part.length;
    this.#budget.chars += part.length;
    if (!more) this.#finish(call, { kind: 'answer', text: pending.parts.join('') });
  }

  fault(call: number, error: { code: string; message: string; details?: unknown }) {
    if (!this.#pending.has(call)) {
      this.#budget.late_answers += 1;
      return;
    }
    const failure: Failure = {
      code: AGENT_CODES.find((code) => code === error.code) ?? 'internal_error',
      message: error.message,
      ...(error.details === undefined ? {} : { details: error.details }),
    };
    this.#finish(call, { kind: 'fault', failure });
  }

  /** The link has ended. */
  loseAll() {
    this.#isOver = true;
    for (const call of [...this.#pending.keys()]) this.#finish(call, { kind: 'lost' });
  }

  #abandon(call: number, end: CallEnd) {
    if (!this.#pending.has(call)) return;
    this.#finish(call, end);
    this.#send({ type: 'cancel', call });
  }

  #finish(call: number, end: CallEnd) {
    const pending = this.#pending.get(call);
    if (pending === undefined) return;
    this.#pending.delete(call);
    clearTimeout(pending.timer);
    this.#budget.calls -= 1;
    this.#budget.chars -= pending.chars;
    pending.settle(end);
  }
}
