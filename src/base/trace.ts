/**
 * A part's own log lines and spans, as rows of `events`, `spans` and `span_events`.
 *
 * Span ids are random 64-bit numbers, so that they mean the same span wherever a row is read; `process_id` names the
 * process besides. A span's times are of the wall clock: creation, `enter` and `exit` around the work, `close`.
 */
import type { Fields } from './log.ts';
import type { Cell } from './rows.ts';

export type TraceLevel = 'TRACE' | 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';

/** Characters of a log line that the tables keep. What is longer is cut. */
export const LINE_MAX_CHARS = 4_096;

/** Takes one row for a table; must not throw. */
export type AddRow = (table: string, row: readonly Cell[]) => void;

export interface Span {
  readonly id: string;
  /** Ends the span; the first call counts. */
  close(): void;
}

export interface TraceOptions {
  /** What the rows say of where they come from: the process by a name that no other has. */
  readonly process_id: string;
  /** The part, as a dotted path: `meshscope.agent`. */
  readonly target: string;
  readonly add: AddRow;
}

export class Trace {
  readonly #options: TraceOptions;

  constructor(options: TraceOptions) {
    this.#options = options;
  }

  /**
   * One log line.
   * @param name what kind of event it is; it has no value in it
   * @param fields beside `message` and `process_id`. Default none
   * @param parent the span it belongs to. Default none
   */
  event(level: TraceLevel, name: string, message: string, fields: Fields = {}, parent: Span | null = null): void {
    const { add, process_id, target } = this.#options;
    const told = jsonOf({ message, process_id, ...fields });
    add('events', [name, target, level, told, nowUs(), parent?.id ?? null, '', 'main', target, null, null]);
  }

  /**
   * A line of a part's log: its event is named by what does not differ from one such line to the next. A `stack` is left
   * out, since whoever may ask need not learn where the program lies.
   */
  line(level: TraceLevel, message: string, fields: Fields = {}): void {
    const cut = message.slice(0, LINE_MAX_CHARS);
    this.event(level, cut.split(/[:;,]|\d/, 1)[0]?.trim() ?? '', cut, { ...fields, stack: undefined });
  }

  /** Begins a span, which lasts until it is closed. */
  span(name: string, fields: Fields = {}, parent: Span | null = null): Span {
    const { add, process_id, target } = this.#options;
    const id = randomId();
    const told = jsonOf(fields);
    add('spans', [process_id, id, name, target, 'INFO', told, nowUs(), parent?.id ?? null, 'main', null, null]);
    add('span_events', [process_id, id, nowUs(), 'enter']);
    let isOpen = true;
    return {
      id,
      close() {
        if (!isOpen) return;
        isOpen = false;
        const now_us = nowUs();
        add('span_events', [process_id, id, now_us, 'exit']);
        add('span_events', [process_id, id, now_us, 'close']);
      },
    };
  }

  /** Runs work inside a span. */
  async within<T>(name: string, fields: Fields, work: () => Promise<T>): Promise<T> {
    const span = this.span(name, fields);
    try {
      return await work();
    } finally {
      span.close();
    }
  }
}

/** Whatever is in them: a log line must not fail for a field that JSON cannot hold. */
function jsonOf(fields: Fields): string {
  try {
    return JSON.stringify(fields, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  } catch (error) {
    return JSON.stringify({ message: String(fields.message ?? ''), fields_unreadable: String(error) });
  }
}

function randomId(): string {
  const [id = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return String(id);
}

/** Microseconds since the epoch, as exact as the runtime tells. */
function nowUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1_000);
}
