/** The query process: speaks `messages.ts` over its IPC channel and does one thing at a time, in the order asked. */
import { messageOf } from '../database.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { Replica } from './replica.ts';

let replica: Replica | null = null;
let line: Promise<void> = Promise.resolve();

// A query in DuckDB's threads may keep an orderly exit from ever ending.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('message', (message: ToWorker) => {
  line = line.then(() => handle(message)).catch((error: unknown) => fail(messageOf(error)));
});

async function handle(message: ToWorker): Promise<void> {
  if (message.kind === 'open') {
    replica = await Replica.open(message.source_path, message.folder, message.limits);
    send({ kind: 'opened' });
    return;
  }
  if (replica === null) throw new Error(`${message.kind} before open`);
  if (message.kind === 'changes') {
    await replica.apply(message.changes);
    send({ kind: 'applied' });
    return;
  }
  send({ kind: 'started' });
  const answer = await replica.query(message.sql);
  if (answer.ok) send({ kind: 'rows', text: answer.value });
  else send({ kind: 'refused', message: answer.failure.message });
}

function send(message: FromWorker): void {
  process.send?.(message);
}

function fail(message: string): void {
  process.send?.({ kind: 'failed', reason: 'engine', message } satisfies FromWorker, () => process.exit(1));
}
