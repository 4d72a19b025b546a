/**
 * One run of an external program, bounded in time and output.
 *
 *  1. The program runs in a session of its own, so that it and whatever it starts can be killed as one group.
 *  2. Its output is read while it runs, so a full pipe cannot stop it, and is kept up to a bound.
 *  3. At the deadline, at an abort, or when standard output exceeds its bound, the group is killed. The run ends only
 *     when the program has been reaped.
 *  4. What the program leaves behind in its group is killed when it ends. A pipe that somebody else still holds open is
 *     closed a second later.
 *
 * Traps: a missing program and most other failures to start are reported by an `error` event, but some are thrown. An
 * environment with RUST_BACKTRACE set makes py-spy end each message with pages of addresses, so it is switched off.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { getSystemErrorMap } from 'node:util';
import type { PySpyLimits } from './limits.ts';
import { TailBuffer } from './tail-buffer.ts';

export interface RunRequest {
  readonly program: string;
  readonly args: readonly string[];
  /** By the clock of `performance.now()`. */
  readonly deadline_ms: number;
  readonly signal?: AbortSignal | undefined;
  /** Whether standard output is wanted; otherwise it goes nowhere. */
  readonly stdout: boolean;
  readonly environment: Readonly<Record<string, string>>;
  readonly limits: PySpyLimits;
}

export type RunOutcome =
  | { readonly kind: 'not_found' }
  | { readonly kind: 'not_started'; readonly error: string }
  /** `code` is null when a signal ended the program. */
  | { readonly kind: 'exited'; readonly code: number | null; readonly stdout: Buffer; readonly stderr: string }
  | { readonly kind: 'timed_out'; readonly allowed_ms: number; readonly stderr: string }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'too_much_output' };

/** Runs the program to its end; never rejects. */
export async function run(request: RunRequest): Promise<RunOutcome> {
  const allowed_ms = Math.floor(request.deadline_ms - performance.now());
  if (request.signal?.aborted) return { kind: 'aborted' };
  if (allowed_ms <= 0) return { kind: 'timed_out', allowed_ms: 0, stderr: '' };
  let child: ChildProcess;
  try {
    child = spawn(request.program, request.args, {
      stdio: ['ignore', request.stdout ? 'pipe' : 'ignore', 'pipe'],
      detached: true,
      env: { ...process.env, RUST_BACKTRACE: '0', ...request.environment },
    });
  } catch (error) {
    return { kind: 'not_started', error: describeSystemError(error) };
  }
  return await finish(child, request, allowed_ms);
}

function finish(child: ChildProcess, request: RunRequest, allowed_ms: number): Promise<RunOutcome> {
  const { stderr_max_bytes, stdout_max_bytes, drain_ms } = request.limits;
  return new Promise((resolve) => {
    const stdout: Buffer[] = [];
    const stderr = new TailBuffer(stderr_max_bytes);
    let stdout_bytes = 0;
    let reason: 'timed_out' | 'aborted' | 'too_much_output' | null = null;
    let drain: NodeJS.Timeout | undefined;

    const stop = (why: NonNullable<typeof reason>) => {
      reason ??= why;
      if (child.exitCode === null && child.signalCode === null) killGroup(child);
    };
    const onAbort = () => stop('aborted');
    const deadline = setTimeout(() => stop('timed_out'), allowed_ms);
    request.signal?.addEventListener('abort', onAbort, { once: true });

    const settle = (outcome: RunOutcome) => {
      clearTimeout(deadline);
      clearTimeout(drain);
      request.signal?.removeEventListener('abort', onAbort);
      resolve(outcome);
    };

    child.stdout?.on('data', (chunk: Buffer) => {
      stdout_bytes += chunk.length;
      if (stdout_bytes <= stdout_max_bytes) stdout.push(chunk);
      else stop('too_much_output');
    });
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    // A pipe that cannot be read has no more to say.
    for (const stream of [child.stdout, child.stderr]) stream?.on('error', () => stream.destroy());

    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      settle(
        error.code === 'ENOENT' ? { kind: 'not_found' } : { kind: 'not_started', error: describeSystemError(error) },
      );
    });
    child.on('exit', () => {
      clearTimeout(deadline);
      killGroup(child);
      drain = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, drain_ms);
    });
    child.on('close', (code) => {
      if (child.pid === undefined) return;
      if (reason === 'timed_out') settle({ kind: reason, allowed_ms, stderr: stderr.toString() });
      else if (reason !== null) settle({ kind: reason });
      else settle({ kind: 'exited', code, stdout: Buffer.concat(stdout), stderr: stderr.toString() });
    });
  });
}

/** The group has the pid of its first process. Right after that one's end the kernel cannot have given it out again. */
function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody is left in it.
  }
}

/** `permission denied (EACCES)`: the operating system's words, without Node's. */
export function describeSystemError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno, code } = error as NodeJS.ErrnoException;
  const [, message] = (errno === undefined ? undefined : getSystemErrorMap().get(errno)) ?? [];
  return message === undefined ? error.message : `${message} (${code})`;
}
