/** Spans around calls and scans. */
import { type Cell, type Outcome, Trace } from '../../base/index.ts';
import type { CallRequest } from '../../contract/index.ts';
import type { Emit } from '../producer/core-rows.ts';

/** The source of the agent's own traces, as their rows name it. */
export const TARGET = 'meshscope.agent';

/** Runs a call in a span. Reading a node gets none, since a dashboard reads nodes all the time. */
export function traceCall<T extends Outcome<unknown>>(
  trace: Trace,
  { method, reference }: CallRequest,
  work: () => Promise<T>,
): Promise<T> {
  return method === 'introspect' ? work() : trace.within(method, { reference }, work);
}

/** Runs a scan for processes. It gets a span only if it found any, since there is a scan every second. */
export async function traceScan(
  process_id: string,
  emit: Emit,
  scan: () => Promise<void>,
  found: () => number,
): Promise<void> {
  const before = found();
  const rows: (readonly [string, readonly Cell[]])[] = [];
  const span = new Trace({ process_id, target: TARGET, add: (table, row) => rows.push([table, row]) }).span(
    'discovery.scan',
  );
  await scan();
  span.close();
  if (found() === before) return;
  for (const [table, row] of rows) emit(table, row);
}
