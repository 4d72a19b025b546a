/**
 * A stack dump for people, live or stored: the threads that hold the interpreter or run come first, innermost frame on
 * top, and the values of variables below their frame where they were asked for.
 */
import { formatCount, oneLine } from './format.ts';

/** A dump as far as it is shown. One out of the store may have ids beyond what a number holds. */
export interface ShownDump {
  readonly pid: number;
  readonly binary: string;
  readonly capture_mode: string;
  readonly stack_traces: readonly ShownTrace[];
  readonly warnings: readonly string[];
}

export interface ShownTrace {
  readonly pid: number;
  readonly thread_id: number | bigint;
  readonly thread_name: string | null;
  readonly os_thread_id: number | bigint | null;
  readonly active: boolean;
  readonly owns_gil: boolean;
  readonly frames: readonly ShownFrame[];
}

export interface ShownFrame {
  readonly name: string;
  readonly filename: string;
  readonly module: string | null;
  readonly short_filename: string | null;
  readonly line: number;
  readonly locals: readonly ShownLocal[] | null;
  readonly is_entry: boolean;
}

export interface ShownLocal {
  readonly name: string;
  readonly addr: number | bigint;
  readonly arg: boolean;
  readonly repr: string | null;
}

export function renderStack(dump: ShownDump): string {
  const head = `pid ${dump.pid}, ${formatCount(dump.stack_traces.length, 'thread')} (${dump.capture_mode})\n`;
  const threads = byWeight(dump.stack_traces).map(renderThread);
  const warnings = dump.warnings.map((warning) => `warning: ${oneLine(warning)}\n`).join('');
  return [head, ...threads, warnings].filter((part) => part !== '').join('\n');
}

/** In the order they are shown in. By id among equals: the store does not keep the order that py-spy gave. */
export function byWeight<T extends ShownTrace>(traces: readonly T[]): T[] {
  return [...traces].sort((a, b) => weight(b) - weight(a) || compare(a.thread_id, b.thread_id));
}

function weight(trace: ShownTrace): number {
  return (trace.owns_gil ? 2 : 0) + (trace.active ? 1 : 0);
}

function compare(a: number | bigint, b: number | bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function renderThread(trace: ShownTrace): string {
  const frames = trace.frames.map(
    (frame, index) => `  #${String(index).padStart(2)} ${placeText(frame)}\n${renderLocals(frame.locals ?? [])}`,
  );
  return `Thread ${threadName(trace)} [${threadMarks(trace)}]\n${frames.join('')}`;
}

/** Arguments first, as a function is read. */
function renderLocals(locals: readonly ShownLocal[]): string {
  return [...locals]
    .sort((a, b) => Number(b.arg) - Number(a.arg) || (a.name < b.name ? -1 : 1))
    .map(({ name, arg, repr }) => `        ${oneLine(name)}${arg ? ' (argument)' : ''} = ${oneLine(repr ?? '?')}\n`)
    .join('');
}

export function threadName({ thread_name, thread_id }: Pick<ShownTrace, 'thread_name' | 'thread_id'>): string {
  return thread_name !== null ? oneLine(thread_name) : `0x${thread_id.toString(16)}`;
}

export function threadMarks({ active, owns_gil }: Pick<ShownTrace, 'active' | 'owns_gil'>): string {
  return [active ? 'active' : 'idle', ...(owns_gil ? ['holds the GIL'] : [])].join(', ');
}

/** `function (file:line)`. */
export function placeText(frame: Pick<ShownFrame, 'name' | 'filename' | 'short_filename' | 'line'>): string {
  const file = frame.short_filename ?? frame.filename;
  return oneLine(`${frame.name} (${frame.line > 0 ? `${file}:${frame.line}` : file})`);
}
