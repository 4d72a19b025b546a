/**
 * Calls on one link, as the side that answers has them, agent or store:
 *
 *  1. A call is opened with its number and deadline, worked on by itself, and answered with text in parts, or with a fault.
 *  2. Parts of several answers go out in turns, and no faster than the link takes them.
 *  3. A cancel, and the deadline, end the wait for an answer: its work is aborted, and nothing more is sent for it. The end of
 *     the link does so for all.
 */
import { type Failure, type Outcome, sleep } from '../../base/index.ts';
import { ANSWER_PART_CHARS, type AnswerFrame, type FaultFrame } from '../../contract/index.ts';

export interface AnswererLimits {
  /** Calls that are worked on or being answered. Above it a call is answered by a fault at once. */
  readonly calls_max: number;
  /** Characters of one answer. A longer one becomes a fault. */
  readonly answer_max_chars: number;
  /** Characters of answers that wait for the link. An answer for which there is no room becomes a fault. */
  readonly answers_max_chars: number;
  /** Bytes that may wait in the socket before more is sent, and how often it is looked at then, milliseconds. */
  readonly unsent_max_bytes: number;
  readonly drain_poll_ms: number;
}

/** An open link, as far as answers need it. */
export interface AnsweringLink {
  /** @returns false when the link is over */
  send(frame: AnswerFrame | FaultFrame): boolean;
  /** Bytes that were sent and are still on this side. */
  readonly unsent_bytes: number;
}

interface Pending {
  readonly over: AbortController;
  readonly timer: ReturnType<typeof setTimeout>;
}

interface Outgoing {
  readonly call: number;
  readonly text: string;
  sent: number;
}

export class Answerer {
  readonly #who: string;
  readonly #link: AnsweringLink;
  readonly #limits: AnswererLimits;
  readonly #pending = new Map<number, Pending>();
  readonly #outgoing: Outgoing[] = [];
  readonly #working = new Set<Promise<void>>();
  #outgoing_chars = 0;
  #isPumping = false;
  #isClosed = false;

  /** @param who answers, in messages: `the agent` */
  constructor(who: string, link: AnsweringLink, limits: AnswererLimits) {
    this.#who = who;
    this.#link = link;
    this.#limits = limits;
  }

  /**
   * Takes a call.
   *
   * @param deadline_ms milliseconds until nobody waits for the answer any more
   * @returns a signal that is aborted when the call is over; null when there is no room, which the peer is told
   */
  open(call: number, deadline_ms: number): AbortSignal | null {
    const { calls_max } = this.#limits;
    if (this.#isClosed || this.#pending.size >= calls_max) {
      const why = this.#isClosed ? 'is stopping' : `is busy with ${calls_max} calls; ask again`;
      this.#sendFault(call, { code: 'service_unavailable', message: `${this.#who} ${why}` });
      return null;
    }
    const over = new AbortController();
    this.#pending.set(call, { over, timer: setTimeout(() => this.cancel(call), deadline_ms) });
    return over.signal;
  }

  isOpen(call: number): boolean {
    return this.#pending.has(call);
  }

  /** Answers an open call with what the work comes to; settles when the work is done, whoever still waits. */
  async answer(call: number, work: Promise<Outcome<string>>): Promise<void> {
    const done = work.then((outcome) => {
      if (!this.#pending.has(call)) return;
      if (outcome.ok) this.#queue(call, outcome.value);
      else this.fail(call, outcome.failure);
    });
    this.#working.add(done);
    await done.finally(() => this.#working.delete(done));
  }

  /** Answers an open call with a fault. */
  fail(call: number, why: Failure) {
    if (this.cancel(call)) this.#sendFault(call, why);
  }

  /** Nobody waits for the answer any more. @returns whether the call was open */
  cancel(call: number): boolean {
    const pending = this.#pending.get(call);
    if (pending === undefined) return false;
    this.#pending.delete(call);
    clearTimeout(pending.timer);
    pending.over.abort();
    const index = this.#outgoing.findIndex((each) => each.call === call);
    const [dropped] = index < 0 ? [] : this.#outgoing.splice(index, 1);
    if (dropped !== undefined) this.#outgoing_chars -= dropped.text.length - dropped.sent;
    return true;
  }

  /** The link is gone, and with it whoever asked. */
  cancelAll() {
    for (const call of [...this.#pending.keys()]) this.cancel(call);
  }

  /** Takes no more calls, and cancels those that are open; settles when all work has come to its end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.cancelAll();
    await Promise.allSettled(this.#working);
  }

  #queue(call: number, text: string) {
    const { answer_max_chars, answers_max_chars } = this.#limits;
    if (text.length > answer_max_chars) {
      const message = `the answer has ${text.length} characters, more than the ${answer_max_chars} that may be sent`;
      return this.fail(call, { code: 'internal_error', message });
    }
    if (this.#outgoing_chars + text.length > answers_max_chars) {
      const message = `more than ${answers_max_chars} characters of answers wait for the link; try again`;
      return this.fail(call, { code: 'service_unavailable', message });
    }
    this.#outgoing_chars += text.length;
    this.#outgoing.push({ call, text, sent: 0 });
    if (!this.#isPumping) void this.#pump();
  }

  async #pump(): Promise<void> {
    const { unsent_max_bytes, drain_poll_ms } = this.#limits;
    this.#isPumping = true;
    for (let next = this.#outgoing[0]; next !== undefined; next = this.#outgoing[0]) {
      // A WebSocket does not tell when it has room again.
      if (this.#link.unsent_bytes > unsent_max_bytes) {
        await sleep(drain_poll_ms);
        continue;
      }
      this.#outgoing.shift();
      const { call, text, sent } = next;
      const part = text.slice(sent, sent + ANSWER_PART_CHARS);
      next.sent += part.length;
      this.#outgoing_chars -= part.length;
      const more = next.sent < text.length;
      if (more) this.#outgoing.push(next);
      this.#link.send({ type: 'answer', call, part, more });
      if (!more) this.cancel(call);
    }
    this.#isPumping = false;
  }

  #sendFault(call: number, { code, message, details }: Failure) {
    const error = details === undefined ? { code, message } : { code, message, details };
    this.#link.send({ type: 'fault', call, error });
  }
}
