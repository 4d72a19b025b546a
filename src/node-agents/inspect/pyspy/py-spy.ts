/**
 * Stack dumps and profiles of the processes of this host, taken by the real py-spy as a subprocess.
 *
 *  1. The agent names the process by pid and start time, out of its own registry and never out of a request. Both are
 *     checked before and after every run, so that a pid which was given out again exposes nobody (PS-1, PP-4).
 *  2. Dumps of one process take turns, since a process has one tracer at a time; waiting counts against the deadline.
 *     How many run and wait in all is bounded, for dumps and for profiles apart (PP-5). A profile does not keep dumps of
 *     its process waiting: it holds the process only for the length of a sample, and a dump that meets one is repeated.
 *  3. Nothing here blocks the event loop, and nothing rejects: every way it can end is a result.
 *  4. An abort, or `close`, kills the subprocess and waits for its end.
 */
import type { PySpyProfileOpts, PySpyProfileOutcome, PySpyResult } from '../../../contract/index.ts';
import type { ProcessIdentity } from '../../procfs/index.ts';
import { TurnQueue } from './admission.ts';
import { HTTP_DUMP_OPTS, type PySpyDumpOpts } from './arguments.ts';
import { candidates, firstPresent } from './candidates.ts';
import { CANCELLED, type DumpOutcome, dumpWith, timedOutText } from './dump.ts';
import { explainFailure } from './explain-failure.ts';
import { NativeAllSupport } from './native-all-support.ts';
import { type PySpyOptions, type ResolvedPySpyOptions, resolveOptions } from './options.ts';
import { profileWith } from './profile.ts';
import { lookAtTarget } from './target.ts';

export interface PySpy {
  /**
   * The stacks of all threads of a process. Never rejects: a missing binary is `BinaryNotFound`, everything else that
   * goes wrong is `Failed` (PS-2). `opts` defaults to what a dump over HTTP is taken with.
   */
  readonly dump: (target: ProcessIdentity, signal?: AbortSignal, opts?: PySpyDumpOpts) => Promise<PySpyResult>;
  /**
   * The same as the JSON text of the result. A dump of many megabytes is then never a value in this thread, where
   * making one and writing it again would hold up the event loop.
   */
  readonly dumpJson: (target: ProcessIdentity, signal?: AbortSignal, opts?: PySpyDumpOpts) => Promise<string>;
  /** A flame graph of a process. `opts` are valid (PP-1). Never rejects. */
  readonly profile: (
    target: ProcessIdentity,
    opts: PySpyProfileOpts,
    signal?: AbortSignal,
  ) => Promise<PySpyProfileOutcome>;
  /** Ends what runs and waits, and refuses what comes later. Resolves when every subprocess has been reaped. */
  readonly close: () => Promise<void>;
}

/** Throws a RangeError when an option is out of range. */
export function createPySpy(options: PySpyOptions = {}): PySpy {
  const settings = resolveOptions(options);
  const { limits } = settings;
  const dumps = new TurnQueue(limits.dumps_running_max, limits.dumps_waiting_max);
  const profiles = new TurnQueue(limits.profiles_running_max, limits.profiles_waiting_max);
  const support = new NativeAllSupport(limits);
  const closing = new AbortController();
  const underway = new Set<Promise<unknown>>();

  const tracked = <T>(job: Promise<T>): Promise<T> => {
    underway.add(job);
    return job.finally(() => underway.delete(job));
  };
  const endedBy = (signal: AbortSignal | undefined) =>
    signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
  const takeDump = (target: ProcessIdentity, signal: AbortSignal | undefined, opts: PySpyDumpOpts) =>
    tracked(dumpInTurn(dumps, settings, support, target, opts, endedBy(signal)));

  return {
    dump: async (target, signal, opts = HTTP_DUMP_OPTS) => toResult(target, await takeDump(target, signal, opts)),
    dumpJson: async (target, signal, opts = HTTP_DUMP_OPTS) => toJson(target, await takeDump(target, signal, opts)),
    profile: (target, opts, signal) => tracked(profileInTurn(profiles, settings, target, opts, endedBy(signal))),
    close: async () => {
      closing.abort();
      await Promise.allSettled(underway);
    },
  };
}

async function dumpInTurn(
  turns: TurnQueue,
  settings: ResolvedPySpyOptions,
  support: NativeAllSupport,
  target: ProcessIdentity,
  opts: PySpyDumpOpts,
  signal: AbortSignal,
): Promise<DumpOutcome> {
  const pyspy_bin = settings.pyspy_bin();
  const { environment, limits } = settings;
  const { dump_timeout_ms: budget_ms } = limits;
  const deadline_ms = performance.now() + budget_ms;
  const failed = (stderr: string): DumpOutcome => ({
    kind: 'failed',
    binary: candidates(pyspy_bin)[0]?.program ?? '',
    exit_code: null,
    stderr,
  });
  const turn = await turns.enter(target.pid, deadline_ms, signal);
  if (turn.kind === 'full') return failed(tooMany('stack dumps', turn.running, turn.waiting));
  if (turn.kind === 'timed_out') return failed(`${timedOutText(budget_ms)}, waiting for other dumps to end`);
  if (turn.kind === 'aborted') return failed(CANCELLED);
  try {
    const before = lookAtTarget(target);
    if (before.kind === 'gone') return failed(before.reason);
    const request = { target, opts, deadline_ms, budget_ms, signal, environment, support, limits };
    const tried = await firstPresent(pyspy_bin, (program) => dumpWith(program, request));
    if ('searched' in tried) return { kind: 'binary_not_found', searched: tried.searched };
    return verified(tried.found, target);
  } finally {
    turn.release();
  }
}

/** What a run said, in the light of what became of the process meanwhile. */
function verified(outcome: Exclude<DumpOutcome, { kind: 'binary_not_found' }>, target: ProcessIdentity): DumpOutcome {
  if (outcome.kind === 'ok') {
    const after = lookAtTarget(target);
    if (after.kind !== 'gone') return outcome;
    return { kind: 'failed', binary: outcome.binary, exit_code: null, stderr: after.reason };
  }
  // Without an exit code the text is our own, and says it all.
  return outcome.exit_code === null ? outcome : { ...outcome, stderr: explainFailure(outcome.stderr, target) };
}

async function profileInTurn(
  turns: TurnQueue,
  settings: ResolvedPySpyOptions,
  target: ProcessIdentity,
  opts: PySpyProfileOpts,
  signal: AbortSignal,
): Promise<PySpyProfileOutcome> {
  const { environment, limits } = settings;
  const { profile_margin_ms, profile_wait_max_ms } = limits;
  const started_ms = performance.now();
  const budget_ms = opts.duration_s * 1000 + profile_margin_ms;
  const failed = (stderr: string): PySpyProfileOutcome => ({ kind: 'exit_failure', exit_code: null, stderr });
  const wait_ms = Math.min(profile_wait_max_ms, profile_margin_ms);
  // A key of its own: profiles of one process share it, at the price of a few samples.
  const turn = await turns.enter({}, started_ms + wait_ms, signal);
  if (turn.kind === 'full') return failed(tooMany('profiles', turn.running, turn.waiting));
  if (turn.kind === 'timed_out')
    return failed(`no profile of this host ended within ${wait_ms / 1000}s; try again later`);
  if (turn.kind === 'aborted') return failed(CANCELLED);
  try {
    const before = lookAtTarget(target);
    if (before.kind === 'gone') return failed(before.reason);
    const request = { target, opts, deadline_ms: started_ms + budget_ms, budget_ms, signal, environment, limits };
    const tried = await firstPresent(settings.pyspy_bin(), (program) => profileWith(program, request));
    if ('searched' in tried) return { kind: 'binary_not_found', searched: tried.searched };
    return verifiedProfile(tried.found, target);
  } finally {
    turn.release();
  }
}

/** A process that ended while it was sampled leaves a good profile behind; one that was replaced leaves none. */
function verifiedProfile(outcome: PySpyProfileOutcome, target: ProcessIdentity): PySpyProfileOutcome {
  if (outcome.kind === 'exit_failure' && outcome.exit_code !== null) {
    return { ...outcome, stderr: explainFailure(outcome.stderr, target) };
  }
  const after = lookAtTarget(target);
  if (outcome.kind !== 'ok' || after.kind !== 'gone' || !after.is_replaced) return outcome;
  return { kind: 'exit_failure', exit_code: null, stderr: after.reason };
}

function tooMany(what: string, running: number, waiting: number): string {
  return `too many ${what} at once on this host (${running} running, ${waiting} waiting); try again in a few seconds`;
}

function toResult({ pid }: ProcessIdentity, outcome: DumpOutcome): PySpyResult {
  if (outcome.kind === 'binary_not_found') return { BinaryNotFound: { searched: outcome.searched } };
  if (outcome.kind === 'failed') {
    const { binary, exit_code, stderr } = outcome;
    return { Failed: { pid, binary, exit_code, stderr } };
  }
  const { binary, capture_mode, traces, warnings } = outcome;
  return { Ok: { pid, binary, capture_mode, stack_traces: traces.toValue(), warnings: [...warnings] } };
}

function toJson(target: ProcessIdentity, outcome: DumpOutcome): string {
  if (outcome.kind !== 'ok') return JSON.stringify(toResult(target, outcome));
  const { binary, capture_mode, traces, warnings } = outcome;
  const head = JSON.stringify({ pid: target.pid, binary, capture_mode }).slice(0, -1);
  return `{"Ok":${head},"stack_traces":${traces.toJson()},"warnings":${JSON.stringify(warnings)}}}`;
}
