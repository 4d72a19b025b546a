/** The last lines of a command's output: a ring of lines per stream, and a flight recorder over both. */
import { StringDecoder } from 'node:string_decoder';
import { timestamp } from '../../base/index.ts';
import type { FlightRecorderEvent } from '../../contract/index.ts';
import { type AgentLimits, LIMITS } from '../limits.ts';

export type OutputStream = 'stdout' | 'stderr';

const TRUNCATED = ' ... [TRUNCATED]';

/** Cuts bytes into lines; the end of a line that is too long is dropped and marked, an unfinished one is kept apart. */
class LineCutter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #max_chars: number;
  readonly #onLine: (line: string) => void;
  #rest = '';
  #overflowed = false;

  constructor(max_chars: number, onLine: (line: string) => void) {
    this.#max_chars = max_chars;
    this.#onLine = onLine;
  }

  push(bytes: Buffer): void {
    const pieces = this.#decoder.write(bytes).split('\n');
    for (const [index, piece] of pieces.entries()) {
      this.#append(piece);
      if (index < pieces.length - 1) this.#emit();
    }
  }

  end(): void {
    this.#append(this.#decoder.end());
    if (this.#rest !== '') this.#emit();
  }

  #append(piece: string): void {
    const room = this.#max_chars - this.#rest.length;
    if (piece.length > room) this.#overflowed = true;
    this.#rest += piece.slice(0, room);
  }

  #emit(): void {
    const line = this.#rest.replace(/\r$/, '');
    this.#onLine(this.#overflowed ? line + TRUNCATED : line);
    this.#rest = '';
    this.#overflowed = false;
  }
}

export interface OutputTail {
  push(stream: OutputStream, bytes: Buffer): void;
  end(stream: OutputStream): void;
  /** The last lines of a stream, oldest first. */
  lines(stream: OutputStream): readonly string[];
  /**
   * The last lines of both streams as flight recorder events, as many as fit; null when there was no output.
   *
   * @param max_bytes size of the text when it is itself a string in JSON
   */
  recorder(max_bytes: number): string | null;
}

interface RecordedLine {
  readonly stream: OutputStream;
  readonly line: string;
  readonly seq: number;
  readonly at_ms: number;
}

/**
 * @param onLine is called with each whole line as it arrives
 */
export function createOutputTail(
  onLine: (stream: OutputStream, line: string) => void = () => {},
  limits: AgentLimits = LIMITS,
): OutputTail {
  const lines: Record<OutputStream, string[]> = { stdout: [], stderr: [] };
  const last: RecordedLine[] = [];
  let seq = 0;

  const record = (stream: OutputStream, line: string): void => {
    keepLast(lines[stream], line, limits.output_lines_max);
    keepLast(last, { stream, line, seq, at_ms: Date.now() }, limits.recorder_events_max);
    seq += 1;
    onLine(stream, line);
  };
  const cutters: Record<OutputStream, LineCutter> = {
    stdout: new LineCutter(limits.output_line_max_chars, (line) => record('stdout', line)),
    stderr: new LineCutter(limits.output_line_max_chars, (line) => record('stderr', line)),
  };

  return {
    push: (stream, bytes) => cutters[stream].push(bytes),
    end: (stream) => cutters[stream].end(),
    lines: (stream) => lines[stream],
    recorder(max_bytes) {
      const texts = last.map((recorded) => JSON.stringify(eventOf(recorded)));
      return last.length === 0 ? null : `[${lastThatFit(texts, max_bytes).join(',')}]`;
    },
  };
}

/** Made only on request, because a command may write a million lines a second and few of them are ever read. */
function eventOf({ stream, line, seq, at_ms }: RecordedLine): FlightRecorderEvent {
  return {
    timestamp: timestamp(at_ms),
    seq,
    level: stream === 'stderr' ? 'WARN' : 'INFO',
    target: stream,
    name: 'output',
    fields: { message: line },
  };
}

/** The last of some texts, as many as fit into `max_bytes` as strings in JSON, where a character can take six bytes. */
export function lastThatFit(texts: readonly string[], max_bytes: number): string[] {
  let size = 0;
  const first = texts.findLastIndex((text) => {
    size += Buffer.byteLength(JSON.stringify(text));
    return size > max_bytes;
  });
  return texts.slice(first + 1);
}

function keepLast<T>(ring: T[], item: T, max: number): void {
  ring.push(item);
  if (ring.length > max) ring.shift();
}
