/** Stored dumps for people: a list of them, one of them, and two of them compared. */
import type { DumpDiff, ThreadDiff } from '../dumps/diff.ts';
import type { ListedDump, StoredDump } from '../dumps/read.ts';
import { procName } from '../names.ts';
import { formatDuration, formatTable, oneLine } from './format.ts';
import { placeText, renderStack, threadMarks, threadName } from './stack.ts';

/** Characters of an id in a list, at least; as many more as tell the listed ones apart. */
const ID_CHARS_MIN = 8;
const ID_CHARS_MAX = 200;

export function renderDumpList(dumps: readonly ListedDump[], now_ms: number): string {
  const chars = distinctChars(dumps.map(({ dump_id }) => dump_id));
  const rows = dumps.map((dump) => [
    oneLine(dump.dump_id.slice(0, chars)),
    formatDuration(now_ms - dump.stored_at_ms),
    oneLine(procName(dump.proc_ref)),
    String(dump.pid),
    String(dump.threads),
    oneLine(dump.capture_mode),
    dump.warnings.map((warning) => oneLine(warning)).join('; '),
  ]);
  return formatTable([['ID', 'AGE', 'PROC', 'PID', 'THREADS', 'MODE', 'WARNINGS'], ...rows]);
}

function distinctChars(ids: readonly string[]): number {
  let chars = ID_CHARS_MIN;
  while (chars < ID_CHARS_MAX && new Set(ids.map((id) => id.slice(0, chars))).size < new Set(ids).size) chars += 1;
  return chars;
}

/** Whose and of when, above the stack as a live one is shown. */
export function renderStoredDump(dump: StoredDump, now_ms: number): string {
  return `${headOf(dump, now_ms)}\n${renderStack(dump.result)}`;
}

function headOf({ dump_id, proc_ref, stored_at_ms }: StoredDump, now_ms: number): string {
  const when = `stored ${new Date(stored_at_ms).toISOString()}, ${formatDuration(now_ms - stored_at_ms)} ago`;
  return `dump ${oneLine(dump_id)} of ${oneLine(proc_ref)}\n${when}\n`;
}

export function renderDumpDiff(before: StoredDump, after: StoredDump, diff: DumpDiff): string {
  const { moved, same, gone, new: added } = diff.summary;
  const apart = `${formatDuration(Math.abs(diff.apart_ms))} ${diff.apart_ms < 0 ? 'earlier' : 'later'}`;
  const summary = `${moved} moved, ${same} same, ${gone} gone, ${added} new; the second is ${apart}\n`;
  const by =
    diff.matched_by === 'thread_id'
      ? `pid ${before.result.pid}; threads matched by id\n`
      : `pid ${before.result.pid} and pid ${after.result.pid} are different processes: threads matched by name\n`;
  return [`${summary}${by}`, ...diff.threads.map(renderThread)].join('\n');
}

function renderThread(thread: ThreadDiff): string {
  const { fate, before, after, frame } = thread;
  const head = `${fate.padEnd(5)}  Thread ${threadName(thread)} [${stateText(thread)}]\n`;
  if (frame !== null) {
    const text = (place: typeof frame.before) => (place === null ? 'the end of the stack' : placeText(place));
    const place = `  #${String(frame.depth).padStart(2)} `;
    return `${head}${place}was  ${text(frame.before)}\n${' '.repeat(place.length)}is   ${text(frame.after)}\n`;
  }
  const innermost = (after ?? before)?.innermost ?? null;
  return innermost === null ? head : `${head}  # 0 ${placeText(innermost)}\n`;
}

function stateText({ before, after }: ThreadDiff): string {
  const [was, is] = [before, after].map((state) => (state === null ? null : threadMarks(state)));
  if (was == null || is == null || was === is) return was ?? is ?? '';
  return `${was} → ${is}`;
}
