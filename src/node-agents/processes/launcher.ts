/**
 * Starts and ends one command in a process group of its own.
 *
 * The command is started behind a gate: a shell that waits for one line on descriptor 3 and then becomes the command, so
 * that pid and start time stay. The line is written once the guardian answers for the group; if the agent dies before,
 * the gate reads end-of-file and ends without ever having run the command.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { failure, type Outcome, settlesWithin, success } from '../../base/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { Guardian } from './guardian.ts';
import type { OutputTail } from './output-tail.ts';

const GATE = 'read -r go <&3 || exit 125; exec 3<&-; exec "$@"';

export interface Launch {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly output: OutputTail;
  readonly limits: AgentLimits;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Launched {
  readonly pid: number;
  /** Settles when the process has ended and what it wrote last has been read, or shortly after it ended. */
  readonly exited: Promise<Exit>;
  /** Settles when the output has been read to its end, which a grandchild that keeps the pipe open can delay. */
  readonly drained: Promise<void>;
  /** Opens the gate: the command itself starts to run. */
  run(): Promise<void>;
  /**
   * Asks the group to end (TERM), and ends it (KILL) after `grace_ms`. Settles when the process has ended, or when even
   * KILL did not end it.
   */
  terminate(grace_ms: number): Promise<void>;
  /** Ends the group at once. */
  kill(): void;
}

/**
 * Starts a command as far as its gate.
 *
 * @returns the process, or `bad_request` naming the program or folder that cannot be used
 */
export async function launch(options: Launch, guardian: Guardian): Promise<Outcome<Launched>> {
  const { exit_drain_ms, kill_wait_ms } = options.limits;
  const program = await findProgram(options);
  if (!program.ok) return program;
  let child: ChildProcess;
  try {
    child = spawn('/bin/sh', ['-c', GATE, 'meshscope-gate', program.value, ...options.command.slice(1)], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: options.env,
    });
  } catch (error) {
    // A command line or environment that is too long, or holds a zero byte, is thrown and not reported by an event.
    return failure('bad_request', `cannot start a process: ${(error as Error).message}`);
  }
  let ended = false;
  const drained = new Promise<void>((resolve) => {
    child.once('close', () => {
      options.output.end('stdout');
      options.output.end('stderr');
      resolve();
    });
  });
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      ended = true;
      if (child.pid !== undefined) guardian.forget(child.pid);
      void settlesWithin(drained, exit_drain_ms).then(() => resolve({ code, signal }));
    });
  });
  readTail(child.stdout, (bytes) => options.output.push('stdout', bytes));
  readTail(child.stderr, (bytes) => options.output.push('stderr', bytes));
  const started = await startOf(child);
  if (!started.ok) return started;
  const pid = started.value;
  if (!ended) await guardian.watch(pid);

  const signalGroup = (signal: NodeJS.Signals): void => {
    // After the leader has been reaped its pid may be another's: then there is nothing that may be signalled.
    if (ended) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The group is empty, or belongs to another user by now (sudo) and cannot be signalled.
    }
  };
  /** Lets go of a process that KILL did not end, so that the agent itself can end. */
  const abandon = (): void => {
    child.unref();
    for (const stream of child.stdio) stream?.destroy();
  };

  return success({
    pid,
    exited,
    drained,
    run: () => openGate(child.stdio[3] as Writable),
    kill: () => signalGroup('SIGKILL'),
    async terminate(grace_ms) {
      signalGroup('SIGTERM');
      if (await settlesWithin(exited, grace_ms)) return;
      signalGroup('SIGKILL');
      if (!(await settlesWithin(exited, kill_wait_ms))) abandon();
    },
  });
}

/** Reads one chunk per turn of the event loop, so that a command that floods its output cannot hold up the agent. */
function readTail(stream: Readable | null, push: (bytes: Buffer) => void): void {
  stream?.on('data', (bytes: Buffer) => {
    push(bytes);
    stream.pause();
    setImmediate(() => stream.resume());
  });
}

function startOf(child: ChildProcess): Promise<Outcome<number>> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(failure('internal_error', `cannot start a process: ${error.message}`)));
    child.once('spawn', () => resolve(success(child.pid ?? 0)));
  });
}

function openGate(gate: Writable): Promise<void> {
  return new Promise((resolve) => {
    // A command that is killed while it waits at the gate closes the pipe; its exit says all there is to say.
    gate.on('error', () => resolve());
    gate.end('go\n', () => resolve());
  });
}

/** Looks for the program as `execvp` would, so that a wrong name is reported before anything is started. */
async function findProgram(options: Launch): Promise<Outcome<string>> {
  const [name = ''] = options.command;
  const isFolder = await stat(options.cwd).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return failure('bad_request', `cwd: no such folder: ${options.cwd}`);
  if (name === '') return failure('bad_request', 'command: the program to run is missing');
  const folders = name.includes('/') ? [''] : (options.env.PATH ?? '').split(':');
  for (const folder of folders) {
    const candidate = folder === '' ? path.resolve(options.cwd, name) : path.join(folder, name);
    if (await isProgram(candidate)) return success(candidate);
  }
  const searched = name.includes('/') ? path.resolve(options.cwd, name) : `PATH (${options.env.PATH ?? 'not set'})`;
  return failure('bad_request', `command: cannot run "${name}": no executable file of that name in ${searched}`);
}

async function isProgram(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  if (found === null || !found.isFile()) return false;
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
