/**
 * A gateway for tests of agents: a real WebSocket server that keeps what agents push, and can be told to misbehave.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  AgentFrame,
  type CallRequest,
  type EventBatch,
  type GatewayFrame,
  LINK_PATH,
  type NodePayload,
  readFrame,
} from '../../src/contract/index.ts';

export const TOKEN = 'test-token';

export interface ScriptedGateway {
  readonly url: string;
  /** Nodes as the last whole sync and the deltas since have it, by reference. */
  readonly nodes: Map<string, NodePayload>;
  /** Every frame that came, in order, with the number of the connection it came on. */
  readonly frames: { readonly connection: number; readonly frame: AgentFrame }[];
  readonly batches: EventBatch[];
  connections: number;
  /** Whether batches are acknowledged. */
  acknowledge: boolean;
  /** Sent instead of a welcome. */
  refusal: { code: string; message: string; retry: boolean } | null;
  /** Settles when `condition` holds; it is looked at after every frame and connection. */
  until<T>(condition: () => T | undefined | null | false): Promise<T>;
  call(request: CallRequest, deadline_ms?: number): Promise<unknown>;
  send(frame: GatewayFrame): void;
  /** Breaks all connections without a word. */
  drop(): void;
  /** Stops listening and breaks all connections; `listen` brings it back on the same port. */
  stop(): Promise<void>;
  listen(): Promise<void>;
}

const UNTIL_MS = 20_000;

export async function startScriptedGateway(): Promise<ScriptedGateway> {
  let server: Server;
  let port = 0;
  const sockets = new Set<WebSocket>();
  const watchers = new Set<() => void>();
  const answers = new Map<number, { text: string; settle: (value: unknown) => void }>();
  let calls = 0;
  let staged: NodePayload[] = [];
  const look = (): void => {
    for (const watcher of [...watchers]) watcher();
  };

  const gateway: ScriptedGateway = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    nodes: new Map(),
    frames: [],
    batches: [],
    connections: 0,
    acknowledge: true,
    refusal: null,
    until(condition) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          watchers.delete(watcher);
          reject(new Error(`never came to be: ${condition}`));
        }, UNTIL_MS);
        const watcher = (): void => {
          const value = condition();
          if (value === undefined || value === null || value === false) return;
          clearTimeout(timer);
          watchers.delete(watcher);
          resolve(value);
        };
        watchers.add(watcher);
        watcher();
      });
    },
    call(request, deadline_ms = 10_000) {
      calls += 1;
      const call = calls;
      return new Promise((settle) => {
        answers.set(call, { text: '', settle });
        gateway.send({ type: 'call', call, deadline_ms, request });
      });
    },
    send(frame) {
      for (const socket of sockets) socket.send(JSON.stringify(frame));
    },
    drop() {
      for (const socket of sockets) socket.terminate();
    },
    async stop() {
      gateway.drop();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
    async listen() {
      server = createServer((request, response) => {
        const isAuthorized = request.headers.authorization === `Bearer ${TOKEN}`;
        response.statusCode = isAuthorized ? 426 : 401;
        response.end(JSON.stringify({ error: { code: 'unauthorized', message: 'the token is wrong' } }));
      });
      const sockets_ = new WebSocketServer({ noServer: true });
      server.on('upgrade', (request, socket, head) => {
        const [path] = (request.url ?? '').split('?');
        if (path !== LINK_PATH || request.headers.authorization !== `Bearer ${TOKEN}`) {
          socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n');
          return;
        }
        sockets_.handleUpgrade(request, socket, head, accept);
      });
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      port = (server.address() as AddressInfo).port;
    },
  };

  function accept(socket: WebSocket): void {
    gateway.connections += 1;
    const connection = gateway.connections;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('message', (data) => {
      const read = readFrame(AgentFrame, String(data));
      if (!read.ok) throw new Error(`the agent sent what is no frame: ${read.error}`);
      gateway.frames.push({ connection, frame: read.frame });
      take(socket, read.frame);
      look();
    });
    look();
  }

  function take(socket: WebSocket, frame: AgentFrame): void {
    switch (frame.type) {
      case 'hello':
        if (gateway.refusal !== null) socket.send(JSON.stringify({ type: 'refuse', ...gateway.refusal }));
        else socket.send(JSON.stringify(WELCOME));
        break;
      case 'sync':
        staged.push(...frame.nodes);
        if (frame.more) break;
        gateway.nodes.clear();
        for (const node of staged) gateway.nodes.set(node.identity, node);
        staged = [];
        break;
      case 'delta':
        for (const node of frame.nodes) gateway.nodes.set(node.identity, node);
        for (const reference of frame.removed) gateway.nodes.delete(reference);
        break;
      case 'heartbeat':
        socket.send(JSON.stringify(frame));
        break;
      case 'events':
        gateway.batches.push(frame.batch);
        if (gateway.acknowledge) {
          socket.send(JSON.stringify({ type: 'ack', producer: frame.batch.producer, seq: frame.batch.seq }));
        }
        break;
      case 'answer': {
        const answer = answers.get(frame.call);
        if (answer === undefined) break;
        answer.text += frame.part;
        if (!frame.more) answer.settle(JSON.parse(answer.text));
        break;
      }
      case 'fault':
        answers.get(frame.call)?.settle({ fault: frame.error });
        break;
      default:
    }
  }

  await gateway.listen();
  return gateway;
}

const WELCOME: GatewayFrame = {
  type: 'welcome',
  version: 1,
  gateway_version: 'test',
  heartbeat_ms: 5_000,
  frame_max_bytes: 1024 * 1024,
};
