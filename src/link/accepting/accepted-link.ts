/**
 * One link as the gateway has it, from `hello` to the end, for both kinds of link:
 *
 *  1. `hello` in a version that fits, else `refuse` and close. Whoever owns the link decides about the hello, now or later,
 *     by `welcome` or `refuse`; until then nothing but a heartbeat or `bye` may come.
 *  2. After `welcome` every frame goes to the owner.
 *  3. Whatever does not fit closes the link with 1008 (1009 for size) and a reason that says what did not.
 *
 * How long may be waited, and for what, is the owner's to look at: this has no timer, so that an object may sleep.
 */
import type { Fields, Log } from '../../base/index.ts';
import { CLOSE, closeReason, FRAME_MAX_BYTES, type ReadFrame, readFrame } from '../../contract/index.ts';
import type { Grammar } from '../grammar.ts';
import { announcedVersion, isTooLarge } from './frame-text.ts';
import type { Link } from './socket.ts';

/** `contested`: the hello is valid, and not decided about. */
export type LinkPhase = 'hello' | 'contested' | 'live' | 'over';

type HelloOf<Frame> = Extract<Frame, { readonly type: 'hello' }>;
type LiveFrame<Frame> = Exclude<Frame, { readonly type: 'hello' }>;

export interface AcceptedLinkOwner<In extends { readonly type: string }> {
  readonly log: Log;
  /** Who is at the other end, for the log. */
  about(): { readonly name: string; readonly fields?: Fields };
  /** A valid hello: to be followed by `welcome` or `refuse`, now or later. */
  greeted(hello: HelloOf<In>): void;
  /** A frame after the welcome. */
  received(frame: LiveFrame<In>): void;
  /** The link is over, whoever ended it. Called once. */
  ended(): void;
}

export interface Welcome {
  readonly gateway_version: string;
  readonly heartbeat_ms: number;
}

export class AcceptedLink<In extends { readonly type: string }, Out extends { readonly type: string }> {
  readonly #link: Link;
  readonly #grammar: Grammar<In, Out>;
  readonly #owner: AcceptedLinkOwner<In>;
  #phase: LinkPhase;

  /** @param phase where an earlier object left the link. Default: it is new */
  constructor(link: Link, grammar: Grammar<In, Out>, owner: AcceptedLinkOwner<In>, phase: LinkPhase = 'hello') {
    this.#link = link;
    this.#grammar = grammar;
    this.#owner = owner;
    this.#phase = phase;
  }

  get phase(): LinkPhase {
    return this.#phase;
  }

  receive(text: string) {
    if (this.#phase === 'over') return;
    if (isTooLarge(text)) return this.close(CLOSE.too_large, 'frame too large');
    const read = readFrame(this.#grammar.dialled, text);
    switch (this.#phase) {
      case 'hello':
        return this.#greet(text, read);
      case 'contested':
        if (read.ok && (read.frame.type === 'heartbeat' || read.frame.type === 'bye')) return;
        return this.close(CLOSE.protocol, 'nothing is sent before welcome');
      case 'live':
        if (!read.ok) return this.close(CLOSE.protocol, read.error);
        if (read.frame.type === 'hello') return this.close(CLOSE.protocol, 'hello twice');
        return this.#owner.received(read.frame as LiveFrame<In>);
    }
  }

  /** The socket has closed. */
  closed() {
    this.#end();
  }

  send(frame: Out) {
    if (this.#phase !== 'over') this.#link.send(JSON.stringify(frame));
  }

  welcome({ gateway_version, heartbeat_ms }: Welcome) {
    const { version } = this.#grammar;
    this.#phase = 'live';
    this.#sendText({ type: 'welcome', version, gateway_version, heartbeat_ms, frame_max_bytes: FRAME_MAX_BYTES });
  }

  /** @param retry false when dialling again cannot help until somebody changes something */
  refuse(code: string, message: string, retry: boolean) {
    const { log } = this.#owner;
    const { name, fields } = this.#owner.about();
    log.warn(`${this.#grammar.link} of ${name} refused: ${message}`, { code, ...fields });
    this.#sendText({ type: 'refuse', code, message, retry });
    this.close(CLOSE.protocol, code);
  }

  close(code: number, reason: string) {
    if (this.#phase === 'over') return;
    const { log } = this.#owner;
    if (code !== CLOSE.going_away && code !== CLOSE.normal) {
      log.warn(`${this.#grammar.link} closed: ${reason}`, { code, ...this.#owner.about().fields });
    }
    this.#link.close(code, closeReason(reason));
    this.#end();
  }

  #greet(text: string, read: ReadFrame<In>) {
    const { link, dialler, version: ours } = this.#grammar;
    const version = announcedVersion(text);
    if (version !== null && version !== ours) {
      const message = `this gateway speaks ${link} version ${ours}, the ${dialler} ${version}: install the same release on both`;
      return this.refuse('version_mismatch', message, false);
    }
    if (!read.ok) {
      if (version === null) return this.close(CLOSE.protocol, read.error);
      return this.refuse(read.path === 'host' ? 'bad_host_name' : 'bad_hello', read.error, false);
    }
    if (read.frame.type !== 'hello') return this.close(CLOSE.protocol, `${read.frame.type} before hello`);
    this.#phase = 'contested';
    this.#owner.greeted(read.frame as HelloOf<In>);
  }

  #sendText(frame: object) {
    if (this.#phase !== 'over') this.#link.send(JSON.stringify(frame));
  }

  #end() {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#owner.ended();
  }
}
