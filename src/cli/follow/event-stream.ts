/**
 * Reading server-sent events: frames end with an empty line, `id` and `data` are taken, comments only prove life. A stream
 * on which nothing comes for as long as three heartbeats is dead, whatever the connection says.
 */
import * as v from 'valibot';
import { describeIssues, LiveEvent } from '../../contract/index.ts';
import { CommandError, EXIT } from '../exit.ts';
import { LIMITS } from '../limits.ts';

export interface StreamEvent {
  readonly id: string;
  readonly event: LiveEvent;
}

/**
 * The events of an answer, until it ends. Throws a CommandError that says `unreachable` when the stream breaks, goes silent
 * or holds something else.
 *
 * @param cut ends the request
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  url: string,
  cut: () => void,
): AsyncGenerator<StreamEvent> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const chunk = await readInTime(reader, url);
      if (chunk.done) return;
      const frames = (rest + chunk.value).split('\n\n');
      rest = frames.pop() ?? '';
      if (rest.length > LIMITS.event_max_chars) throw broken(url, 'an event of it is too large');
      for (const frame of frames) {
        const event = readFrame(frame, url);
        if (event !== null) yield event;
      }
    }
  } finally {
    cut();
    reader.cancel().catch(() => {});
  }
}

async function readInTime(reader: ReadableStreamDefaultReader<string>, url: string) {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    const what = `nothing came for ${LIMITS.follow_silence_ms / 1_000} s`;
    timer = setTimeout(() => reject(broken(url, what)), LIMITS.follow_silence_ms);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch (error) {
    throw error instanceof CommandError ? error : broken(url, (error as Error).message);
  } finally {
    clearTimeout(timer);
  }
}

function readFrame(frame: string, url: string): StreamEvent | null {
  const fields = new Map(frame.split('\n').map((line) => splitField(line)));
  const data = fields.get('data');
  if (data === undefined) return null;
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    throw broken(url, 'an event of it is not JSON');
  }
  const read = v.safeParse(LiveEvent, json);
  if (!read.success) throw broken(url, describeIssues(read.issues));
  return { id: fields.get('id') ?? '', event: read.output };
}

function splitField(line: string): [string, string] {
  const colon = line.indexOf(':');
  return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
}

function broken(url: string, why: string): CommandError {
  return new CommandError(`the live updates of ${url} broke off: ${why}`, EXIT.unreachable);
}
