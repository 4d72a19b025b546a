/**
 * One connection to a gateway, from dialling to its end. What is spoken on it is a grammar: the agents' link
 * (`contract/link.ts`) or the store's (`contract/store-link.ts`), which begin, live and end in the same way.
 *
 * The handshake has three outcomes and never throws: the link is open; the gateway refused it, and dialling again
 * cannot help; or it did not come about this time. Once open, the connection lives until either side closes it or is
 * silent for too long.
 */
import { Agent, fetch, WebSocket } from 'undici';
import * as v from 'valibot';
import {
  AGENT_CLOSE,
  ApiErrorEnvelope,
  closeReason,
  FRAME_MAX_BYTES,
  type GatewayFrame,
  HEARTBEAT_MS,
  HEARTBEAT_TEXT,
  type ReadFrame,
  readFrame,
  SILENCE_MAX_HEARTBEATS,
  type StoreGatewayFrame,
} from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';

/** What is spoken on a link. `Out` is what this side sends. */
export interface Grammar<Out, In extends GatewayFrame | StoreGatewayFrame> {
  /** Path below the gateway's base URL. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly subprotocol: string;
  readonly version: number;
  readonly hello: Out;
  readonly incoming: v.GenericSchema<unknown, In>;
}

/** PEM texts. Default of each: the CAs of the runtime, and no certificate to show. */
export interface DialTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface DialOptions<Out, In extends GatewayFrame | StoreGatewayFrame> {
  /** The gateway's base URL, `http(s)://…`. */
  readonly url: string;
  readonly token: string;
  readonly tls?: DialTls;
  readonly grammar: Grammar<Out, In>;
  readonly signal: AbortSignal;
}

export type Handshake<Out, In> =
  | { readonly kind: 'open'; readonly connection: Connection<Out, In> }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string };

export interface Connection<Out, In> {
  /** Sends a frame; false when the connection is over, or is closed now because the peer reads too slowly. */
  send(frame: Out): boolean;
  /** The gateway's, milliseconds: how often it wants to hear something. */
  readonly heartbeat_ms: number;
  /** Bytes that were sent and wait in the socket. */
  readonly unsent_bytes: number;
  /** Sets who hears the frames that arrive, heartbeats aside; those that came earlier are told first. */
  listen(listener: (frame: In) => void): void;
  close(reason: string): void;
  /** Settles with the reason when the connection is over. */
  readonly closed: Promise<string>;
}

export function dial<Out, In extends GatewayFrame | StoreGatewayFrame>(
  options: DialOptions<Out, In>,
): Promise<Handshake<Out, In>> {
  const { grammar } = options;
  const url = linkUrl(options.url, grammar.path, grammar.query);
  const dispatcher = new Agent({ connect: { timeout: LIMITS.dial_timeout_ms, ...options.tls }, bodyTimeout: 0 });
  const socket = new WebSocket(url, {
    protocols: [grammar.subprotocol],
    headers: { authorization: `Bearer ${options.token}` },
    dispatcher,
  });

  let finish: (reason: string) => void;
  const closed = new Promise<string>((resolve) => {
    finish = resolve;
  });
  let listener: ((frame: In) => void) | null = null;
  const early: In[] = [];
  // Of a clock that nobody sets: a leap must not make the peer seem silent, nor alive.
  let heard_ms = performance.now();
  let sent_ms = performance.now();
  let isOpen = false;

  const close = (code: number, reason: string): void => {
    if (!isOpen) return;
    isOpen = false;
    socket.close(code, closeReason(reason));
    // The peer may be gone without a word: then nobody answers the close, and the socket is given up.
    setTimeout(() => dispatcher.destroy().catch(() => {}), 1_000).unref();
    finish(reason);
  };

  const sendText = (text: string): boolean => {
    if (!isOpen || socket.readyState !== WebSocket.OPEN) return false;
    if (socket.bufferedAmount > LIMITS.send_buffer_max_bytes) {
      close(AGENT_CLOSE.peer_slow, 'the gateway reads too slowly');
      return false;
    }
    socket.send(text);
    sent_ms = performance.now();
    return true;
  };
  const send = (frame: Out): boolean => sendText(JSON.stringify(frame));

  let heartbeat_ms = HEARTBEAT_MS;
  const beat = (): void => {
    let beaten_ms = sent_ms;
    const pulse = setInterval(() => {
      const now_ms = performance.now();
      // A gateway that sleeps between frames says something only in answer to a heartbeat, however much else is sent to it.
      const isQuiet = now_ms - Math.min(sent_ms, heard_ms) >= heartbeat_ms && now_ms - beaten_ms >= heartbeat_ms;
      if (now_ms - heard_ms > SILENCE_MAX_HEARTBEATS * heartbeat_ms)
        close(AGENT_CLOSE.peer_silent, 'the gateway has been silent for too long');
      else if (isQuiet && sendText(HEARTBEAT_TEXT)) beaten_ms = now_ms;
    }, heartbeat_ms / 5);
    pulse.unref();
    closed.then(() => clearInterval(pulse));
  };

  const connection: Connection<Out, In> = {
    send,
    get heartbeat_ms() {
      return heartbeat_ms;
    },
    get unsent_bytes() {
      return socket.bufferedAmount;
    },
    closed,
    close: (reason) => close(AGENT_CLOSE.normal, reason),
    listen(next) {
      listener = next;
      for (const frame of early.splice(0)) next(frame);
    },
  };

  return new Promise<Handshake<Out, In>>((resolve) => {
    const give = (outcome: Handshake<Out, In>): void => {
      clearTimeout(timer);
      options.signal.removeEventListener('abort', onAbort);
      resolve(outcome);
      if (outcome.kind === 'open') return;
      isOpen = false;
      socket.close();
      dispatcher.destroy().catch(() => {});
      finish(outcome.message);
    };
    const timer = setTimeout(
      () => give({ kind: 'failed', message: `no answer within ${LIMITS.dial_timeout_ms / 1000} s` }),
      LIMITS.dial_timeout_ms,
    );
    const onAbort = (): void => give({ kind: 'failed', message: 'stopped' });
    options.signal.addEventListener('abort', onAbort);

    let welcomed = false;
    socket.addEventListener('open', () => {
      isOpen = true;
      send(grammar.hello);
    });
    socket.addEventListener('close', (event) => {
      if (welcomed) {
        isOpen = false;
        dispatcher.destroy().catch(() => {});
        finish(event.reason === '' ? 'the connection broke' : event.reason);
      } else if (event.reason !== '') {
        give({ kind: 'failed', message: event.reason });
      } else {
        explainFailure(options, url, dispatcher).then(give);
      }
    });
    socket.addEventListener('message', (event) => {
      heard_ms = performance.now();
      const read = readIncoming(grammar.incoming, event.data);
      if (!read.ok) return close(AGENT_CLOSE.protocol, read.error);
      const frame: GatewayFrame | StoreGatewayFrame = read.frame;
      if (welcomed) {
        if (frame.type === 'heartbeat') return;
        if (listener === null) early.push(read.frame);
        else listener(read.frame);
        return;
      }
      if (frame.type === 'welcome') {
        if (frame.version !== grammar.version) {
          const message = `the gateway speaks link version ${frame.version}, not ${grammar.version}`;
          return give({ kind: 'refused', message });
        }
        welcomed = true;
        heartbeat_ms = frame.heartbeat_ms;
        beat();
        give({ kind: 'open', connection });
      } else if (frame.type === 'refuse') {
        give({ kind: frame.retry ? 'failed' : 'refused', message: frame.message });
      }
    });
  });
}

/**
 * A WebSocket that did not come about does not say why. The same request without the upgrade does: it fails with the
 * network's own error, or is answered with an envelope when the token or the address is what is wrong.
 */
async function explainFailure(
  { token, signal: stopped }: { readonly token: string; readonly signal: AbortSignal },
  url: string,
  dispatcher: Agent,
): Promise<{ readonly kind: 'refused' | 'failed'; readonly message: string }> {
  try {
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(LIMITS.explain_timeout_ms)]);
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(url.replace(/^ws/, 'http'), { dispatcher, signal, headers });
    const body = v.safeParse(ApiErrorEnvelope, await answer.json().catch(() => null));
    const message = body.success ? body.output.error.message : `HTTP ${answer.status}: not a meshscope gateway`;
    return { kind: [401, 403, 404].includes(answer.status) ? 'refused' : 'failed', message };
  } catch (error) {
    return { kind: 'failed', message: describeError(error) };
  }
}

function readIncoming<In>(incoming: v.GenericSchema<unknown, In>, data: unknown): ReadFrame<In> {
  if (typeof data !== 'string') return { ok: false, error: 'frame is not text' };
  if (data.length > FRAME_MAX_BYTES) return { ok: false, error: 'frame is too large' };
  return readFrame(incoming, data);
}

/** The WebSocket URL of a link, below whatever path the gateway's base URL has. */
export function linkUrl(base: string, path: string, query: Readonly<Record<string, string>> = {}): string {
  const url = new URL(base);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.pathname = url.pathname.replace(/\/+$/, '') + path;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

/** The innermost message of an error, which is the one that says what happened. */
function describeError(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError) return describeError(inner.errors[0]);
  return inner instanceof Error ? inner.message : String(inner ?? 'the connection failed');
}
