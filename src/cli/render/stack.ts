/** A stack dump for people: the threads that hold the interpreter or run come first, innermost frame on top. */
import type { PySpyOk, PySpyStackTrace } from '../../contract/index.ts';
import { oneLine } from './format.ts';

export function renderStack(dump: PySpyOk): string {
  const head = `pid ${dump.pid}, ${dump.stack_traces.length} ${dump.stack_traces.length === 1 ? 'thread' : 'threads'} (${dump.capture_mode})\n`;
  const threads = [...dump.stack_traces].sort((a, b) => weight(b) - weight(a)).map(renderThread);
  const warnings = dump.warnings.map((warning) => `warning: ${warning}\n`).join('');
  return [head, ...threads, warnings].filter((part) => part !== '').join('\n');
}

function weight(trace: PySpyStackTrace): number {
  return (trace.owns_gil ? 2 : 0) + (trace.active ? 1 : 0);
}

function renderThread(trace: PySpyStackTrace): string {
  const name = trace.thread_name !== null ? oneLine(trace.thread_name) : `0x${trace.thread_id.toString(16)}`;
  const marks = [trace.active ? 'active' : 'idle', ...(trace.owns_gil ? ['holds the GIL'] : [])];
  const frames = trace.frames.map((frame, index) => {
    const file = frame.short_filename ?? frame.filename;
    const place = frame.line > 0 ? `${file}:${frame.line}` : file;
    return `  #${String(index).padStart(2)} ${oneLine(`${frame.name} (${place})`)}\n`;
  });
  return `Thread ${name} [${marks.join(', ')}]\n${frames.join('')}`;
}
