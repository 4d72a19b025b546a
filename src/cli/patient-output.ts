/**
 * Writing lines without waiting for who reads them. Node writes to a terminal synchronously, and a terminal that is
 * paused (Ctrl-S, the scrollback of screen) takes nothing: the whole program would stand still, links and calls included.
 * So what goes to a terminal is written from a queue, off the event loop; everything else Node does not wait for anyway.
 */
import { write as writeDescriptor } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { LIMITS } from './limits.ts';

const writeSome = promisify(writeDescriptor);

export type Stream = 'stdout' | 'stderr';

interface Queue {
  readonly descriptor: number;
  waiting: string[];
  waiting_chars: number;
  isWriting: boolean;
}

const queues: Readonly<Record<Stream, Queue>> = {
  stdout: { descriptor: 1, waiting: [], waiting_chars: 0, isWriting: false },
  stderr: { descriptor: 2, waiting: [], waiting_chars: 0, isWriting: false },
};

/** Whether so much waits to be read that more should not be added. */
export function isBehind(stream: Stream): boolean {
  const waiting = process[stream].isTTY ? queues[stream].waiting_chars : process[stream].writableLength;
  return waiting > LIMITS.output_waiting_max_chars;
}

export function writeText(stream: Stream, text: string): void {
  if (!process[stream].isTTY) {
    process[stream].write(text);
    return;
  }
  const queue = queues[stream];
  queue.waiting.push(text);
  queue.waiting_chars += text.length;
  if (!queue.isWriting) void drain(queue);
}

async function drain(queue: Queue): Promise<void> {
  queue.isWriting = true;
  while (queue.waiting.length > 0) {
    const text = queue.waiting.splice(0).join('');
    await writeAll(queue.descriptor, Buffer.from(text));
    queue.waiting_chars -= text.length;
  }
  queue.isWriting = false;
}

/** A terminal that is gone loses what was meant for it; the signal that comes with that says what to do. */
async function writeAll(descriptor: number, bytes: Buffer): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) {
    try {
      const { bytesWritten } = await writeSome(descriptor, rest);
      rest = rest.subarray(bytesWritten);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      await sleep(LIMITS.output_retry_ms);
    }
  }
}
