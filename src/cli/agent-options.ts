/** The options of an agent, which `agent` and `up` share: what to start, what to watch, what the host is called. */
import { closeSync, openSync, readSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { COPIES_MAX, nameSpecs, type ProcSpec, parseMeshFile } from '../node-agents/index.ts';
import { type Invocation, text, texts } from './command.ts';
import { usageError } from './exit.ts';
import { LIMITS } from './limits.ts';
import { readNumber } from './listen.ts';

export const AGENT_OPTIONS = {
  name: { type: 'string' },
  file: { type: 'string', short: 'f' },
  procs: { type: 'string' },
  watch: { type: 'string', multiple: true },
  pid: { type: 'string', multiple: true },
  grace: { type: 'string' },
  quiet: { type: 'boolean', short: 'q' },
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
`;

export interface AgentSettings {
  readonly host_name: string;
  readonly specs: readonly ProcSpec[];
  readonly base_dir: string;
  readonly watch: readonly RegExp[];
  readonly pids: readonly number[];
  readonly terminate_grace_ms: number;
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
  };
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
