/**
 * One connection to a gateway, from dialling to its end. The protocol is stated in `contract/link.ts`.
 *
 * The handshake has three outcomes and never throws: the link is open; the gateway refused it, and dialling again
 * cannot help; or it did not come about this time. Once open, the connection lives until either side closes it or is
 * silent for too long.
 */
import { Agent, fetch, WebSocket } from 'undici';
import * as v from 'valibot';
import {
  AGENT_CLOSE,
  type AgentFrame,
  ApiErrorEnvelope,
  FRAME_MAX_BYTES,
  GatewayFrame,
  type HelloFrame,
  LINK_PATH,
  LINK_SUBPROTOCOL,
  LINK_VERSION,
  readFrame,
  SILENCE_MAX_HEARTBEATS,
} from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';

export interface DialOptions {
  /** The gateway's base URL, `http(s)://…`. */
  readonly url: string;
  readonly token: string;
  readonly hello: HelloFrame;
  readonly signal: AbortSignal;
}

export type Handshake =
  | { readonly kind: 'open'; readonly connection: Connection }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string };

export interface Connection {
  /** Sends a frame; false when the connection is over, or is closed now because the peer reads too slowly. */
  send(frame: AgentFrame): boolean;
  /** Sets who hears the frames that arrive; those that came earlier are told first. */
  listen(listener: (frame: GatewayFrame) => void): void;
  close(reason: string): void;
  /** Settles with the reason when the connection is over. */
  readonly closed: Promise<string>;
}

export function dial(options: DialOptions): Promise<Handshake> {
  const dispatcher = new Agent({ connect: { timeout: LIMITS.dial_timeout_ms }, bodyTimeout: 0 });
  const socket = new WebSocket(linkUrl(options.url, options.hello.host), {
    protocols: [LINK_SUBPROTOCOL],
    headers: { authorization: `Bearer ${options.token}` },
    dispatcher,
  });

  let finish: (reason: string) => void;
  const closed = new Promise<string>((resolve) => {
    finish = resolve;
  });
  let listener: ((frame: GatewayFrame) => void) | null = null;
  const early: GatewayFrame[] = [];
  let heard_ms = Date.now();
  let sent_ms = Date.now();
  let isOpen = false;

  const close = (code: number, reason: string): void => {
    if (!isOpen) return;
    isOpen = false;
    socket.close(code, reason.slice(0, 100));
    // The peer may be gone without a word: then nobody answers the close, and the socket is given up.
    setTimeout(() => dispatcher.destroy().catch(() => {}), 1_000).unref();
    finish(reason);
  };

  const send = (frame: AgentFrame): boolean => {
    if (!isOpen || socket.readyState !== WebSocket.OPEN) return false;
    if (socket.bufferedAmount > LIMITS.send_buffer_max_bytes) {
      close(AGENT_CLOSE.peer_slow, 'the gateway reads too slowly');
      return false;
    }
    socket.send(JSON.stringify(frame));
    sent_ms = Date.now();
    return true;
  };

  const beat = (heartbeat_ms: number): void => {
    const pulse = setInterval(() => {
      if (Date.now() - heard_ms > SILENCE_MAX_HEARTBEATS * heartbeat_ms)
        close(AGENT_CLOSE.peer_silent, 'the gateway has been silent for too long');
      else if (Date.now() - sent_ms >= heartbeat_ms) send({ type: 'heartbeat' });
    }, heartbeat_ms / 5);
    pulse.unref();
    closed.then(() => clearInterval(pulse));
  };

  const connection: Connection = {
    send,
    closed,
    close: (reason) => close(AGENT_CLOSE.normal, reason),
    listen(next) {
      listener = next;
      for (const frame of early.splice(0)) next(frame);
    },
  };

  return new Promise<Handshake>((resolve) => {
    const give = (outcome: Handshake): void => {
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
      send(options.hello);
    });
    socket.addEventListener('close', (event) => {
      if (welcomed) {
        isOpen = false;
        dispatcher.destroy().catch(() => {});
        finish(event.reason === '' ? 'the connection broke' : event.reason);
      } else if (event.reason !== '') {
        give({ kind: 'failed', message: event.reason });
      } else {
        explainFailure(options, dispatcher).then(give);
      }
    });
    socket.addEventListener('message', (event) => {
      heard_ms = Date.now();
      const read = readGatewayFrame(event.data);
      if (!read.ok) return close(AGENT_CLOSE.protocol, read.error);
      const frame = read.frame;
      if (welcomed) {
        if (frame.type === 'heartbeat') return;
        if (listener === null) early.push(frame);
        else listener(frame);
        return;
      }
      if (frame.type === 'welcome') {
        if (frame.version !== LINK_VERSION) {
          return give({
            kind: 'refused',
            message: `the gateway speaks link version ${frame.version}, not ${LINK_VERSION}`,
          });
        }
        welcomed = true;
        beat(frame.heartbeat_ms);
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
async function explainFailure(options: DialOptions, dispatcher: Agent): Promise<Handshake> {
  try {
    const url = linkUrl(options.url, options.hello.host).replace(/^ws/, 'http');
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(LIMITS.explain_timeout_ms)]);
    const answer = await fetch(url, { dispatcher, signal, headers: { authorization: `Bearer ${options.token}` } });
    const body = v.safeParse(ApiErrorEnvelope, await answer.json().catch(() => null));
    const message = body.success ? body.output.error.message : `HTTP ${answer.status}: not a meshscope gateway`;
    return { kind: [401, 403, 404].includes(answer.status) ? 'refused' : 'failed', message };
  } catch (error) {
    return { kind: 'failed', message: describeError(error) };
  }
}

function readGatewayFrame(data: unknown): ReturnType<typeof readFrame<typeof GatewayFrame>> {
  if (typeof data !== 'string') return { ok: false, error: 'frame is not text' };
  if (data.length > FRAME_MAX_BYTES) return { ok: false, error: 'frame is too large' };
  return readFrame(GatewayFrame, data);
}

/** The WebSocket URL of a host's link, below whatever path the gateway's base URL has. */
export function linkUrl(base: string, host: string): string {
  const url = new URL(base);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.pathname = url.pathname.replace(/\/+$/, '') + LINK_PATH;
  url.searchParams.set('host', host);
  return url.href;
}

/** The innermost message of an error, which is the one that says what happened. */
function describeError(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError) return describeError(inner.errors[0]);
  return inner instanceof Error ? inner.message : String(inner ?? 'the connection failed');
}
