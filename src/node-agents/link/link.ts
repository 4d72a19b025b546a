/**
 * The link of an agent to its gateway: one loop that owns all dialling, and the stream of state on top of it.
 *
 * 1. Dial. Refused for good: tell, and wait the longest backoff before asking again, since whoever mends it (a token, a
 *    name that is taken) should not have to restart every agent. Failed: wait, longer each time.
 * 2. Open: send the whole state as `sync`, then every change as `delta`, all with one running number.
 * 3. Closed: the backoff starts anew only after the link was up for a while, so that a gateway that accepts and drops is
 *    not dialled in a tight circle.
 */
import type { AgentFrame, GatewayFrame, HelloFrame, NodePayload } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import { createBackoff } from './backoff.ts';
import { type Connection, dial } from './connection.ts';

export interface LinkOptions {
  readonly url: string;
  readonly token: string;
  readonly hello: HelloFrame;
  /** The nodes of the whole host, as they are now. */
  readonly state: () => NodePayload[];
  /** Told when the link is open and synchronized. */
  readonly onOpen: () => void;
  /** Told why a link ended or a dial failed; each different reason once. */
  readonly onTrouble: (message: string, refused: boolean) => void;
  /** The frames that the link itself does not answer: calls, cancels and acknowledgements. */
  readonly onFrame: (frame: GatewayFrame) => void;
}

export interface Link {
  readonly isOpen: boolean;
  /** Sends changed nodes, and references of nodes that are gone. Without an open link nothing is sent or kept. */
  publish(nodes: readonly NodePayload[], removed: readonly string[]): void;
  /** Sends a frame that is not part of the state; false when the link is not open. */
  send(frame: AgentFrame): boolean;
  /** Says `bye` and ends the link; settles when the loop is over. */
  stop(reason: string): Promise<void>;
}

export function startLink(options: LinkOptions): Link {
  const stopping = new AbortController();
  const backoff = createBackoff();
  let connection: Connection | null = null;
  let seq = 0;
  let lastTrouble: string | null = null;

  const trouble = (message: string, refused: boolean): void => {
    if (message !== lastTrouble) options.onTrouble(message, refused);
    lastTrouble = message;
  };

  const sync = (): void => {
    const frames = chunk(options.state());
    for (const [index, nodes] of frames.entries()) {
      seq += 1;
      connection?.send({ type: 'sync', seq, nodes, more: index < frames.length - 1 });
    }
  };

  const serve = async (open: Connection): Promise<void> => {
    connection = open;
    seq = 0;
    lastTrouble = null;
    const opened_ms = Date.now();
    open.listen((frame) => (frame.type === 'resync' ? sync() : options.onFrame(frame)));
    sync();
    options.onOpen();
    const reason = await open.closed;
    connection = null;
    if (Date.now() - opened_ms >= LIMITS.backoff_reset_ms) backoff.reset();
    if (!stopping.signal.aborted) trouble(`the link was closed: ${reason}`, false);
  };

  const loop = (async () => {
    while (!stopping.signal.aborted) {
      const { url, token, hello } = options;
      const handshake = await dial({ url, token, hello, signal: stopping.signal });
      if (handshake.kind === 'open') await serve(handshake.connection);
      else if (!stopping.signal.aborted) trouble(handshake.message, handshake.kind === 'refused');
      const wait_ms = handshake.kind === 'refused' ? LIMITS.backoff_max_ms : backoff.next();
      await sleep(wait_ms, stopping.signal);
    }
  })();

  return {
    get isOpen() {
      return connection !== null;
    },
    publish(nodes, removed) {
      if (connection === null) return;
      const rest = [...removed];
      for (const part of chunk(nodes)) {
        seq += 1;
        connection.send({ type: 'delta', seq, nodes: part, removed: rest.splice(0, LIMITS.frame_removed_max) });
      }
      while (rest.length > 0) {
        seq += 1;
        connection.send({ type: 'delta', seq, nodes: [], removed: rest.splice(0, LIMITS.frame_removed_max) });
      }
    },
    send: (frame) => connection?.send(frame) ?? false,
    async stop(reason) {
      connection?.send({ type: 'bye', reason });
      stopping.abort();
      connection?.close(reason);
      await loop;
    },
  };
}

/** Nodes in portions that fit into a frame; always at least one portion, so that an empty state is sent as well. */
function chunk(nodes: readonly NodePayload[]): NodePayload[][] {
  const portions: NodePayload[][] = [[]];
  let size = 0;
  for (const node of nodes) {
    const chars = JSON.stringify(node).length;
    if (size > 0 && size + chars > LIMITS.frame_nodes_chars) {
      portions.push([]);
      size = 0;
    }
    portions.at(-1)?.push(node);
    size += chars;
  }
  return portions;
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
