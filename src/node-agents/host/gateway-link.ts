/**
 * The link of an agent to its gateway: the stream of state on top of a dialler (src/link/dialling). When the link opens, it
 * sends the whole state as `sync` frames, then every change as `delta` frames, all numbered in one sequence.
 */
import type { AgentFrame, GatewayFrame, HelloFrame, NodePayload } from '../../contract/index.ts';
import { type Connection, type Dialler, type DialTarget, keepDialling } from '../../link/dialling/index.ts';
import { AGENT_LINK } from '../../link/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { Spool } from '../spool/spool.ts';
import type { Calls } from './calls.ts';
import type { LinkReport } from './link-report.ts';

export interface GatewayLinkOptions extends DialTarget {
  readonly hello: HelloFrame;
  readonly agent_limits: AgentLimits;
}

/** The parts of the agent that use the link. */
export interface LinkUsers {
  /** The nodes of the whole host, as they are now. */
  readonly state: () => NodePayload[];
  /** Answers the gateway's calls. */
  readonly calls: Pick<Calls, 'answer' | 'cancel' | 'cancelAll'>;
  /** Sends telemetry, which the gateway acknowledges. */
  readonly spool: Pick<Spool, 'linkOpened' | 'acknowledge'>;
  /** Says how the link is doing. */
  readonly report: LinkReport;
}

/** Frames are dropped until it is started, and whenever there is no connection. */
export class GatewayLink {
  readonly #options: GatewayLinkOptions;
  #dialler: Dialler<AgentFrame> | null = null;
  #connection: Connection<AgentFrame, GatewayFrame> | null = null;
  #seq = 0;

  constructor(options: GatewayLinkOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#connection !== null;
  }

  /** The gateway's heartbeat interval, milliseconds; 0 without an open link. */
  get heartbeat_ms(): number {
    return this.#connection?.heartbeat_ms ?? 0;
  }

  /** Bytes that were sent and wait in the socket; 0 without an open link. */
  get unsent_bytes(): number {
    return this.#connection?.unsent_bytes ?? 0;
  }

  /** Dials from now on, until it is stopped. To be called once. */
  start(users: LinkUsers): void {
    const { state, calls, spool, report } = users;
    const { hello, agent_limits: _, ...target } = this.#options;
    this.#dialler = keepDialling(
      { ...target, grammar: AGENT_LINK, hello, query: { host: hello.host } },
      {
        onOpen: (connection) => {
          this.#connection = connection;
          this.#seq = 0;
          connection.listen((frame) => this.#receive(frame, users));
          this.#sync(state());
          spool.linkOpened();
          report.opened();
        },
        onClosed: () => {
          this.#connection = null;
          calls.cancelAll();
          report.closed();
        },
        onTrouble: (message, isRefused) => report.trouble(message, isRefused),
      },
    );
  }

  /** Sends changed nodes, and references of nodes that are gone. Without an open link nothing is sent or kept. */
  publish(nodes: readonly NodePayload[], removed: readonly string[]): void {
    if (this.#connection === null) return;
    const { frame_removed_max } = this.#options.agent_limits;
    const rest = [...removed];
    for (const part of this.#chunk(nodes)) this.#delta(part, rest.splice(0, frame_removed_max));
    while (rest.length > 0) this.#delta([], rest.splice(0, frame_removed_max));
  }

  /** Sends a frame that is not part of the state; false when the link is not open. */
  send(frame: AgentFrame): boolean {
    return this.#connection?.send(frame) ?? false;
  }

  /** Sends `bye` and closes the link; settles when it is closed. */
  async stop(reason: string): Promise<void> {
    await this.#dialler?.stop({ type: 'bye', reason }, reason);
  }

  #receive(frame: GatewayFrame, { state, calls, spool }: LinkUsers): void {
    switch (frame.type) {
      case 'call':
        void calls.answer(frame.call, frame.request, frame.deadline_ms);
        return;
      case 'cancel':
        calls.cancel(frame.call);
        return;
      case 'ack':
        spool.acknowledge(frame.producer, frame.seq);
        return;
      case 'resync':
        this.#sync(state());
        return;
      // The dialling side has handled these.
      case 'welcome':
      case 'refuse':
      case 'heartbeat':
        return;
    }
  }

  #sync(state: readonly NodePayload[]): void {
    const portions = this.#chunk(state);
    for (const [index, nodes] of portions.entries()) {
      this.#seq += 1;
      this.#connection?.send({ type: 'sync', seq: this.#seq, nodes, more: index < portions.length - 1 });
    }
  }

  #delta(nodes: NodePayload[], removed: string[]): void {
    this.#seq += 1;
    this.#connection?.send({ type: 'delta', seq: this.#seq, nodes, removed });
  }

  /** Nodes in portions that fit into a frame; always at least one portion, so that an empty state is sent as well. */
  #chunk(nodes: readonly NodePayload[]): NodePayload[][] {
    const portions: NodePayload[][] = [[]];
    let size = 0;
    for (const node of nodes) {
      const chars = JSON.stringify(node).length;
      if (size > 0 && size + chars > this.#options.agent_limits.frame_nodes_chars) {
        portions.push([]);
        size = 0;
      }
      portions.at(-1)?.push(node);
      size += chars;
    }
    return portions;
  }
}
