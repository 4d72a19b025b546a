/**
 * Calls to a linked store (contract/store-link.ts) over its link, whose bodies are sent within a window, and the outcomes that
 * they end in.
 */
import { type Failure, failure, type Outcome, success } from '../../base/index.ts';
import { ASKS_MAX, type StoreGatewayFrame, type StoreMethod } from '../../contract/index.ts';
import { Asker, AskWindow, CallBudget, type CallEnd, type Fault, type StoreQuestion } from '../../link/index.ts';
import type { GatewayLimits } from '../limits.ts';
import { retryLater } from '../retry-later.ts';
import { telemetryFailure } from './store-failure.ts';

export class StoreAsks {
  readonly #window: AskWindow;
  readonly #limits: GatewayLimits;
  readonly #asker: Asker<StoreQuestion>;
  #why: Failure | null = null;

  /** @param lastNumber a number that no earlier call was above */
  constructor(send: (frame: StoreGatewayFrame) => void, limits: GatewayLimits, lastNumber: number) {
    this.#limits = limits;
    const { telemetry_answer_max_bytes: answer_max_chars } = limits;
    this.#window = new AskWindow(send);
    const budget = new CallBudget({ calls_max: ASKS_MAX, answers_max_chars: answer_max_chars });
    const asker = { calls_max: ASKS_MAX, answer_max_chars, answer_parts_max: Number.POSITIVE_INFINITY };
    this.#asker = new Asker(this.#window, budget, asker, lastNumber);
  }

  /** The number of the last call so far. */
  get lastNumber(): number {
    return this.#asker.lastNumber;
  }

  /** @param deadline_ms milliseconds until the call ends as late */
  async ask(method: StoreMethod, body: string, deadline_ms: number, signal?: AbortSignal): Promise<Outcome<string>> {
    if (this.#why !== null) return { ok: false, failure: this.#why };
    if (signal?.aborted === true) return { ok: false, failure: CANCELLED };
    const { store_waiting_max_chars } = this.#limits;
    if (this.#window.waiting_chars + body.length > store_waiting_max_chars) {
      return this.#full(`${store_waiting_max_chars} characters wait to be sent to the telemetry store`);
    }
    const { end, cancel } = this.#asker.start({ method, body }, deadline_ms);
    signal?.addEventListener('abort', cancel);
    const ended = await end;
    signal?.removeEventListener('abort', cancel);
    return this.#outcome(ended, deadline_ms);
  }

  /** The store has taken in a part, and has room for another. */
  got(call: number) {
    this.#window.got(call);
  }

  answer(call: number, part: string, more: boolean) {
    this.#asker.answer(call, part, more);
  }

  fault(call: number, fault: Fault) {
    this.#asker.fault(call, fault);
  }

  /** The link has ended. */
  end(why: Failure) {
    this.#why = why;
    this.#asker.loseAll();
  }

  #outcome(end: CallEnd, deadline_ms: number): Outcome<string> {
    switch (end.kind) {
      case 'answer':
        return success(end.text);
      case 'fault':
        return { ok: false, failure: telemetryFailure(end.fault, 'the telemetry service answered') };
      case 'late':
        return failure('gateway_timeout', `the telemetry service did not answer within ${deadline_ms / 1_000} s`);
      case 'lost':
        return { ok: false, failure: this.#why ?? CANCELLED };
      case 'cancelled':
        return { ok: false, failure: CANCELLED };
      case 'full':
        if (end.bound !== 'answers') return this.#full(`${ASKS_MAX} calls wait for the telemetry store`);
        return this.#tooLarge();
      case 'too_large':
        return this.#tooLarge();
    }
  }

  #full(what: string): Outcome<never> {
    return { ok: false, failure: retryLater(what, this.#limits) };
  }

  #tooLarge(): Outcome<never> {
    const { telemetry_answer_max_bytes } = this.#limits;
    return failure('proxy_error', `telemetry answered more than ${telemetry_answer_max_bytes} characters`);
  }
}

const CANCELLED: Failure = {
  code: 'gateway_timeout',
  message: 'the request was cancelled before its answer came',
};
