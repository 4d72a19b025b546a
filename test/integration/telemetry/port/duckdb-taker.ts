/** Takes the batches of standard input, one after the other, and kills itself after the last acknowledgement. */
import { json } from 'node:stream/consumers';
import { openCore } from '../../../../src/telemetry/index.ts';

const batches = (await json(process.stdin)) as object[];
const opened = await openCore({ data_dir: process.argv[2] ?? '', warm_processes: 0 });
if (!opened.ok) throw new Error(opened.failure.message);
for (const batch of batches) {
  const taken = await opened.value.store.ingest(batch);
  if (!taken.ok) throw new Error(taken.failure.message);
}
process.kill(process.pid, 'SIGKILL');
