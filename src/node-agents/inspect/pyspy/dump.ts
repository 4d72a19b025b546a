/**
 * One stack dump with one binary: `py-spy dump --json`, run until it succeeds or may not be run again.
 *
 *  1. One deadline covers everything (PS-6).
 *  2. A nonblocking dump is attempted three times, 100 ms apart (PS-10), others once.
 *  3. A binary that refuses `--native-all` (exit code 2, the flag named on standard error) is run again at once without
 *     it, and the result carries a warning (PS-11). The refusal is remembered, so that the next dump of this binary
 *     starts without the flag; the warning stays.
 *  4. Only one tracer can hold a thread. When another one held the process at the wrong moment, a profile that samples
 *     it for instance, the run is repeated after a short random pause, at most 32 times.
 *  5. "No such file" is not a failure of the dump: it makes the caller try the next binary.
 */
import { sleep } from '../../../base/index.ts';
import type { PySpyCaptureMode } from '../../../contract/index.ts';
import type { ProcessIdentity } from '../../procfs/index.ts';
import { captureMode, dumpArguments, type PySpyDumpOpts } from './arguments.ts';
import type { PySpyLimits } from './limits.ts';
import type { NativeAllSupport } from './native-all-support.ts';
import { parseWithoutBlocking, type Traces } from './parse-off-thread.ts';
import { isNativeAllRefusal, isSuspendFailure } from './stderr.ts';
import { run } from './subprocess.ts';
import { lookAtTarget } from './target.ts';

export const DOWNGRADE_WARNING = '--native-all unsupported by this py-spy; fell back to --native';
export const CANCELLED = 'py-spy was stopped: the request was cancelled';

export type DumpOutcome =
  | {
      readonly kind: 'ok';
      readonly binary: string;
      readonly capture_mode: PySpyCaptureMode;
      readonly traces: Traces;
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'binary_not_found'; readonly searched: string[] }
  | { readonly kind: 'failed'; readonly binary: string; readonly exit_code: number | null; readonly stderr: string };

type Attempt = Exclude<DumpOutcome, { kind: 'binary_not_found' }>;

export interface DumpRun {
  readonly target: ProcessIdentity;
  readonly opts: PySpyDumpOpts;
  /** By the clock of `performance.now()`, and the whole budget that it is the end of. */
  readonly deadline_ms: number;
  readonly budget_ms: number;
  readonly signal?: AbortSignal | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly support: NativeAllSupport;
  readonly limits: PySpyLimits;
}

/** The dump, or null when there is no such binary. */
export async function dumpWith(binary: string, request: DumpRun): Promise<Attempt | null> {
  const { support, signal, limits } = request;
  let opts = request.opts;
  let collisions = 0;
  let isDowngraded = opts.native_all && (await support.isKnownToLack(binary));
  if (isDowngraded) opts = { ...opts, native_all: false };
  const attempts = opts.nonblocking ? limits.nonblocking_attempts : 1;

  for (let attempt = 1; ; ) {
    const result = await runOnce(binary, opts, request);
    if (result === null) return null;
    if (result.kind === 'ok')
      return isDowngraded ? { ...result, warnings: [DOWNGRADE_WARNING, ...result.warnings] } : result;
    if (signal?.aborted) return result;
    if (opts.native_all && isNativeAllRefusal(result.exit_code, result.stderr)) {
      await support.remember(binary);
      opts = { ...opts, native_all: false };
      isDowngraded = true;
    } else if (isCollision(result, request) && collisions < limits.collision_retries) {
      collisions += 1;
      await pause(collisionPauseMs(limits), request);
    } else if (attempt < attempts) {
      attempt += 1;
      await pause(limits.nonblocking_pause_ms, request);
    } else {
      return result;
    }
  }
}

async function runOnce(binary: string, opts: PySpyDumpOpts, request: DumpRun): Promise<Attempt | null> {
  const { deadline_ms, signal, environment, target, limits } = request;
  const failed = (stderr: string, exit_code: number | null = null): Attempt => ({
    kind: 'failed',
    binary,
    exit_code,
    stderr,
  });
  const args = dumpArguments(target.pid, opts);
  const outcome = await run({ program: binary, args, deadline_ms, signal, stdout: true, environment, limits });
  switch (outcome.kind) {
    case 'not_found':
      return null;
    case 'not_started':
      return failed(`failed to execute: ${outcome.error}`);
    case 'timed_out':
      return failed(timedOutText(outcome.allowed_ms > 0 ? outcome.allowed_ms : request.budget_ms));
    case 'aborted':
      return failed(CANCELLED);
    case 'too_much_output':
      return failed(`py-spy wrote more than ${limits.stdout_max_bytes} bytes, the most that is read of one dump`);
    case 'exited':
      break;
  }
  if (outcome.code !== 0) return failed(outcome.stderr, outcome.code);
  const task = { bytes: outcome.stdout, locals: opts.locals === true, limits };
  const parsed = await parseWithoutBlocking(task, deadline_ms, signal);
  switch (parsed.kind) {
    case 'unparsable':
      return failed(`failed to parse py-spy JSON output: ${parsed.reason}`);
    case 'timed_out':
      return failed(timedOutText(request.budget_ms));
    case 'aborted':
      return failed(CANCELLED);
    case 'parsed':
      return { kind: 'ok', binary, capture_mode: captureMode(opts), traces: parsed.traces, warnings: parsed.warnings };
  }
}

export function timedOutText(allowed_ms: number): string {
  return `py-spy subprocess timed out after ${Math.floor(allowed_ms / 1000)}s`;
}

/** A stopped process refuses every tracer alike, however often. */
function isCollision(result: Attempt, { target, opts }: DumpRun): boolean {
  if (result.kind !== 'failed' || opts.nonblocking || !isSuspendFailure(result.stderr)) return false;
  return lookAtTarget(target).kind === 'running';
}

function collisionPauseMs({ collision_pause_min_ms: min, collision_pause_max_ms: max }: PySpyLimits): number {
  return min + Math.random() * (max - min);
}

async function pause(duration_ms: number, { deadline_ms, signal }: DumpRun): Promise<void> {
  const left_ms = Math.max(0, Math.min(duration_ms, deadline_ms - performance.now()));
  // An abort ends the pause; the next run then finds it out.
  await sleep(left_ms, signal);
}
