/** The little of Cloudflare Workers that the gateway uses, typed here so that no other file sees it. */
import type { Sql } from '../../hub/sqlite-keeper.ts';

export interface WorkerSocket {
  readonly readyState: number;
  send(text: string): void;
  close(code: number, reason: string): void;
  /** Kept by the runtime while the object is out of memory; at most 16 KiB. */
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

export interface DurableObjectState {
  readonly id: { toString(): string; readonly name?: string };
  readonly storage: {
    readonly sql: Pick<Sql, 'exec'>;
    transactionSync<T>(run: () => T): T;
    setAlarm(at_ms: number): Promise<void>;
  };
  acceptWebSocket(socket: WorkerSocket): void;
  getWebSockets(): WorkerSocket[];
  setWebSocketAutoResponse(pair: object): void;
  getWebSocketAutoResponseTimestamp(socket: WorkerSocket): Date | null;
}

export interface DurableObjectStub {
  fetch(request: Request): Promise<Response>;
}

export interface DurableObjectNamespace {
  idFromName(name: string): object;
  get(id: object): DurableObjectStub;
}

/** What a Worker is handed with a request. */
export interface ExecutionContext {
  /** Keeps the Worker alive until the work is done, behind the answer. */
  waitUntil(work: Promise<unknown>): void;
}

interface WorkerGlobals {
  readonly WebSocketPair: new () => { readonly 0: WorkerSocket; readonly 1: WorkerSocket };
  readonly WebSocketRequestResponsePair: new (request: string, response: string) => object;
}

export const worker = globalThis as unknown as WorkerGlobals;

/** An answer that hands one end of a pair to the client. */
export function socketResponse(webSocket: WorkerSocket, headers: Readonly<Record<string, string>>): Response {
  return new Response(null, { status: 101, webSocket, headers } as ResponseInit);
}
