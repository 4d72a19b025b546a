/**
 * A host agent that is only a peer: a real WebSocket that speaks the link by hand, so that it can also stall, drop,
 * answer twice or go silent. It sends nothing that a test did not ask for, heartbeats aside.
 */

import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { timestamp } from '../../src/base/index.ts';
import {
  type AgentFrame,
  type GatewayFrame,
  hostLocation,
  LINK_PATH,
  LINK_SUBPROTOCOL,
  type NodePayload,
  renderLocation,
} from '../../src/contract/index.ts';
import { until } from './until.ts';

export type CallFrame = Extract<GatewayFrame, { type: 'call' }>;

export interface FakeAgentOptions {
  readonly url: string;
  readonly token: string;
  readonly host?: string;
  readonly incarnation?: string;
  /** Answers calls; without it they stay unanswered. */
  readonly onCall?: (call: CallFrame, agent: FakeAgent) => void;
  /** Default true: a heartbeat every 50 ms. */
  readonly heartbeats?: boolean;
}

export class FakeAgent {
  readonly host: string;
  readonly incarnation: string;
  readonly received: GatewayFrame[] = [];
  readonly socket: WebSocket;
  closeCode: number | null = null;
  closeReason = '';
  seq = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(options: FakeAgentOptions) {
    this.host = options.host ?? 'gpu-7';
    this.incarnation = options.incarnation ?? randomUUID();
    this.socket = new WebSocket(
      `${options.url.replace('http', 'ws')}${LINK_PATH}?host=${encodeURIComponent(this.host)}`,
      LINK_SUBPROTOCOL,
      {
        headers: { authorization: `Bearer ${options.token}` },
      },
    );
    this.socket.on('error', () => {});
    this.socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as GatewayFrame;
      this.received.push(frame);
      if (frame.type === 'call') options.onCall?.(frame, this);
    });
    this.socket.on('close', (code, reason) => {
      this.closeCode = code;
      this.closeReason = String(reason);
      clearInterval(this.#timer);
    });
    if (options.heartbeats !== false) this.#timer = setInterval(() => this.send({ type: 'heartbeat' }), 50);
  }

  /** Opens the socket and says hello; gives the agent when the first frame has come or the link was closed. */
  static async dial(options: FakeAgentOptions): Promise<FakeAgent> {
    const agent = await FakeAgent.open(options);
    agent.hello();
    await until(
      () => agent.received.some(({ type }) => type !== 'heartbeat') || agent.closeCode !== null,
      'the first frame, or the close',
    );
    return agent;
  }

  static async open(options: FakeAgentOptions): Promise<FakeAgent> {
    const agent = new FakeAgent(options);
    await new Promise<void>((resolve, reject) => {
      agent.socket.once('open', () => resolve());
      agent.socket.once('error', reject);
    });
    return agent;
  }

  get location(): string {
    return renderLocation(hostLocation(this.host));
  }

  get hostRef(): string {
    return `host:host_agent.service@${this.location}`;
  }

  get serviceRef(): string {
    return `service@${this.location}`;
  }

  get procRef(): string {
    return `trainer-0<BLs6T7ZaDRB>@${this.location}`;
  }

  get actorRef(): string {
    return `trainer<3SdB72fboyy>.${this.procRef}`;
  }

  hello(change: Partial<Extract<AgentFrame, { type: 'hello' }>> = {}): void {
    this.send({
      type: 'hello',
      version: 1,
      host: this.host,
      incarnation: this.incarnation,
      agent_version: '0.0.0-test',
      started_at: timestamp(Date.now()),
      ...change,
    });
  }

  /** Sends anything, also what is no frame. */
  send(frame: AgentFrame | string): void {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  sync(nodes: readonly NodePayload[] = this.mesh(), more = false): void {
    this.seq += 1;
    this.send({ type: 'sync', seq: this.seq, nodes: [...nodes], more });
  }

  delta(nodes: readonly NodePayload[], removed: readonly string[] = []): void {
    this.seq += 1;
    this.send({ type: 'delta', seq: this.seq, nodes: [...nodes], removed: [...removed] });
  }

  answer(call: number, value: unknown): void {
    this.send({ type: 'answer', call, part: JSON.stringify(value), more: false });
  }

  frames<T extends GatewayFrame['type']>(type: T): Extract<GatewayFrame, { type: T }>[] {
    return this.received.filter((frame): frame is Extract<GatewayFrame, { type: T }> => frame.type === type);
  }

  /**
   * Falls silent: also before what closes the link, where a test wants to know the close code. A gateway on Deno cuts the
   * connection of a peer that says anything after that, and with it what the peer has not read yet.
   */
  stopHeartbeats(): void {
    clearInterval(this.#timer);
  }

  /** Cuts the connection without a word. */
  drop(): void {
    clearInterval(this.#timer);
    this.socket.terminate();
  }

  /** A host with its service proc and one worker proc that holds one actor. */
  mesh(as_of = timestamp(Date.now())): NodePayload[] {
    const service = { ...this.proc(this.serviceRef, []), as_of };
    const worker = { ...this.proc(this.procRef, [this.actorRef]), as_of };
    return [this.hostNode([this.serviceRef, this.procRef]), service, worker, this.actor(this.actorRef, as_of)];
  }

  hostNode(children: readonly string[]): NodePayload {
    return {
      identity: this.hostRef,
      properties: {
        Host: {
          addr: `unix:${this.host}`,
          num_procs: children.length,
          system_children: [],
          memory: { process_rss_bytes: 1_000, process_vm_size_bytes: null },
        },
      },
      children: [...children],
      parent: 'root',
      as_of: timestamp(Date.now()),
    };
  }

  proc(identity: string, children: readonly string[]): NodePayload {
    return {
      identity,
      properties: {
        Proc: {
          proc_name: identity.slice(0, identity.search(/[<@]/)),
          num_actors: children.length,
          system_children: [],
          stopped_children: [],
          stopped_retention_cap: 100,
          is_poisoned: false,
          failed_actor_count: 0,
          debug: {
            memory: { process_rss_bytes: 2_000, process_vm_size_bytes: 3_000 },
            actor_work_queue_depth_total: 0,
            actor_work_queue_depth_max: 0,
            actor_work_queue_depth_high_water_mark: 0,
            last_nonzero_queue_depth_age_ms: null,
          },
        },
      },
      children: [...children],
      parent: this.hostRef,
      as_of: timestamp(Date.now()),
    };
  }

  actor(identity: string, as_of = timestamp(Date.now()), actor_status = 'idle'): NodePayload {
    return {
      identity,
      properties: {
        Actor: {
          actor_status,
          actor_type: 'meshscope::test::Actor',
          instance_id: '0195a1c2-7d10-7c33-9f00-2b6a5d1e9c01',
          messages_processed: 1,
          created_at: as_of,
          last_message_handler: null,
          total_processing_time_us: 2,
          queue_depth: 0,
          flight_recorder: null,
          is_system: false,
          inbound_ordering: {
            enabled: true,
            snapshot_complete: true,
            skipped_session_count: 0,
            known_session_count: 1,
            returned_buffered_session_count: 0,
            returned_buffered_message_count: 0,
            returned_max_buffered_count: 0,
            sessions: [
              {
                session_id: '0195a1c2-6000-7000-8000-000000000001',
                sender: null,
                last_released_seq: 7,
                expected_next_seq: 8,
                buffered_count: 0,
                oldest_buffered_seq: null,
                newest_buffered_seq: null,
              },
            ],
          },
          failure_info: null,
          execution: { active_count: 0, active_handlers: [], complete: true, truncated: false },
        },
      },
      children: [],
      parent: identity.slice(identity.indexOf('.') + 1),
      as_of,
    };
  }
}
