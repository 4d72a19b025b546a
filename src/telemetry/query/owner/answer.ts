/** The complete answer to a query, in one of the forms of formats.ts and in the parts that the query process sent. */
import { FORMAT_TYPES, type Format } from '../formats.ts';

export interface QueryAnswer {
  readonly format: Format;
  readonly size_bytes: number;
  readonly parts: readonly Uint8Array[];
}

/**
 * An answer as a text, for a link, which carries nothing else. JSON stays as it is; other forms follow a line with their
 * type, and Arrow is in base64. JSON begins with a brace and a type never does, so the two cannot be confused.
 */
export function answerText({ format, parts }: QueryAnswer): string {
  const bytes = parts.length === 1 && parts[0] !== undefined ? asBuffer(parts[0]) : Buffer.concat(parts);
  if (format === 'json') return bytes.toString('utf8');
  return `${FORMAT_TYPES[format]}\n${bytes.toString(format === 'arrow' ? 'base64' : 'utf8')}`;
}

/**
 * An answer as a stream, which hands out its parts as fast as they are read.
 *
 * @param over called once, when the answer was read whole or its reader has gone
 * @param timeout_ms after this the stream fails, and with it the connection of the slow reader
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
