/**
 * Parses output of any size without holding up the event loop. What is small is parsed at once; what is large goes to a
 * worker thread, its bytes moved, not copied, and comes back as JSON text. A worker lives for one dump: large ones are
 * rare, and so nothing of them stays in memory.
 */
import { Worker } from 'node:worker_threads';
import type { PySpyStackTrace } from '../../../contract/index.ts';
import type { PySpyLimits } from './limits.ts';
import { boundLocals } from './locals.ts';
import { parseOutput } from './parse-output.ts';

/** Traces in the form they are at hand in; the other form is made on demand, in the time that takes. */
export interface Traces {
  /** Whether they came from a worker: then the text is at hand, else the value. */
  readonly is_large: boolean;
  readonly toValue: () => PySpyStackTrace[];
  /** Canonical: the fields of the contract, in its order, and no others. */
  readonly toJson: () => string;
}

export type ParsedTraces =
  | { readonly kind: 'parsed'; readonly traces: Traces; readonly warnings: readonly string[] }
  | { readonly kind: 'unparsable'; readonly reason: string }
  | { readonly kind: 'timed_out' }
  | { readonly kind: 'aborted' };

/** What a worker is given, the bytes moved to it. */
export interface WorkerTask {
  readonly bytes: Uint8Array;
  /** Whether locals were asked for. */
  readonly locals: boolean;
  readonly limits: PySpyLimits;
}

/** What a worker answers. */
export type WorkerAnswer =
  | { readonly json: string; readonly warnings: readonly string[] }
  | { readonly reason: string };

/** Parses on this thread. */
export function answerOf({ bytes, locals, limits }: WorkerTask): WorkerAnswer {
  const parsed = parseOutput(bytes);
  if (!parsed.ok) return { reason: parsed.reason };
  const { traces, warnings } = boundLocals(parsed.traces, locals, limits);
  return { json: JSON.stringify(traces), warnings };
}

/**
 * Parses until `deadline_ms` by the clock of `performance.now()`. Never rejects.
 */
export async function parseWithoutBlocking(
  task: WorkerTask,
  deadline_ms: number,
  signal?: AbortSignal,
): Promise<ParsedTraces> {
  if (signal?.aborted) return { kind: 'aborted' };
  const { bytes, locals, limits } = task;
  if (bytes.length > limits.parse_inline_max_bytes) return await parseInWorker(task, deadline_ms, signal);
  const parsed = parseOutput(bytes);
  if (!parsed.ok) return { kind: 'unparsable', reason: parsed.reason };
  const { traces, warnings } = boundLocals(parsed.traces, locals, limits);
  return {
    kind: 'parsed',
    traces: { is_large: false, toValue: () => traces, toJson: () => JSON.stringify(traces) },
    warnings,
  };
}

function parseInWorker(task: WorkerTask, deadline_ms: number, signal?: AbortSignal): Promise<ParsedTraces> {
  const { bytes, locals, limits } = task;
  // The published package holds this file and the worker's as `.js`.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const own = ownsItsMemory(bytes) ? bytes : new Uint8Array(bytes);
  const worker = new Worker(new URL(`./parse-worker.${extension}`, import.meta.url), {
    workerData: { bytes: own, locals, limits } satisfies WorkerTask,
    transferList: [own.buffer as ArrayBuffer],
    resourceLimits: { maxOldGenerationSizeMb: limits.parse_heap_max_mb },
    env: {},
    execArgv: [],
  });
  return new Promise((resolve) => {
    const settle = (parsed: ParsedTraces) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      worker.removeAllListeners();
      // Ending a worker may report one more error, which no one needs.
      worker.on('error', () => undefined);
      void worker.terminate();
      resolve(parsed);
    };
    const onAbort = () => settle({ kind: 'aborted' });
    const timer = setTimeout(() => settle({ kind: 'timed_out' }), Math.max(1, deadline_ms - performance.now()));
    signal?.addEventListener('abort', onAbort, { once: true });
    worker.on('message', (answer: WorkerAnswer) => settle(tracesOf(answer)));
    worker.on('error', (error) => settle({ kind: 'unparsable', reason: `the parser failed: ${String(error)}` }));
    worker.on('exit', (code) => settle({ kind: 'unparsable', reason: `the parser ended with code ${code}` }));
  });
}

function tracesOf(answer: WorkerAnswer): ParsedTraces {
  if ('reason' in answer) return { kind: 'unparsable', reason: answer.reason };
  const { json, warnings } = answer;
  // Our own worker has checked it against the contract.
  return {
    kind: 'parsed',
    traces: { is_large: true, toValue: () => JSON.parse(json) as PySpyStackTrace[], toJson: () => json },
    warnings,
  };
}

/** Only memory that nobody else looks into can be moved to another thread; small buffers share theirs. */
function ownsItsMemory(bytes: Uint8Array): boolean {
  return bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength;
}
