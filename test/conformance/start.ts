/**
 * What the conformance suite knows of a gateway: how to start one, and where it listens. Everything else it sees as a
 * client or an agent does, over sockets.
 */
import { request as httpRequest } from 'node:http';
import type { TokenDocument } from '../../src/contract/index.ts';
import type { AnonymousLevel } from '../../src/edge-gateway/index.ts';
import { FakeAgent, type FakeAgentOptions } from '../support/fake-agent.ts';
import { AUTHORIZED, type RawAnswer, rawRequest, TOKEN } from '../support/gateway.ts';
import { until } from '../support/until.ts';

/** Where the gateway under test says that its token is: part of its refusals on loopback. */
export const TOKEN_SOURCE = 'MESHSCOPE_TOKEN';

export interface StartOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default `topology`. */
  readonly anonymous?: AnonymousLevel;
  /** Default none. */
  readonly allowed_hosts?: readonly string[];
  /** Base URL of the telemetry service, which takes TOKEN. Default: none is configured. */
  readonly telemetry_url?: string;
  /** Default 5,000. */
  readonly heartbeat_ms?: number;
  /** Tokens beside TOKEN, handed over as the runtime takes them. Default none. */
  readonly tokens?: TokenDocument;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  /** What it says in `welcome`. */
  readonly version: string;
  /** What it has logged so far. */
  log(): string;
  close(): Promise<void>;
}

/** Starts a gateway on a free port, with TOKEN, that takes no snapshots; gives it when it listens. */
export type Start = (options?: StartOptions) => Promise<Gateway>;

/** What a runtime cannot have. A capability says less of a case; the cases are the same everywhere. */
export interface Capabilities {
  /** A head that is too large or no HTTP gets the error envelope, with 431 or 400. */
  readonly explainsUnreadableHeads: boolean;
  /** A request target with characters that none may have (`<`, `{`, `#`) is matched as it stands; else refused, or cut. */
  readonly readsAnyTarget: boolean;
  /** A WebSocket handshake that is not whole gets the error envelope; else the runtime answers it in its own way. */
  readonly explainsHandshakes: boolean;
  /** It can be told to stop, and then finishes what is under way. */
  readonly drains: boolean;
}

/** A gateway, and the agents that a test dials it with, to be ended together. */
export class Peers {
  readonly gateway: Gateway;
  readonly #agents: FakeAgent[] = [];

  constructor(gateway: Gateway) {
    this.gateway = gateway;
  }

  async dial(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
    return this.#keep(await FakeAgent.dial({ url: this.gateway.url, token: TOKEN, ...options }));
  }

  /** An open socket that has not said hello. */
  async open(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
    return this.#keep(await FakeAgent.open({ url: this.gateway.url, token: TOKEN, ...options }));
  }

  ask(method: string, path: string, headers: Readonly<Record<string, string>> = {}, body?: string): Promise<RawAnswer> {
    return rawRequest(this.gateway.url, method, path, headers, body);
  }

  /**
   * Sends a request, a POST where there is a body, of which nobody reads the answer.
   *
   * @returns what lets its client leave altogether: some runtimes take the end of what a client sends for that alone
   */
  leaver(path: string, body?: string): () => void {
    const headers = body === undefined ? AUTHORIZED : { ...AUTHORIZED, 'content-type': 'application/json' };
    const method = body === undefined ? 'GET' : 'POST';
    const request = httpRequest(`${this.gateway.url}${path}`, { method, headers, agent: false });
    request.on('error', () => {});
    request.end(body);
    return () => request.socket?.resetAndDestroy();
  }

  /** What `/healthz` counts. */
  async counts(): Promise<Record<string, number>> {
    return JSON.parse((await this.ask('GET', '/healthz')).body);
  }

  async untilCount(name: string, count: number): Promise<void> {
    await until(async () => (await this.counts())[name] === count, `${name} to be ${count}`);
  }

  async end(): Promise<void> {
    for (const agent of this.#agents.splice(0)) agent.drop();
    await this.gateway.close();
  }

  #keep(agent: FakeAgent): FakeAgent {
    this.#agents.push(agent);
    return agent;
  }
}
