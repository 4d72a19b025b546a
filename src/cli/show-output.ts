/** Shows the lines that commands write, each with the name of its proc in front, on the stream it came from. */
import type { OutputStream } from '../node-agents/index.ts';
import { isBehind, writeText } from './patient-output.ts';

let dropped = 0;

export function showOutput(name: string, stream: OutputStream, line: string): void {
  if (isBehind(stream)) {
    dropped += 1;
    return;
  }
  if (dropped > 0) {
    writeText(stream, `[meshscope] ${dropped} lines were not shown: they came faster than they were read\n`);
    dropped = 0;
  }
  writeText(stream, `[${name}] ${line}\n`);
}
