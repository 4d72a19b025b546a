/**
 * Whether the pid still belongs to the intended process (PS-1, PP-4). This is checked before and after every run, so that
 * the stack of another process is never shown.
 */
import { isAlive, type ProcessIdentity, readProcess } from '../../procfs/index.ts';

export type TargetState =
  | { readonly kind: 'running' }
  /** Stopped by a signal: it can be looked at only without pausing it. */
  | { readonly kind: 'stopped' }
  /** `is_replaced`: another process has its pid. */
  | { readonly kind: 'gone'; readonly is_replaced: boolean; readonly reason: string };

export function lookAtTarget({ pid, start_ticks }: ProcessIdentity): TargetState {
  const stat = readProcess(pid);
  if (stat === null) return { kind: 'gone', is_replaced: false, reason: `process ${pid} has ended` };
  if (stat.start_ticks !== start_ticks) {
    return {
      kind: 'gone',
      is_replaced: true,
      reason: `process ${pid} has ended, and its pid belongs to another process now, which is none of this proc's`,
    };
  }
  if (!isAlive(stat)) {
    return {
      kind: 'gone',
      is_replaced: false,
      reason: `process ${pid} has ended and has no stack any more (zombie: its parent, process ${stat.ppid}, has not collected it)`,
    };
  }
  // State `t` is something else: a tracer holds it, which for another py-spy lasts milliseconds.
  return stat.state === 'T' ? { kind: 'stopped' } : { kind: 'running' };
}
