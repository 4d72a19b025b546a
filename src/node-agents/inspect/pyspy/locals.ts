/**
 * Local variables of a dump. Their values may be secrets and may be many, so:
 *
 *  1. There are none unless they were asked for, whatever py-spy gave.
 *  2. What was asked for is bounded in number and in the length of each value. Innermost frames come first, thread by
 *     thread, in the order of py-spy.
 *  3. Nothing is left out in silence: a warning in the dump reports each kind of cut, with its numbers.
 */
import type { PySpyLocalVariable, PySpyStackTrace } from '../../../contract/index.ts';
import { PYSPY_LIMITS, type PySpyLimits } from './limits.ts';

export interface BoundedTraces {
  readonly traces: PySpyStackTrace[];
  readonly warnings: readonly string[];
}

export type LocalsBounds = Pick<PySpyLimits, 'locals_max' | 'local_repr_max_chars'>;

export const UNASKED_WARNING = 'locals: py-spy gave some though none were asked for; they were left out';

/** @param isAsked whether whoever asked for the dump asked for locals */
export function boundLocals(
  traces: readonly PySpyStackTrace[],
  isAsked: boolean,
  { locals_max, local_repr_max_chars }: LocalsBounds = PYSPY_LIMITS,
): BoundedTraces {
  let [seen, left, cut] = [0, locals_max, 0];
  const shorten = (local: PySpyLocalVariable): PySpyLocalVariable => {
    if (local.repr === null || local.repr.length <= local_repr_max_chars) return local;
    cut += 1;
    return { ...local, repr: `${local.repr.slice(0, local_repr_max_chars - 1)}…` };
  };
  const bound = (locals: PySpyLocalVariable[] | null): PySpyLocalVariable[] | null => {
    if (locals === null) return null;
    seen += locals.length;
    if (!isAsked) return null;
    const kept = locals.slice(0, left);
    left -= kept.length;
    return kept.map(shorten);
  };
  const bounded = traces.map((trace) => ({
    ...trace,
    frames: trace.frames.map((frame) => ({ ...frame, locals: bound(frame.locals) })),
  }));
  const warnings: string[] = [];
  if (!isAsked && seen > 0) warnings.push(UNASKED_WARNING);
  if (isAsked && seen > locals_max) {
    warnings.push(`locals: ${locals_max} of ${seen} are shown, the most of one dump; the others were left out`);
  }
  if (cut > 0) warnings.push(`locals: ${cut} values were cut to ${local_repr_max_chars} characters`);
  return { traces: bounded, warnings };
}
