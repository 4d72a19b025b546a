/** The options of an agent, which `agent` and `up` share: what to start, what to watch, what the host is called. */
import { closeSync, openSync, readSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import path from 'node:path';
import {
  COPIES_MAX,
  nameSpecs,
  type ProcSpec,
  parseMeshFile,
  SOCKET_PATH_MAX_BYTES,
  SPOOL_MAX_BYTES,
  SPOOL_MAX_BYTES_MIN,
} from '../node-agents/index.ts';
import { flag, type Invocation, text, texts } from './command.ts';
import { usageError } from './exit.ts';
import { LIMITS } from './limits.ts';
import { type Address, isLoopback, readNumber } from './listen.ts';

export const AGENT_OPTIONS = {
  name: { type: 'string' },
  file: { type: 'string', short: 'f' },
  procs: { type: 'string' },
  watch: { type: 'string', multiple: true },
  pid: { type: 'string', multiple: true },
  grace: { type: 'string' },
  quiet: { type: 'boolean', short: 'q' },
  'spool-dir': { type: 'string' },
  'spool-max': { type: 'string' },
  'telemetry-socket': { type: 'string' },
  'metrics-interval': { type: 'string' },
  'metrics-listen': { type: 'string' },
} as const;

export const AGENT_HELP = `  -- CMD...          run CMD as a proc and follow it
  --procs N          run N copies of CMD, with RANK, LOCAL_RANK and WORLD_SIZE set
  -f, --file FILE    run the procs that a JSON file describes:
                       {"procs": [{"name": "trainer", "command": ["python3", "train.py"],
                                   "procs": 4, "cwd": ".", "env": {"KEY": "value"}}]}
                     "command" is required; a relative "cwd" is taken from the file's folder
  --watch PATTERN    show running processes whose command line matches this regular expression; may be repeated.
                     They are looked at, never touched, and their children are shown too
  --pid PID          show this running process; may be repeated
  --name NAME        what this host is called, default its host name; must differ between agents
  --grace SECONDS    from TERM to KILL when commands are stopped, default 10
  -q, --quiet        do not show the commands' output
  --spool-dir DIR    where telemetry waits for the store, and outlives the agent; default in XDG_STATE_HOME, or ~/.local/state,
                     under meshscope/spool, by host name and gateway (with "up": in the data folder)
  --spool-max SIZE   bytes of it at most, as in 64M or 1G, default 256M; beyond, the oldest go and are counted
  --telemetry-socket PATH
                     the socket at which commands hand in telemetry of their own, which they find in
                     MESHSCOPE_TELEMETRY_SOCKET; default a new one under the system's folder for temporary files
  --metrics-interval SECONDS
                     between two rows of each of the agent's own metrics, default 10
  --metrics-listen ADDR:PORT
                     serve /metrics (Prometheus text) and /healthz there, as in 127.0.0.1:9464; port 0 picks a free one.
                     Default nowhere
`;

export interface AgentSettings {
  readonly host_name: string;
  readonly specs: readonly ProcSpec[];
  readonly base_dir: string;
  readonly watch: readonly RegExp[];
  readonly pids: readonly number[];
  readonly terminate_grace_ms: number;
  readonly spool_max_bytes: number;
  readonly metrics_interval_ms: number;
  readonly telemetry_socket?: string;
  readonly metrics_listen?: Address;
}

export function readAgentSettings(invocation: Invocation): AgentSettings {
  const file = text(invocation, 'file');
  const command = invocation.rest;
  if (file !== undefined && command !== null) throw usageError('-f FILE and "-- CMD" cannot be given together');
  if (command !== null && command.length === 0) throw usageError('there is no command behind "--"');
  if (text(invocation, 'procs') !== undefined && command === null) {
    throw usageError('--procs N needs a command behind "--"; in a file, use its field "procs"');
  }
  const procs = readNumber(invocation, 'procs', 1, 1, COPIES_MAX);
  return {
    host_name: text(invocation, 'name') ?? (hostname().replace(/[^A-Za-z0-9._-]/g, '-') || 'localhost'),
    specs: file === undefined ? specsOf(command, procs) : readMeshFile(file),
    base_dir: file === undefined ? process.cwd() : path.dirname(path.resolve(file)),
    watch: texts(invocation, 'watch').map(readPattern),
    pids: texts(invocation, 'pid').map(readPid),
    terminate_grace_ms: readNumber(invocation, 'grace', 10, 0, LIMITS.grace_max_s) * 1_000,
    spool_max_bytes: readSize(invocation, 'spool-max', SPOOL_MAX_BYTES, SPOOL_MAX_BYTES_MIN),
    metrics_interval_ms: readNumber(invocation, 'metrics-interval', 10, 1, LIMITS.metrics_interval_max_s) * 1_000,
    ...readSocket(text(invocation, 'telemetry-socket')),
    ...readMetricsListen(invocation),
  };
}

/**
 * The folder in which telemetry of a host waits for a gateway's store: that of another mesh must never get it.
 *
 * @param gateway_url as it is dialled
 */
export function spoolDirDefault(host_name: string, gateway_url: string): string {
  const state = process.env.XDG_STATE_HOME ?? '';
  const base = path.isAbsolute(state) ? state : path.join(homedir(), '.local', 'state');
  const gateway = gateway_url.replace(/^https?:\/\//, '').replace(/[^A-Za-z0-9.-]+/g, '_');
  return path.join(base, 'meshscope', 'spool', `${host_name}@${gateway.slice(0, GATEWAY_NAME_MAX_CHARS)}`);
}

/** Of a gateway's address in the name of a folder; longer ones are cut. */
const GATEWAY_NAME_MAX_CHARS = 120;

/** Bytes, given as a number or with K, M or G behind it. */
function readSize(invocation: Invocation, name: string, otherwise: number, min_bytes: number): number {
  const given = text(invocation, name);
  if (given === undefined) return otherwise;
  const [, number, unit = ''] = /^(\d{1,9})([KMG]?)$/i.exec(given.trim()) ?? [];
  const bytes = Number(number) * 1024 ** ['', 'K', 'M', 'G'].indexOf(unit.toUpperCase());
  if (number === undefined || bytes < min_bytes) {
    throw usageError(`--${name} ${given}: must be a size of at least ${min_bytes / 1024 ** 2}M, as in 64M or 1G`);
  }
  return bytes;
}

function readSocket(given: string | undefined): { readonly telemetry_socket?: string } {
  if (given === undefined) return {};
  const bytes = Buffer.byteLength(path.resolve(given));
  if (given === '' || bytes > SOCKET_PATH_MAX_BYTES) {
    throw usageError(
      `--telemetry-socket ${given}: the path of a socket has 1 to ${SOCKET_PATH_MAX_BYTES} bytes, this has ${bytes}`,
    );
  }
  return { telemetry_socket: path.resolve(given) };
}

function readMetricsListen(invocation: Invocation): { readonly metrics_listen?: Address } {
  const given = text(invocation, 'metrics-listen');
  if (given === undefined) return {};
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(given) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) {
    throw usageError(`--metrics-listen ${given}: must be ADDR:PORT, as in 127.0.0.1:9464`);
  }
  if (!isLoopback(host) && !flag(invocation, 'insecure')) {
    throw usageError(
      `--metrics-listen ${given} can be reached from other machines: say --insecure on a network that you trust`,
    );
  }
  return { metrics_listen: { host, port: Number(port) } };
}

function specsOf(command: readonly string[] | null, procs: number): ProcSpec[] {
  if (command === null) return [];
  const named = nameSpecs([{ command, procs, cwd: undefined, env: {} }]);
  if (!named.ok) throw usageError(named.failure.message);
  return named.value;
}

function readMeshFile(file: string): ProcSpec[] {
  let content: string;
  try {
    content = readUpTo(file, LIMITS.mesh_file_max_bytes);
  } catch (error) {
    throw usageError(`cannot read ${file}: ${(error as Error).message}`);
  }
  const specs = parseMeshFile(content);
  if (!specs.ok) throw usageError(`${file}: ${specs.failure.message}`);
  return specs.value;
}

/** The text of a file that may be a pipe, `-f <(generate)`, or have no end. */
function readUpTo(file: string, max_bytes: number): string {
  const descriptor = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(max_bytes + 1);
    let size = 0;
    for (let count = -1; count !== 0 && size <= max_bytes; size += count) {
      count = readSync(descriptor, buffer, size, buffer.length - size, null);
    }
    if (size > max_bytes) throw new Error(`it is longer than ${max_bytes} bytes`);
    return buffer.toString('utf8', 0, size);
  } finally {
    closeSync(descriptor);
  }
}

function readPattern(pattern: string): RegExp {
  // The empty pattern would match every process of the machine.
  if (pattern === '') throw usageError('--watch: the pattern is empty');
  try {
    return new RegExp(pattern);
  } catch (error) {
    throw usageError(`--watch ${pattern}: not a regular expression: ${(error as Error).message}`);
  }
}

function readPid(given: string): number {
  const pid = Number(given);
  if (!/^[0-9]+$/.test(given) || !Number.isSafeInteger(pid) || pid < 1)
    throw usageError(`--pid ${given}: not a process id`);
  return pid;
}
