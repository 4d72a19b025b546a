/** The answer to a query: whole, in one of the forms of formats.ts, in parts as the query process handed them over. */
import { FORMAT_TYPES, type Format } from '../formats.ts';

export interface QueryAnswer {
  readonly format: Format;
  readonly size_bytes: number;
  readonly parts: readonly Uint8Array[];
}

/**
 * An answer as a text, for ways that carry nothing else: JSON as it is; every other form behind a line with its type,
 * Arrow in base64. JSON begins with a brace and a type never does, so the two cannot be mistaken.
 */
export function answerText({ format, parts }: QueryAnswer): string {
  const bytes = parts.length === 1 && parts[0] !== undefined ? asBuffer(parts[0]) : Buffer.concat(parts);
  if (format === 'json') return bytes.toString('utf8');
  return `${FORMAT_TYPES[format]}\n${bytes.toString(format === 'arrow' ? 'base64' : 'utf8')}`;
}

/**
 * An answer as a stream that gives its parts as fast as they are taken.
 *
 * @param over called once, when all of it was taken, or nobody takes it any more
 * @param timeout_ms after this the stream fails, and with it the connection of whoever reads so slowly
 */
export function answerStream(
  { parts }: QueryAnswer,
  timeout_ms: number,
  over: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let next = 0;
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    clearTimeout(timer);
    if (!isOver) over();
    isOver = true;
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start(controller) {
        timer = setTimeout(() => {
          end();
          controller.error(new Error(`the answer was not read within ${timeout_ms} ms`));
        }, timeout_ms);
      },
      pull(controller) {
        const part = parts[next];
        next += 1;
        if (part !== undefined) controller.enqueue(part as Uint8Array<ArrayBuffer>);
        if (next < parts.length) return;
        end();
        controller.close();
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
