/**
 * From a dial to a link that is open, in the order of contract/link.ts:
 *
 *  1. A WebSocket with the token and the subprotocol. When it does not come about, explain-failure.ts asks why.
 *  2. `hello` out, `welcome` or `refuse` in.
 *
 * The handshake never throws, and has three outcomes: the link is open; the gateway refused it, and dialling again cannot
 * help until somebody changes something; or it failed this time.
 */
import { messageOf } from '../../base/index.ts';
import type { GatewayFrame, StoreGatewayFrame } from '../../contract/index.ts';
import { Connection } from './connection.ts';
import { explainFailure } from './explain-failure.ts';
import { readIncoming } from './incoming.ts';
import type { ResolvedDial } from './options.ts';
import { LinkSocket } from './socket.ts';

export type Handshake<Out, In extends GatewayFrame | StoreGatewayFrame> =
  | { readonly kind: 'open'; readonly connection: Connection<Out, In> }
  | NoLink;

export type NoLink = { readonly kind: 'refused' | 'failed'; readonly message: string };

/** @param signal gives up: the outcome is then `failed` */
export async function shakeHands<Out, In extends GatewayFrame | StoreGatewayFrame>(
  dial: ResolvedDial<Out, In>,
  signal: AbortSignal,
): Promise<Handshake<Out, In>> {
  const { url, tls, grammar, limits } = dial;
  const patience = AbortSignal.timeout(limits.dial_timeout_ms);
  const enough = AbortSignal.any([signal, patience]);
  let token: string;
  let socket: LinkSocket;
  try {
    token = dial.token();
    socket = new LinkSocket({ url, subprotocol: grammar.subprotocol, token, tls, limits });
  } catch (error) {
    return failed(messageOf(error));
  }
  const gaveUp = whenAborted(enough).then(() =>
    failed(signal.aborted ? 'stopped' : `no answer within ${limits.dial_timeout_ms / 1000} s`),
  );
  const outcome = await Promise.race([greet(dial, socket, token, enough), gaveUp]);
  if (outcome.kind !== 'open') socket.destroy();
  return outcome;
}

async function greet<Out, In extends GatewayFrame | StoreGatewayFrame>(
  dial: ResolvedDial<Out, In>,
  socket: LinkSocket,
  token: string,
  signal: AbortSignal,
): Promise<Handshake<Out, In>> {
  const { url, tls, grammar, hello, limits } = dial;
  const ended = socket.ended.then(({ reason }) =>
    reason === '' ? explainFailure({ url, tls, limits, token }, signal) : failed(reason),
  );
  const missed = await Promise.race([socket.opened, ended]);
  if (missed !== undefined) return missed;
  socket.send(JSON.stringify(hello));
  for (;;) {
    const first = await Promise.race([socket.next().then((data) => ({ kind: 'frame' as const, data })), ended]);
    if (first.kind !== 'frame') return first;
    const read = readIncoming(grammar.accepted, first.data);
    if (!read.ok) return failed(read.error);
    const frame: GatewayFrame | StoreGatewayFrame = read.frame;
    if (frame.type === 'refuse') return { kind: frame.retry ? 'failed' : 'refused', message: frame.message };
    if (frame.type !== 'welcome') continue;
    if (frame.version !== grammar.version) {
      const message = `the gateway speaks link version ${frame.version}, not ${grammar.version}`;
      return { kind: 'refused', message };
    }
    return { kind: 'open', connection: new Connection(socket, grammar.accepted, frame.heartbeat_ms, limits) };
  }
}

function failed(message: string): NoLink {
  return { kind: 'failed', message };
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
