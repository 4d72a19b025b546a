/**
 * One loop that owns all dialling, whatever is spoken on the link.
 *
 * 1. Dial. Refused for good: tell, and wait about the longest backoff before asking again, since whoever mends it (a token,
 *    a name that is taken) should not have to restart everybody who dials. Failed: wait, longer each time.
 * 2. Closed: the backoff starts anew only after the link was up for a while, so that a gateway that accepts and drops is
 *    not dialled in a tight circle.
 */
import type { GatewayFrame, StoreGatewayFrame } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import { createBackoff } from './backoff.ts';
import { type Connection, type DialOptions, dial } from './connection.ts';

export interface RedialOptions<Out, In extends GatewayFrame | StoreGatewayFrame>
  extends Omit<DialOptions<Out, In>, 'signal'> {
  /** Told when a link is open. */
  readonly onOpen: (connection: Connection<Out, In>) => void;
  /** Told when it is over. */
  readonly onClosed: () => void;
  /** Told why a link ended or a dial failed; each different reason once. */
  readonly onTrouble: (message: string, refused: boolean) => void;
}

export interface Dialler<Out> {
  /** Says a last frame, ends the link and dials no more; settles when the loop is over. */
  stop(last: Out, reason: string): Promise<void>;
}

export function keepDialling<Out, In extends GatewayFrame | StoreGatewayFrame>(
  options: RedialOptions<Out, In>,
): Dialler<Out> {
  const stopping = new AbortController();
  const backoff = createBackoff();
  let connection: Connection<Out, In> | null = null;
  let lastTrouble: string | null = null;

  const trouble = (message: string, refused: boolean): void => {
    if (message !== lastTrouble) options.onTrouble(message, refused);
    lastTrouble = message;
  };

  const serve = async (open: Connection<Out, In>): Promise<void> => {
    connection = open;
    lastTrouble = null;
    const opened_ms = performance.now();
    options.onOpen(open);
    const reason = await open.closed;
    connection = null;
    options.onClosed();
    if (performance.now() - opened_ms >= LIMITS.backoff_reset_ms) backoff.reset();
    if (!stopping.signal.aborted) trouble(`the link was closed: ${reason}`, false);
  };

  const loop = (async () => {
    while (!stopping.signal.aborted) {
      const { url, token, tls, grammar } = options;
      const secured = tls === undefined ? {} : { tls };
      const handshake = await dial({ url, token, ...secured, grammar, signal: stopping.signal });
      if (handshake.kind === 'open') await serve(handshake.connection);
      else if (!stopping.signal.aborted) trouble(handshake.message, handshake.kind === 'refused');
      const wait_ms = handshake.kind === 'refused' ? backoff.longest() : backoff.next();
      await sleep(wait_ms, stopping.signal);
    }
  })();

  return {
    async stop(last, reason) {
      connection?.send(last);
      stopping.abort();
      connection?.close(reason);
      await loop;
    },
  };
}

function sleep(wait_ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, wait_ms);
    signal.addEventListener('abort', done);
  });
}
