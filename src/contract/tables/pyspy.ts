/** Stack dumps that were stored: a dump has threads, a thread frames, a frame the locals, if they were asked for. */
import { type Table, type TableHead, table } from './definition.ts';

const byDump = (row: string, time_column: string | null = null): TableHead => ({ row, rows_go: 'dump', time_column });

const DUMP_ID = 'dump_id text — the dump (pyspy_dumps.dump_id)';
const THREAD_ID = 'thread_id u64 — the thread (pyspy_stack_traces.thread_id)';

export const PYSPY_TABLES: readonly Table[] = [
  table(
    'pyspy_dumps',
    'pyspy',
    byDump('dump that succeeded', 'timestamp_us'),
    `
    dump_id text — a UUID
    timestamp_us i64 — when it was stored
    pid i32 — the process
    binary text — the py-spy that took it; a reserved word: write "binary"
    proc_ref text — the proc, as it was asked for
    capture_mode text — python_only, native or native_all: whether native frames and threads are in it
    warnings_json text — array of texts: what is missing, or was cut
    `,
  ),
  table(
    'pyspy_stack_traces',
    'pyspy',
    byDump('thread of a dump'),
    `
    ${DUMP_ID}
    pid i32 — the process
    thread_id u64 — the thread, as Python names it
    thread_name text? — its name
    os_thread_id u64? — the thread, as the operating system names it
    active flag — whether it ran
    owns_gil flag — whether it held the interpreter’s lock
    `,
  ),
  table(
    'pyspy_frames',
    'pyspy',
    byDump('frame of a thread'),
    `
    ${DUMP_ID}
    ${THREAD_ID}
    frame_depth i32 — 0 is the innermost
    name text — the function
    filename text — the file of its code
    module text? — the library of a native frame
    short_filename text? — the file, shortened
    line i32 — line; 0 when unknown
    is_entry flag — whether Python was entered here
    `,
  ),
  table(
    'pyspy_local_variables',
    'pyspy',
    byDump('local variable of a frame; there are none unless the dump asked for locals'),
    `
    ${DUMP_ID}
    ${THREAD_ID}
    frame_depth i32 — the frame (pyspy_frames.frame_depth)
    name text — the variable
    addr u64 — where its value is
    arg flag — whether it is an argument
    repr text? — its value, shortened
    `,
  ),
];
