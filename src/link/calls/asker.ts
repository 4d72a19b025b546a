/**
 * Calls on one link, as the side that asks has them, from question to answer:
 *
 *  1. Each call gets a number that no earlier one had, a deadline, and a place in two counts: this link's, and that of all
 *     links with the same budget.
 *  2. Answer parts are put together in the order they come; `more: false` or a `fault` ends the call.
 *  3. At the deadline, or when nobody waits any more, the call is cancelled: the peer is told, and what it still sends is
 *     dropped, as is an answer to a number that is unknown or over.
 *  4. When the link ends, every call on it ends as lost.
 */

/** What a peer says when it cannot answer. */
export interface Fault {
  readonly code: string;
  readonly message: string;
  readonly details?: unknown;
}

/** The bounds of this side: calls on the link, calls in all, and characters of answers that are being put together. */
export type FullBound = 'calls_of_link' | 'calls' | 'answers';

/** How a call ended. `full` is a bound of this side; `too_large` is one that the answer passed. */
export type CallEnd =
  | { readonly kind: 'answer'; readonly text: string }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'late' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'full'; readonly bound: FullBound }
  | { readonly kind: 'too_large'; readonly bounds: string };

export interface StartedCall {
  readonly end: Promise<CallEnd>;
  cancel(): void;
}

/** How questions reach the peer. */
export interface Questions<Q> {
  /** Sends a question, now or in parts as there is room. */
  ask(call: number, question: Q, deadline_ms: number): void;
  /** Tells the peer that nobody waits for the answer any more. */
  cancel(call: number): void;
  /** The call is over, and the peer knows. Default: nothing of a question is kept. */
  over?(call: number): void;
}

export interface AskerLimits {
  /** Calls in flight on one link. Above it a call ends as `full`. */
  readonly calls_max: number;
  /** Characters of one answer, and its parts. Above either the call ends as `too_large`. */
  readonly answer_max_chars: number;
  readonly answer_parts_max: number;
}

export interface BudgetLimits {
  /** Calls in flight on all links. Above it a call ends as `full`. */
  readonly calls_max: number;
  /** Characters of answers of several parts that are being put together. Above it the call whose part came last ends as `full`. */
  readonly answers_max_chars: number;
}

/** What all links with the same budget have together. */
export class CallBudget {
  readonly limits: BudgetLimits;
  calls = 0;
  chars = 0;
  /** Answers that came when nobody waited any more, since the start. */
  late_answers = 0;
  readonly #idle: (() => void)[] = [];

  constructor(limits: BudgetLimits) {
    this.limits = limits;
  }

  /** Settles when no call is in flight. */
  idle(): Promise<void> {
    return this.calls === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Takes a call, with the characters that it held, out of the counts. */
  release(chars: number) {
    this.calls -= 1;
    this.chars -= chars;
    if (this.calls === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}

interface Pending {
  readonly parts: string[];
  chars: number;
  readonly timer: ReturnType<typeof setTimeout>;
  readonly settle: (end: CallEnd) => void;
}

export class Asker<Q> {
  readonly #pending = new Map<number, Pending>();
  readonly #questions: Questions<Q>;
  readonly #budget: CallBudget;
  readonly #limits: AskerLimits;
  #lastNumber: number;
  #isOver = false;

  /** @param lastNumber calls are numbered from the one after it */
  constructor(questions: Questions<Q>, budget: CallBudget, limits: AskerLimits, lastNumber = 0) {
    this.#questions = questions;
    this.#budget = budget;
    this.#limits = limits;
    this.#lastNumber = lastNumber;
  }

  /** The number of the last call so far. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** @param deadline_ms milliseconds until the call ends as late */
  start(question: Q, deadline_ms: number): StartedCall {
    if (this.#isOver) return ended({ kind: 'lost' });
    if (this.#pending.size >= this.#limits.calls_max) return ended({ kind: 'full', bound: 'calls_of_link' });
    if (this.#budget.calls >= this.#budget.limits.calls_max) return ended({ kind: 'full', bound: 'calls' });
    this.#lastNumber += 1;
    const call = this.#lastNumber;
    const { promise, resolve } = Promise.withResolvers<CallEnd>();
    const timer = setTimeout(() => this.#abandon(call, { kind: 'late' }), deadline_ms);
    this.#budget.calls += 1;
    this.#pending.set(call, { parts: [], chars: 0, timer, settle: resolve });
    this.#questions.ask(call, question, deadline_ms);
    return { end: promise, cancel: () => this.#abandon(call, { kind: 'cancelled' }) };
  }

  answer(call: number, part: string, more: boolean) {
    const pending = this.#pending.get(call);
    if (pending === undefined) {
      this.#budget.late_answers += 1;
      return;
    }
    const { answer_max_chars, answer_parts_max } = this.#limits;
    if (pending.chars + part.length > answer_max_chars || pending.parts.length >= answer_parts_max) {
      const bounds = `${answer_max_chars} characters in ${answer_parts_max} parts`;
      return this.#abandon(call, { kind: 'too_large', bounds });
    }
    // The usual answer has one part, and is never held.
    if (!more && pending.parts.length === 0) return this.#finish(call, { kind: 'answer', text: part });
    if (this.#budget.chars + part.length > this.#budget.limits.answers_max_chars) {
      return this.#abandon(call, { kind: 'full', bound: 'answers' });
    }
    pending.parts.push(part);
    pending.chars += part.length;
    this.#budget.chars += part.length;
    if (!more) this.#finish(call, { kind: 'answer', text: pending.parts.join('') });
  }

  fault(call: number, fault: Fault) {
    if (this.#pending.has(call)) this.#finish(call, { kind: 'fault', fault });
    else this.#budget.late_answers += 1;
  }

  /** The link has ended. */
  loseAll() {
    this.#isOver = true;
    for (const call of [...this.#pending.keys()]) this.#finish(call, { kind: 'lost' });
  }

  #abandon(call: number, end: CallEnd) {
    if (this.#settle(call, end)) this.#questions.cancel(call);
  }

  #finish(call: number, end: CallEnd) {
    if (this.#settle(call, end)) this.#questions.over?.(call);
  }

  #settle(call: number, end: CallEnd): boolean {
    const pending = this.#pending.get(call);
    if (pending === undefined) return false;
    this.#pending.delete(call);
    clearTimeout(pending.timer);
    this.#budget.release(pending.chars);
    pending.settle(end);
    return true;
  }
}

function ended(end: CallEnd): StartedCall {
  return { end: Promise.resolve(end), cancel: () => {} };
}
