/**
 * Keeps a link to a gateway, whatever is spoken on it, until it is stopped. At any moment it is in one phase: dialling,
 * linked, or waiting to dial again. How long it waits depends on how the last link or dial ended:
 *
 *  - Refused: about the longest wait. Whoever mends what is wrong (a token, a name that is taken) should not have to restart
 *    everybody who dials.
 *  - Failed, or closed: longer each time. A first wait comes again only after a link was up for a while, so that a gateway
 *    that accepts and drops is not dialled in a tight circle.
 *  - Drained: a planned restart. Dialled again at once, each dialler at a moment of its own.
 */
import { Backoff, sleep } from '../../base/index.ts';
import type { GatewayFrame, StoreGatewayFrame } from '../../contract/index.ts';
import type { Connection, ConnectionEnd } from './connection.ts';
import { type NoLink, shakeHands } from './handshake.ts';
import { type DialOptions, type ResolvedDial, resolveDial } from './options.ts';

export interface DiallerEvents<Out, In extends GatewayFrame | StoreGatewayFrame> {
  /** Is called when a link is open. */
  readonly onOpen: (connection: Connection<Out, In>) => void;
  /** Is called when it is over. Default: nobody wants to know. */
  readonly onClosed?: () => void;
  /** Is called with why a link ended or a dial failed; once for each different reason, and not for a planned restart. */
  readonly onTrouble: (message: string, refused: boolean) => void;
}

export interface Dialler<Out> {
  /** Sends a last frame, ends the link and dials no more; settles when nothing is under way any more. */
  stop(last: Out, reason: string): Promise<void>;
}

/** @throws TypeError when the URL is none */
export function keepDialling<Out, In extends GatewayFrame | StoreGatewayFrame>(
  options: DialOptions<Out, In>,
  events: DiallerEvents<Out, In>,
): Dialler<Out> {
  return new Supervisor(resolveDial(options), events);
}

/** Each phase owns what has to be ended to leave it. */
type Phase<Out, In extends GatewayFrame | StoreGatewayFrame> =
  | { readonly kind: 'dialling'; readonly giveUp: AbortController }
  | { readonly kind: 'linked'; readonly connection: Connection<Out, In> }
  | { readonly kind: 'waiting'; readonly wake: AbortController }
  | { readonly kind: 'stopped' };

class Supervisor<Out, In extends GatewayFrame | StoreGatewayFrame> implements Dialler<Out> {
  readonly #dial: ResolvedDial<Out, In>;
  readonly #events: DiallerEvents<Out, In>;
  readonly #backoff: Backoff;
  readonly #over: Promise<void>;
  #phase: Phase<Out, In> = { kind: 'waiting', wake: new AbortController() };
  #lastTrouble: string | null = null;

  constructor(dial: ResolvedDial<Out, In>, events: DiallerEvents<Out, In>) {
    const { backoff_first_ms: first_ms, backoff_max_ms: max_ms } = dial.limits;
    this.#dial = dial;
    this.#events = events;
    this.#backoff = new Backoff({ first_ms, max_ms });
    this.#over = this.#run();
  }

  async stop(last: Out, reason: string): Promise<void> {
    const phase = this.#phase;
    this.#phase = { kind: 'stopped' };
    switch (phase.kind) {
      case 'dialling':
        phase.giveUp.abort();
        break;
      case 'linked':
        phase.connection.send(last);
        phase.connection.close(reason);
        break;
      case 'waiting':
        phase.wake.abort();
        break;
      case 'stopped':
        break;
    }
    await this.#over;
  }

  /** A stop may come whenever this waits, so that the phase is looked at behind each wait. */
  async #run(): Promise<void> {
    while (!this.#isStopped()) {
      const giveUp = new AbortController();
      this.#phase = { kind: 'dialling', giveUp };
      const handshake = await shakeHands(this.#dial, giveUp.signal);
      if (this.#isStopped()) {
        if (handshake.kind === 'open') handshake.connection.close('stopped');
        return;
      }
      const wait_ms = handshake.kind === 'open' ? await this.#serve(handshake.connection) : this.#missed(handshake);
      if (this.#isStopped()) return;
      const wake = new AbortController();
      this.#phase = { kind: 'waiting', wake };
      await sleep(wait_ms, wake.signal);
    }
  }

  /** @returns how long to wait before the next dial, milliseconds */
  async #serve(connection: Connection<Out, In>): Promise<number> {
    this.#phase = { kind: 'linked', connection };
    this.#lastTrouble = null;
    const opened_ms = performance.now();
    this.#events.onOpen(connection);
    const end = await connection.closed;
    this.#events.onClosed?.();
    return this.#isStopped() ? 0 : this.#ended(end, performance.now() - opened_ms);
  }

  #ended({ kind, reason }: ConnectionEnd, uptime_ms: number): number {
    const { backoff_reset_ms, drained_spread_ms } = this.#dial.limits;
    const wasUp = uptime_ms >= backoff_reset_ms;
    if (wasUp) this.#backoff.reset();
    if (kind === 'closed') this.#trouble(`the link was closed: ${reason}`, false);
    return kind === 'drained' && wasUp ? Math.random() * drained_spread_ms : this.#backoff.next();
  }

  #missed({ kind, message }: NoLink): number {
    this.#trouble(message, kind === 'refused');
    return kind === 'refused' ? this.#backoff.longest() : this.#backoff.next();
  }

  #trouble(message: string, isRefused: boolean): void {
    if (message !== this.#lastTrouble) this.#events.onTrouble(message, isRefused);
    this.#lastTrouble = message;
  }

  #isStopped(): boolean {
    return this.#phase.kind === 'stopped';
  }
}
