/**
 * Questions of any size on their way to a store: each goes out in parts, those of several calls in turns, and no more of
 * them than the window has room for, so that a link is never filled by one large body (contract/store-link.ts, 2 and 3).
 */
import { ASK_PART_CHARS, ASK_WINDOW_CHARS, type StoreGatewayFrame, type StoreMethod } from '../../contract/index.ts';
import type { Questions } from './asker.ts';

export interface StoreQuestion {
  readonly method: StoreMethod;
  /** JSON text. */
  readonly body: string;
}

interface Outgoing extends StoreQuestion {
  readonly deadline_ms: number;
  /** Characters of the body that have been sent. */
  sent: number;
  /** Parts of them, the last aside, that the store has not told it got. */
  unconfirmed: number;
  /** Characters that this call takes up in the window. */
  underWay: number;
}

export class AskWindow implements Questions<StoreQuestion> {
  readonly #outgoing = new Map<number, Outgoing>();
  /** Numbers of the calls that have something left to send, in turn. */
  readonly #turns: number[] = [];
  readonly #send: (frame: StoreGatewayFrame) => void;
  #underWay = 0;
  #waiting = 0;

  constructor(send: (frame: StoreGatewayFrame) => void) {
    this.#send = send;
  }

  /** Characters that have not been sent. */
  get waiting_chars(): number {
    return this.#waiting;
  }

  ask(call: number, { method, body }: StoreQuestion, deadline_ms: number) {
    this.#outgoing.set(call, { method, body, deadline_ms, sent: 0, unconfirmed: 0, underWay: 0 });
    this.#waiting += body.length;
    this.#turns.push(call);
    this.#pump();
  }

  cancel(call: number) {
    if ((this.#outgoing.get(call)?.sent ?? 0) > 0) this.#send({ type: 'cancel', call });
    this.over(call);
  }

  /** The store has taken in a part, and has room for another. */
  got(call: number) {
    const outgoing = this.#outgoing.get(call);
    if (outgoing === undefined || outgoing.unconfirmed === 0) return;
    outgoing.unconfirmed -= 1;
    this.#free(outgoing, ASK_PART_CHARS);
    this.#pump();
  }

  /** The call has ended, answered or not: what of it is still here has nowhere to go. */
  over(call: number) {
    const outgoing = this.#outgoing.get(call);
    if (outgoing === undefined) return;
    this.#outgoing.delete(call);
    this.#free(outgoing, outgoing.underWay);
    this.#waiting -= outgoing.body.length - outgoing.sent;
    this.#pump();
  }

  #pump() {
    for (let call = this.#turns[0]; call !== undefined; call = this.#turns[0]) {
      const outgoing = this.#outgoing.get(call);
      if (outgoing === undefined) {
        this.#turns.shift();
        continue;
      }
      const { method, body, deadline_ms, sent } = outgoing;
      const part = body.slice(sent, sent + ASK_PART_CHARS);
      if (this.#underWay > 0 && this.#underWay + part.length > ASK_WINDOW_CHARS) return;
      this.#turns.shift();
      outgoing.sent += part.length;
      outgoing.underWay += part.length;
      this.#underWay += part.length;
      this.#waiting -= part.length;
      const more = outgoing.sent < body.length;
      if (more) {
        outgoing.unconfirmed += 1;
        this.#turns.push(call);
      }
      this.#send({ type: 'ask', call, deadline_ms, method, part, more });
    }
  }

  #free(outgoing: Outgoing, chars: number) {
    outgoing.underWay -= chars;
    this.#underWay -= chars;
  }
}
