/**
 * The collector: a unix socket to which the procs of a host send their telemetry.
 *
 * 1. A proc connects to the path in MESHSCOPE_TELEMETRY_SOCKET and writes event batches (contract/events.ts), one line of
 *    JSON each, at most `collector_line_max_bytes`, as `tables` or `packed`.
 * 2. Each line is answered in its turn: `{"ack":{"producer","seq"}}` when the batch is safe in the spool. A batch whose
 *    number is not above the producer's last is acknowledged without being kept again, so a proc that is in doubt, after a
 *    broken connection for instance, sends again what was not acknowledged.
 * 3. What is not a batch (no JSON, a wrong shape, an unknown table, values that do not fit, nothing in it, a line that is too
 *    long) is answered by `{"error":{"code","message"}}` and the end of that connection. Lines before it are kept; other
 *    connections go on.
 * 4. `service_unavailable` means that the batch is fine but there are too many connections, producers or bytes. The proc
 *    can send it again later.
 *
 * The socket is for the agent's own user (socket-place.ts says where it is).
 */
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { type Failure, failure, type Outcome, success } from '../../base/index.ts';
import { type AgentLimits, LIMITS } from '../limits.ts';
import { checkBatch } from '../producer/batch-code.ts';
import type { Spool } from '../spool/spool.ts';
import { socketPlace } from './socket-place.ts';

export const SOCKET_VARIABLE = 'MESHSCOPE_TELEMETRY_SOCKET';

export interface CollectorOptions {
  readonly spool: Spool;
  /** Batches are taken from when this settles: by then it is known what dead agents left of the same producers. */
  readonly ready: Promise<unknown>;
  /** Path to listen on. Default: `telemetry.sock` in a new temporary folder. */
  readonly socket_path?: string;
  /** Default LIMITS. */
  readonly limits?: AgentLimits;
}

export interface Collector {
  readonly socket_path: string;
  readonly counts: CollectorCounts;
  close(): Promise<void>;
}

export interface CollectorCounts {
  connections: number;
  batches: number;
  repeated_batches: number;
  refused_lines: number;
  /** Rows that procs say they had to drop. */
  lost_rows: number;
}

/** @returns `bad_request` for a path that cannot be a socket's, `service_unavailable` when another agent listens there */
export async function startCollector(options: CollectorOptions): Promise<Outcome<Collector>> {
  const limits = options.limits ?? LIMITS;
  const place = await socketPlace(options.socket_path, limits);
  if (!place.ok) return place;
  const { socket_path, remove } = place.value;
  const counts: CollectorCounts = { connections: 0, batches: 0, repeated_batches: 0, refused_lines: 0, lost_rows: 0 };
  const connections = new Set<Socket>();
  const budget = { waiting_bytes: 0 };
  // A proc may end its side and wait for its answers.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    if (connections.size >= limits.collector_connections_max) {
      const message = `${limits.collector_connections_max} connections are open, the most there may be; try again later`;
      return refuse(socket, { code: 'service_unavailable', message }, limits);
    }
    connections.add(socket);
    counts.connections = connections.size;
    socket.once('close', () => {
      connections.delete(socket);
      counts.connections = connections.size;
    });
    void serve(socket, options, counts, budget, limits);
  });
  const listening = await listen(server, socket_path);
  if (!listening.ok) {
    remove();
    return listening;
  }
  return success({
    socket_path,
    counts,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
      remove();
    },
  });
}

interface Budget {
  waiting_bytes: number;
}

async function serve(
  socket: Socket,
  { spool, ready }: CollectorOptions,
  counts: CollectorCounts,
  budget: Budget,
  limits: AgentLimits,
): Promise<void> {
  try {
    await ready;
    for await (const line of linesOf(socket, budget, limits)) {
      const answer = line.ok ? await take(line.value, spool, counts, limits) : line;
      if (!answer.ok) {
        counts.refused_lines += 1;
        return refuse(socket, answer.failure, limits);
      }
      if (!socket.write(`${answer.value}\n`) && !(await drained(socket))) return;
    }
    socket.end();
  } catch {
    // The proc closed the connection. It sends again what was not answered.
    socket.destroy();
  }
}

async function take(
  line: string,
  spool: Spool,
  counts: CollectorCounts,
  limits: AgentLimits,
): Promise<Outcome<string>> {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return failure('bad_request', `not JSON: ${JSON.stringify(line.slice(0, 80))}`);
  }
  const checked = await checkBatch(json, limits);
  if (!checked.ok) return checked;
  const { producer, seq, lost_rows } = checked.value.batch;
  const kept = await spool.keep(checked.value);
  if (kept === 'full') {
    return failure('service_unavailable', `batches of ${limits.producers_max} producers wait already; try again later`);
  }
  if (kept === 'kept') {
    counts.batches += 1;
    counts.lost_rows += lost_rows;
  } else {
    counts.repeated_batches += 1;
  }
  return success(JSON.stringify({ ack: { producer, seq } }));
}

/** The lines of a connection, without their ends; one that is too long is the last. What has no end yet is no line. */
async function* linesOf(
  socket: Socket,
  budget: Budget,
  { collector_line_max_bytes: line_max_bytes, collector_waiting_max_bytes }: AgentLimits,
): AsyncGenerator<Outcome<string>> {
  let parts: Buffer[] = [];
  let bytes = 0;
  try {
    // Whoever leaves the loop has an answer to send yet.
    for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      let rest = chunk;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        budget.waiting_bytes -= bytes;
        const length = bytes + end;
        bytes = 0;
        if (length > line_max_bytes) return yield tooLong(line_max_bytes);
        parts.push(rest.subarray(0, end));
        const text = Buffer.concat(parts).toString('utf8');
        parts = [];
        rest = rest.subarray(end + 1);
        yield success(text);
      }
      parts.push(rest);
      bytes += rest.length;
      budget.waiting_bytes += rest.length;
      if (bytes > line_max_bytes) return yield tooLong(line_max_bytes);
      if (budget.waiting_bytes > collector_waiting_max_bytes) {
        return yield failure('service_unavailable', 'too many lines are on their way; try again later');
      }
    }
  } finally {
    budget.waiting_bytes -= bytes;
  }
}

function tooLong(line_max_bytes: number): Outcome<string> {
  const message = `a line is longer than ${line_max_bytes} bytes: send fewer rows in a batch`;
  return failure('payload_too_large', message);
}

function refuse(socket: Socket, { code, message }: Failure, { collector_refused_ms }: AgentLimits): void {
  // Further bytes are read and dropped, because closing a socket with unread bytes would discard the answer.
  socket.resume();
  socket.end(`${JSON.stringify({ error: { code, message } })}\n`);
  const cut = setTimeout(() => socket.destroy(), collector_refused_ms);
  socket.once('close', () => clearTimeout(cut));
}

/** False when the connection ended instead. */
function drained(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve(false);
    socket.once('drain', () => resolve(true));
    socket.once('close', () => resolve(false));
  });
}

function listen(server: Server, socket_path: string): Promise<Outcome<null>> {
  return new Promise((resolve) => {
    server.once('error', (error) => {
      resolve(failure('service_unavailable', `telemetry socket ${socket_path}: ${error.message}`));
    });
    server.listen(socket_path, () => {
      try {
        // Anyone who can connect can forge rows, so only the owner may.
        chmodSync(socket_path, 0o600);
      } catch (error) {
        server.close();
        const message = `telemetry socket ${socket_path}: ${(error as Error).message}`;
        return resolve(failure('service_unavailable', message));
      }
      server.removeAllListeners('error');
      server.on('error', () => {});
      resolve(success(null));
    });
  });
}
