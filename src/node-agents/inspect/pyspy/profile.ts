/**
 * One flame graph with one binary: `py-spy record --format flamegraph`.
 *
 *  1. Each run writes into a private temporary folder, which is gone when the run is over, however it ended (PP-3).
 *  2. The run may take the profile's duration and 15 seconds more (PP-2). It is run once: no retry, no downgrade.
 *  3. Exit code 0 and a file with something in it is success. Each other way it can end is an outcome of its own (PP-6).
 *  4. Threads that wait are not sampled. When all of them waited, py-spy exits 1 and leaves a picture of nothing behind:
 *     the outcome is `no_samples`, and the picture is not shown.
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PySpyProfileOpts, PySpyProfileOutcome } from '../../../contract/index.ts';
import type { ProcessIdentity } from '../../procfs/index.ts';
import { profileArguments } from './arguments.ts';
import { CANCELLED } from './dump.ts';
import type { PySpyLimits } from './limits.ts';
import { isWithoutSamples } from './stderr.ts';
import { describeSystemError, run } from './subprocess.ts';

export interface ProfileRun {
  readonly target: ProcessIdentity;
  readonly opts: PySpyProfileOpts;
  /** By the clock of `performance.now()`, and the whole budget that it is the end of. */
  readonly deadline_ms: number;
  readonly budget_ms: number;
  readonly signal?: AbortSignal | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly limits: PySpyLimits;
}

/** The outcome, or null when there is no such binary. */
export async function profileWith(binary: string, request: ProfileRun): Promise<PySpyProfileOutcome | null> {
  let folder: string;
  try {
    folder = await mkdtemp(join(tmpdir(), 'meshscope-profile-'));
  } catch (error) {
    return { kind: 'temp_dir_failure', error: describeSystemError(error) };
  }
  try {
    return await record(binary, join(folder, 'profile.svg'), request);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }
}

async function record(binary: string, output: string, request: ProfileRun): Promise<PySpyProfileOutcome | null> {
  const { target, opts, deadline_ms, signal, environment, limits } = request;
  const args = profileArguments(target.pid, opts, output);
  const outcome = await run({ program: binary, args, deadline_ms, signal, stdout: false, environment, limits });
  switch (outcome.kind) {
    case 'not_found':
      return null;
    case 'not_started':
      return { kind: 'subprocess_spawn_failure', error: outcome.error };
    case 'timed_out':
      return { kind: 'timed_out', timeout_s: Math.floor(request.budget_ms / 1000), stderr: outcome.stderr };
    case 'aborted':
    case 'too_much_output':
      return { kind: 'exit_failure', exit_code: null, stderr: CANCELLED };
    case 'exited':
      break;
  }
  if (outcome.code === 0) return await readFlameGraph(output, target.pid, binary, limits);
  if (isWithoutSamples(outcome.stderr)) return { kind: 'no_samples', duration_s: opts.duration_s };
  return { kind: 'exit_failure', exit_code: outcome.code, stderr: outcome.stderr };
}

async function readFlameGraph(
  path: string,
  pid: number,
  binary: string,
  { svg_max_bytes: limit_bytes }: PySpyLimits,
): Promise<PySpyProfileOutcome> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size === 0) return { kind: 'output_empty', pid, binary };
      if (size > limit_bytes) return { kind: 'output_too_large', size_bytes: size, limit_bytes };
      return { kind: 'ok', svg: await file.readFile('utf8') };
    } finally {
      await file.close();
    }
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isMissing) return { kind: 'output_missing', pid, binary };
    return { kind: 'output_read_failure', error: describeSystemError(error) };
  }
}
