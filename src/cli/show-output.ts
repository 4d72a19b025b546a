/** Shows the lines that commands write, each with the name of its proc in front, on the stream it came from. */
import type { OutputStream } from '../node-agents/index.ts';

/** Bytes that may wait for a slow reader of ours; what comes beyond is dropped and counted. */
const WAITING_MAX_BYTES = 4 * 1024 * 1024;

let dropped = 0;

export function showOutput(name: string, stream: OutputStream, line: string): void {
  const out = process[stream];
  if (out.writableLength > WAITING_MAX_BYTES) {
    dropped += 1;
    return;
  }
  if (dropped > 0) {
    out.write(`[meshscope] ${dropped} lines were not shown: they came faster than they were read\n`);
    dropped = 0;
  }
  out.write(`[${name}] ${line}\n`);
}
