/**
 * One keep-alive HTTP connection with one request at a time, and as little work per answer as can be: the load shares the
 * processors with what it measures. Reads answers with a `content-length`, as all servers measured here send.
 */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

const HEAD_END = '\r\n\r\n';
const EMPTY = Buffer.alloc(0);

export class Connection {
  readonly #socket: Socket;
  readonly #host: string;
  readonly #authorization: string;
  #received: Buffer[] = [];
  #size = 0;
  /** Bytes of the answer in all, when its head has come. */
  #wanted = Number.POSITIVE_INFINITY;
  #headSize = 0;
  #status = 0;
  #settle: { resolve(answer: Answer): void; reject(error: Error): void } | null = null;
  #error: Error | null = null;

  private constructor(socket: Socket, host: string, token: string | undefined) {
    this.#socket = socket;
    this.#host = host;
    this.#authorization = token === undefined ? '' : `authorization: Bearer ${token}\r\n`;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  /** @param url scheme, host and port. @param token sent with every request; default none. */
  static open(url: string, token?: string): Promise<Connection> {
    const { hostname, port, host } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => {
        socket.off('error', reject);
        resolve(new Connection(socket, host, token));
      });
      socket.once('error', reject);
    });
  }

  get(path: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#error !== null) return reject(this.#error);
      this.#settle = { resolve, reject };
      this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n${this.#authorization}\r\n`);
    });
  }

  /** @param body JSON, whole or in parts that are sent one after the other */
  post(path: string, ...body: (string | Buffer)[]): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#error !== null) return reject(this.#error);
      this.#settle = { resolve, reject };
      const parts = body.map((part) => (typeof part === 'string' ? Buffer.from(part) : part));
      const size = parts.reduce((sum, part) => sum + part.length, 0);
      this.#socket.cork();
      this.#socket.write(
        `POST ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n${this.#authorization}content-type: application/json\r\ncontent-length: ${size}\r\n\r\n`,
      );
      for (const part of parts) this.#socket.write(part);
      this.#socket.uncork();
    });
  }

  close(): void {
    this.#settle = null;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#size += chunk.length;
    if (this.#wanted === Number.POSITIVE_INFINITY && !this.#readHead()) return;
    if (this.#size < this.#wanted) return;
    const body = this.#whole().subarray(this.#headSize);
    const settle = this.#settle;
    this.#received = [];
    this.#size = 0;
    this.#wanted = Number.POSITIVE_INFINITY;
    this.#settle = null;
    settle?.resolve({ status: this.#status, body });
  }

  #readHead(): boolean {
    const whole = this.#whole();
    const end = whole.indexOf(HEAD_END);
    if (end < 0) return false;
    const head = whole.toString('latin1', 0, end);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      this.#fail(new Error(`an answer without content-length: ${head}`));
      this.#socket.destroy();
      return false;
    }
    this.#status = Number(head.slice(9, 12));
    this.#headSize = end + HEAD_END.length;
    this.#wanted = this.#headSize + Number(length);
    return true;
  }

  #whole(): Buffer {
    if (this.#received.length > 1) this.#received = [Buffer.concat(this.#received)];
    return this.#received[0] ?? EMPTY;
  }

  #fail(error: Error): void {
    this.#error ??= error;
    const settle = this.#settle;
    this.#settle = null;
    settle?.reject(error);
  }
}
