/** Spans around what an agent does for others, and around what it finds by itself. */
import { type Cell, type Outcome, Trace } from '../../base/index.ts';
import type { CallRequest } from '../../contract/index.ts';
import type { Emit } from '../producer/core-rows.ts';

/** What the rows of the agent's own traces say of where they come from. */
export const TARGET = 'meshscope.agent';

/** A call in a span; reading a node has none, since a dashboard does so all the time. */
export function traceCall<T extends Outcome<unknown>>(
  trace: Trace,
  { method, reference }: CallRequest,
  work: () => Promise<T>,
): Promise<T> {
  return method === 'introspect' ? work() : trace.within(method, { reference }, work);
}

/** A look for processes in a span, when it found any: there is one every second. */
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
