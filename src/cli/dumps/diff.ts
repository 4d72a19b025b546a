/**
 * What changed between two dumps: which threads moved and which did not.
 *
 *  1. Threads of one process are matched by their id, else by name: the first of a name with the first, and so on.
 *  2. Frames are compared from the innermost. The first that differ in function, file or line tell where the thread moved.
 *  3. A thread without a partner is gone, or new.
 */
import { byWeight, type ShownFrame, type ShownTrace } from '../render/stack.ts';
import type { StoredDump } from './read.ts';

export type ThreadFate = 'moved' | 'same' | 'gone' | 'new';

export interface ThreadState {
  readonly active: boolean;
  readonly owns_gil: boolean;
  /** Null for a thread without frames. */
  readonly innermost: FramePlace | null;
}

export interface FramePlace {
  readonly name: string;
  readonly filename: string;
  readonly short_filename: string | null;
  readonly line: number;
}

export interface ThreadDiff {
  readonly fate: ThreadFate;
  readonly thread_id: number | bigint;
  readonly thread_name: string | null;
  /** Null for a new thread. */
  readonly before: ThreadState | null;
  /** Null for one that is gone. */
  readonly after: ThreadState | null;
  /** The first frame that differs, by depth; on one side null where its stack has ended. Null unless moved. */
  readonly frame: {
    readonly depth: number;
    readonly before: FramePlace | null;
    readonly after: FramePlace | null;
  } | null;
}

export interface DumpDiff {
  readonly matched_by: 'thread_id' | 'thread_name';
  /** From the first to the second, by the times of storing. */
  readonly apart_ms: number;
  readonly summary: Readonly<Record<ThreadFate, number>>;
  readonly threads: readonly ThreadDiff[];
}

const FATES: readonly ThreadFate[] = ['moved', 'same', 'gone', 'new'];

export function diffDumps(before: StoredDump, after: StoredDump): DumpDiff {
  const isSameProcess = before.result.pid === after.result.pid && before.proc_ref === after.proc_ref;
  const partners = new Map(keyed(after.result.stack_traces, isSameProcess, 'after'));
  const threads: ThreadDiff[] = [];
  for (const [key, trace] of keyed(before.result.stack_traces, isSameProcess, 'before')) {
    const partner = partners.get(key) ?? null;
    partners.delete(key);
    threads.push(diffThread(trace, partner));
  }
  for (const trace of partners.values()) threads.push(diffThread(null, trace));
  threads.sort((a, b) => FATES.indexOf(a.fate) - FATES.indexOf(b.fate));
  const count = (fate: ThreadFate): number => threads.filter((thread) => thread.fate === fate).length;
  return {
    matched_by: isSameProcess ? 'thread_id' : 'thread_name',
    apart_ms: after.stored_at_ms - before.stored_at_ms,
    summary: { moved: count('moved'), same: count('same'), gone: count('gone'), new: count('new') },
    threads,
  };
}

/**
 * Threads with what they are matched by, in the order they are shown in.
 *
 * @param side tells the threads without a name of one dump from those of the other: they have no partner there
 */
function keyed(traces: readonly ShownTrace[], isSameProcess: boolean, side: string): [string, ShownTrace][] {
  const seen = new Map<string, number>();
  return byWeight(traces).map((trace) => {
    const { thread_id, thread_name } = trace;
    const key = isSameProcess
      ? `id ${thread_id}`
      : thread_name === null
        ? `${side} ${thread_id}`
        : `name ${thread_name}`;
    const place = seen.get(key) ?? 0;
    seen.set(key, place + 1);
    return [`${key}/${place}`, trace];
  });
}

function diffThread(before: ShownTrace | null, after: ShownTrace | null): ThreadDiff {
  const known = after ?? before;
  const frame = before === null || after === null ? null : firstDifference(before.frames, after.frames);
  const fate = before === null ? 'new' : after === null ? 'gone' : frame === null ? 'same' : 'moved';
  return {
    fate,
    thread_id: known?.thread_id ?? 0,
    thread_name: known?.thread_name ?? null,
    before: stateOf(before),
    after: stateOf(after),
    frame,
  };
}

function stateOf(trace: ShownTrace | null): ThreadState | null {
  if (trace === null) return null;
  return { active: trace.active, owns_gil: trace.owns_gil, innermost: placeOf(trace.frames[0]) };
}

function firstDifference(before: readonly ShownFrame[], after: readonly ShownFrame[]): ThreadDiff['frame'] {
  for (let depth = 0; depth < Math.max(before.length, after.length); depth += 1) {
    const [was, is] = [placeOf(before[depth]), placeOf(after[depth])];
    if (was?.name === is?.name && was?.filename === is?.filename && was?.line === is?.line) continue;
    return { depth, before: was, after: is };
  }
  return null;
}

function placeOf(frame: ShownFrame | undefined): FramePlace | null {
  if (frame === undefined) return null;
  const { name, filename, short_filename, line } = frame;
  return { name, filename, short_filename, line };
}
