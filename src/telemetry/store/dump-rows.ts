/** A captured dump as rows of the four py-spy tables. Depth 0 is the innermost frame. */
import type { Row, TableRows } from '../../base/index.ts';
import type { StoreDumpRequest } from '../../contract/index.ts';

/**
 * @param timestamp_us time of storing, microseconds since the epoch: py-spy's own output carries no time of capture
 */
export function dumpRows(request: StoreDumpRequest, timestamp_us: number): TableRows {
  const { dump_id, proc_ref, result } = request;
  const traces: Row[] = [];
  const frames: Row[] = [];
  const locals: Row[] = [];
  for (const trace of result.stack_traces) {
    const { thread_id } = trace;
    traces.push([dump_id, trace.pid, thread_id, trace.thread_name, trace.os_thread_id, trace.active, trace.owns_gil]);
    for (const [depth, frame] of trace.frames.entries()) {
      frames.push([
        dump_id,
        thread_id,
        depth,
        frame.name,
        frame.filename,
        frame.module,
        frame.short_filename,
        frame.line,
        frame.is_entry,
      ]);
      for (const local of frame.locals ?? []) {
        locals.push([dump_id, thread_id, depth, local.name, local.addr, local.arg, local.repr]);
      }
    }
  }
  const warnings_json = JSON.stringify(result.warnings);
  return {
    pyspy_dumps: [[dump_id, timestamp_us, result.pid, result.binary, proc_ref, result.capture_mode, warnings_json]],
    pyspy_stack_traces: traces,
    pyspy_frames: frames,
    pyspy_local_variables: locals,
  };
}
