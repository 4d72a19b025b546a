/**
 * Stored dumps, read by SQL alone: the gateway has no other way to them.
 *
 *  1. Rows come in pages, so that a dump of any size that the store takes fits the bounds of an answer.
 *  2. Integers are exact: one beyond 2^53 is a bigint.
 *  3. What a user typed comes into SQL as a quoted text and nowhere else.
 */
import * as v from 'valibot';
import { type Client, readAnswer } from '../client.ts';
import { parseExact } from '../exact-json.ts';
import { CommandError, EXIT } from '../exit.ts';
import { LIMITS } from '../limits.ts';
import type { ShownDump, ShownFrame, ShownLocal, ShownTrace } from '../render/stack.ts';

const Int = v.union([v.number(), v.bigint()]);
const NullableText = v.nullable(v.string());

const DumpRow = v.object({
  dump_id: v.string(),
  timestamp_us: v.pipe(Int, v.transform(Number)),
  pid: v.number(),
  binary: v.string(),
  proc_ref: v.string(),
  capture_mode: v.string(),
  warnings_json: v.string(),
});
const DumpListRow = v.object({ ...DumpRow.entries, threads: v.number() });
const TraceRow = v.object({
  pid: v.number(),
  thread_id: Int,
  thread_name: NullableText,
  os_thread_id: v.nullable(Int),
  active: v.boolean(),
  owns_gil: v.boolean(),
});
const FrameRow = v.object({
  thread_id: Int,
  frame_depth: v.number(),
  name: v.string(),
  filename: v.string(),
  module: NullableText,
  short_filename: NullableText,
  line: v.number(),
  is_entry: v.boolean(),
});
const LocalRow = v.object({
  thread_id: Int,
  frame_depth: v.number(),
  name: v.string(),
  addr: Int,
  arg: v.boolean(),
  repr: NullableText,
});

const DUMP_COLUMNS = 'dump_id, timestamp_us, pid, "binary", proc_ref, capture_mode, warnings_json';

/** A stored dump: whose it is, when it was stored, and what a live one would be. */
export interface StoredDump {
  readonly dump_id: string;
  readonly proc_ref: string;
  readonly stored_at_ms: number;
  readonly result: ShownDump;
}

/** One line of a list of dumps. */
export interface ListedDump {
  readonly dump_id: string;
  readonly proc_ref: string;
  readonly stored_at_ms: number;
  readonly pid: number;
  readonly threads: number;
  readonly capture_mode: string;
  readonly warnings: readonly string[];
}

export function quoteSql(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

async function select<const S extends v.GenericSchema>(
  client: Client,
  row: S,
  sql: string,
): Promise<v.InferOutput<S>[]> {
  const answer = await client.query(sql);
  return readAnswer(v.object({ rows: v.array(row) }), answer, client.url, parseExact).rows;
}

async function selectAll<const S extends v.GenericSchema>(
  client: Client,
  row: S,
  sql: string,
): Promise<v.InferOutput<S>[]> {
  const rows: v.InferOutput<S>[] = [];
  for (;;) {
    const page = await select(client, row, `${sql} limit ${LIMITS.dump_page_rows} offset ${rows.length}`);
    rows.push(...page);
    if (page.length < LIMITS.dump_page_rows) return rows;
  }
}

/**
 * The newest dumps, newest first.
 *
 * @param procRefs only those of these procs; null: of all
 */
export async function listDumps(
  client: Client,
  procRefs: readonly string[] | null,
  limit: number,
): Promise<ListedDump[]> {
  const where = procRefs === null ? '' : `where proc_ref in (${procRefs.map(quoteSql).join(', ')})`;
  const rows = await select(
    client,
    DumpListRow,
    `select d.*, (select count(*) from pyspy_stack_traces t where t.dump_id = d.dump_id) as threads
       from (select ${DUMP_COLUMNS} from pyspy_dumps ${where} order by timestamp_us desc, dump_id limit ${limit}) d
      order by timestamp_us desc, dump_id`,
  );
  return rows.map(({ dump_id, proc_ref, timestamp_us, pid, threads, capture_mode, warnings_json }) => {
    const stored_at_ms = timestamp_us / 1000;
    return { dump_id, proc_ref, stored_at_ms, pid, threads, capture_mode, warnings: readWarnings(warnings_json) };
  });
}

/** References of the procs that dumps were stored of, those of the newest dump first, up to a bound. */
export async function dumpedProcs(client: Client): Promise<string[]> {
  const rows = await select(
    client,
    v.object({ proc_ref: v.string() }),
    `select proc_ref from pyspy_dumps group by proc_ref order by max(timestamp_us) desc limit ${LIMITS.dump_procs_max}`,
  );
  return rows.map(({ proc_ref }) => proc_ref);
}

/** The whole id of the one dump whose id is `typed`, or begins with it. */
export async function findDumpId(client: Client, typed: string): Promise<string> {
  const isId = /^[\x21-\x7e]+$/.test(typed) && typed.length <= LIMITS.dump_id_max_chars;
  const shown = LIMITS.dump_candidates_shown;
  const found = isId
    ? await select(
        client,
        v.object({ dump_id: v.string() }),
        `select distinct dump_id from pyspy_dumps where starts_with(dump_id, ${quoteSql(typed)})
          order by dump_id limit ${shown + 1}`,
      )
    : [];
  const ids = found.map(({ dump_id }) => dump_id);
  const [first] = ids;
  if (first === undefined) {
    throw new CommandError(
      `there is no stored dump ${JSON.stringify(typed)}; "meshscope dumps" lists them`,
      EXIT.not_found,
    );
  }
  if (ids.length === 1 || first === typed) return first;
  const more = ids.length > shown ? ', …' : '';
  const message = `"${typed}" could be any of: ${ids.slice(0, shown).join(', ')}${more}; type more of it`;
  throw new CommandError(message, EXIT.not_found);
}

/** One dump. @param dump_id the whole id */
export async function readDump(client: Client, dump_id: string): Promise<StoredDump> {
  const where = `where dump_id = ${quoteSql(dump_id)}`;
  const [dump] = await select(client, DumpRow, `select ${DUMP_COLUMNS} from pyspy_dumps ${where} limit 1`);
  if (dump === undefined) {
    throw new CommandError(
      `the dump ${dump_id} is not in the store any more; "meshscope dumps" lists those that are`,
      EXIT.not_found,
    );
  }
  const traces = await selectAll(
    client,
    TraceRow,
    `select pid, thread_id, thread_name, os_thread_id, active, owns_gil from pyspy_stack_traces ${where}
      order by thread_id, os_thread_id, thread_name`,
  );
  const frames = await selectAll(
    client,
    FrameRow,
    `select thread_id, frame_depth, name, filename, module, short_filename, line, is_entry from pyspy_frames ${where}
      order by thread_id, frame_depth`,
  );
  const locals = await selectAll(
    client,
    LocalRow,
    `select thread_id, frame_depth, name, addr, arg, repr from pyspy_local_variables ${where}
      order by thread_id, frame_depth, arg desc, name`,
  );
  const { pid, binary, capture_mode, warnings_json, proc_ref, timestamp_us } = dump;
  const stack_traces = assemble(traces, frames, locals);
  const result = { pid, binary, capture_mode, stack_traces, warnings: readWarnings(warnings_json) };
  return { dump_id, proc_ref, stored_at_ms: timestamp_us / 1000, result };
}

type Keyed<Row> = Row & { readonly thread_id: number | bigint; readonly frame_depth: number };

/** Puts threads, frames and locals together; a frame without locals has null, as when none were asked for. */
function assemble(
  traces: readonly v.InferOutput<typeof TraceRow>[],
  frames: readonly Keyed<v.InferOutput<typeof FrameRow>>[],
  locals: readonly Keyed<v.InferOutput<typeof LocalRow>>[],
): ShownTrace[] {
  const localsOf = new Map<string, ShownLocal[]>();
  for (const { thread_id, frame_depth, ...local } of locals) {
    const key = `${thread_id}/${frame_depth}`;
    const list = localsOf.get(key) ?? [];
    list.push(local);
    localsOf.set(key, list);
  }
  const framesOf = new Map<string, ShownFrame[]>();
  for (const { thread_id, frame_depth, name, filename, module, short_filename, line, is_entry } of frames) {
    const list = framesOf.get(`${thread_id}`) ?? [];
    const own = localsOf.get(`${thread_id}/${frame_depth}`) ?? null;
    list.push({ name, filename, module, short_filename, line, locals: own, is_entry });
    framesOf.set(`${thread_id}`, list);
  }
  return traces.map((trace) => ({ ...trace, frames: framesOf.get(`${trace.thread_id}`) ?? [] }));
}

function readWarnings(json: string): string[] {
  try {
    return v.parse(v.array(v.string()), JSON.parse(json));
  } catch {
    // Whoever wrote it did not keep to the table's word; what it says is shown all the same.
    return [json];
  }
}
