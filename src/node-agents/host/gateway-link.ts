/**
 * The link of an agent to its gateway: the stream of state on top of a dialler (src/link/dialling). When it is open, the whole
 * state goes out as `sync`, then every change as `delta`, all with one running number.
 */
import type { AgentFrame, GatewayFrame, HelloFrame, NodePayload } from '../../contract/index.ts';
import { type Connection, type DialTarget, keepDialling } from '../../link/dialling/index.ts';
import { AGENT_LINK } from '../../link/index.ts';
import { LIMITS } from '../limits.ts';

export interface LinkOptions extends DialTarget {
  readonly hello: HelloFrame;
  /** The nodes of the whole host, as they are now. */
  readonly state: () => NodePayload[];
  /** Is called when the link is open and synchronized. */
  readonly onOpen: () => void;
  /** Is called when an open link is over. */
  readonly onClosed: () => void;
  /** Is called with why a link ended or a dial failed; once for each different reason. */
  readonly onTrouble: (message: string, refused: boolean) => void;
  /** The frames that the link itself does not answer: calls, cancels and acknowledgements. */
  readonly onFrame: (frame: GatewayFrame) => void;
}

export interface Link {
  readonly isOpen: boolean;
  /** How often the gateway wants to hear something, milliseconds; 0 without an open link. */
  readonly heartbeat_ms: number;
  /** Sends changed nodes, and references of nodes that are gone. Without an open link nothing is sent or kept. */
  publish(nodes: readonly NodePayload[], removed: readonly string[]): void;
  /** Sends a frame that is not part of the state; false when the link is not open. */
  send(frame: AgentFrame): boolean;
  /** Bytes that were sent and wait in the socket; 0 without an open link. */
  readonly unsent_bytes: number;
  /** Says `bye` and ends the link; settles when the loop is over. */
  stop(reason: string): Promise<void>;
}

export function startLink(options: LinkOptions): Link {
  const { hello, onClosed, onFrame, onOpen, onTrouble, state, ...target } = options;
  let connection: Connection<AgentFrame, GatewayFrame> | null = null;
  let seq = 0;

  const sync = (): void => {
    const frames = chunk(state());
    for (const [index, nodes] of frames.entries()) {
      seq += 1;
      connection?.send({ type: 'sync', seq, nodes, more: index < frames.length - 1 });
    }
  };

  const dialler = keepDialling(
    { ...target, grammar: AGENT_LINK, hello, query: { host: hello.host } },
    {
      onOpen(open) {
        connection = open;
        seq = 0;
        open.listen((frame) => (frame.type === 'resync' ? sync() : onFrame(frame)));
        sync();
        onOpen();
      },
      onClosed() {
        connection = null;
        onClosed();
      },
      onTrouble,
    },
  );

  return {
    get isOpen() {
      return connection !== null;
    },
    get heartbeat_ms() {
      return connection?.heartbeat_ms ?? 0;
    },
    get unsent_bytes() {
      return connection?.unsent_bytes ?? 0;
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
    stop: (reason) => dialler.stop({ type: 'bye', reason }, reason),
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
