/** What the parts of the system did: spans, and what they logged. */
import { type Table, type TableHead, table } from './definition.ts';

const byAge = (row: string): TableHead => ({ row, rows_go: 'age', time_column: 'timestamp_us' });

export const TRACE_TABLES: readonly Table[] = [
  table(
    'spans',
    'trace',
    byAge('span that was opened'),
    `
    process_id text — the process that it is in; with id it names the span
    id u64 — span id within its process
    name text — what is done
    target text — the part of the program that does it
    level text — TRACE, DEBUG, INFO, WARN or ERROR
    fields_json text — object of the span’s fields
    timestamp_us i64 — when it was opened
    parent_id u64? — the span around it, of the same process
    thread_name text — may be empty
    file text? — source file
    line u32? — line in it
    `,
  ),
  table(
    'span_events',
    'trace',
    byAge('span entered, left or closed; one that waits in between is entered again and again'),
    `
    process_id text — the process of the span
    id u64 — spans.id of that process; the span itself may be filtered out, or gone by age
    timestamp_us i64 — when it happened
    event_type text — enter, exit or close
    `,
  ),
  table(
    'events',
    'trace',
    byAge('log event'),
    `
    name text — name of the event, or the place that told it
    target text — the part of the program that told it
    level text — TRACE, DEBUG, INFO, WARN or ERROR
    fields_json text — object of its fields; the text is in message
    timestamp_us i64 — when it was told
    parent_span u64? — the span that it was told in
    thread_id text — thread of the operating system
    thread_name text — may be empty
    module_path text? — module
    file text? — source file
    line u32? — line in it
    `,
  ),
];
