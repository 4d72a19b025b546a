/** The little of Deno that the gateway uses, typed here so that no other file sees Deno's globals. */

export interface DenoServer {
  readonly addr: { readonly port: number };
  /** Stops listening and settles when every connection has ended. */
  shutdown(): Promise<void>;
}

export interface DenoServeOptions {
  readonly hostname: string;
  readonly port: number;
  /** Ends the server and cuts its connections. */
  readonly signal: AbortSignal;
  readonly onListen: () => void;
  readonly onError: (error: unknown) => Response;
}

export interface DenoSocket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: (() => void) | null;
  onerror: ((event: { preventDefault(): void }) => void) | null;
  send(text: string): void;
  close(code: number, reason: string): void;
}

export interface DenoApi {
  readonly args: readonly string[];
  readonly env: { get(name: string): string | undefined };
  /** @throws when the address cannot be listened on; then `code` is the errno's name. */
  serve(options: DenoServeOptions, handle: (request: Request) => Response | Promise<Response>): DenoServer;
  upgradeWebSocket(
    request: Request,
    options: { readonly protocol?: string },
  ): { readonly socket: DenoSocket; readonly response: Response };
  addSignalListener(signal: 'SIGINT' | 'SIGTERM', listener: () => void): void;
  readTextFileSync(path: string): string;
  /** @throws `NotFound`, or `NotCapable` without permission. */
  statSync(path: string): {
    readonly isFile: boolean;
    readonly ino: number | null;
    readonly size: number;
    readonly mtime: Date | null;
    readonly ctime?: Date | null;
  };
  exit(code: number): never;
}

export const deno = (globalThis as unknown as { readonly Deno: DenoApi }).Deno;
