/** Stacks and profiles of the process behind a proc. The pid is the one that the host knows, never one from a request (PS-1). */
import { type Outcome, success } from '../../base/index.ts';
import type { PySpyProfileOpts, PySpyProfileOutcome } from '../../contract/index.ts';
import { HTTP_DUMP_OPTS, type PySpy } from '../inspect/pyspy/index.ts';
import type { ProcessIdentity } from '../procfs/index.ts';
import type { StacksRequest } from './hosted-proc.ts';

/** A process to look at, or why there is none. */
export type StackTarget = ProcessIdentity | { readonly pid: number; readonly missing: string };

export async function stacksOf(
  pyspy: PySpy,
  target: StackTarget,
  { locals }: StacksRequest,
  signal: AbortSignal,
): Promise<Outcome<string>> {
  if ('missing' in target) {
    const Failed = { pid: target.pid, binary: '', exit_code: null, stderr: noProcess(target.missing) };
    return success(JSON.stringify({ Failed }));
  }
  return success(await pyspy.dumpJson(target, signal, { ...HTTP_DUMP_OPTS, locals }));
}

export async function profileOf(
  pyspy: PySpy,
  target: StackTarget,
  opts: PySpyProfileOpts,
  signal: AbortSignal,
): Promise<Outcome<PySpyProfileOutcome>> {
  if ('missing' in target) {
    return success({ kind: 'exit_failure', exit_code: null, stderr: noProcess(target.missing) });
  }
  return success(await pyspy.profile(target, opts, signal));
}

function noProcess(why: string): string {
  return `no process to look at: ${why}`;
}
