/** The query process: it answers the messages of its IPC channel (messages.ts) one after another. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { messageOf, type Outcome, reasonOf } from '../../../base/index.ts';
import type { FromQueryProcess, ToQueryProcess } from '../messages.ts';
import { OUT_OF_MEMORY, StoreCopy } from './store-copy.ts';

const NOTHING = new Uint8Array(0);
/** Garbage is collected when the process holds more than this share of the memory that it may hold at rest, */
const COLLECT_SHARE = 0.5;
/** and only after a refusal, or a result of at least so many bytes. */
const COLLECT_BYTES = 1024 * 1024;

let copy: StoreCopy | null = null;
let restMaxBytes = 0;
let line: Promise<void> = Promise.resolve();
/** The rest of the last answer, which was not asked for yet. */
let rest: Uint8Array = NOTHING;
let partBytes = 0;

// A query in DuckDB's threads may keep an orderly exit from ever ending.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('message', (message: ToQueryProcess) => {
  line = line.then(() => handle(message)).catch((error: unknown) => fail(messageOf(error)));
});

async function handle(message: ToQueryProcess): Promise<void> {
  switch (message.kind) {
    case 'open':
      copy = await StoreCopy.open(message.source_path, message.folder, message.limits);
      restMaxBytes = message.limits.sql_rest_memory_mib * 2 ** 20;
      partBytes = message.limits.sql_part_bytes;
      return send({ kind: 'opened' });
    case 'changes':
      rest = NOTHING;
      await opened().apply(message.changes);
      return send({ kind: 'applied' });
    case 'query':
      rest = NOTHING;
      send({ kind: 'started' });
      return await answer(await opened().query(message.sql, message.format));
    case 'next':
      return send({ kind: 'part', part: takePart() });
  }
}

function opened(): StoreCopy {
  if (copy === null) throw new Error('asked for something before it was opened');
  return copy;
}

async function answer(result: Outcome<Uint8Array>): Promise<void> {
  // A small result leaves little behind, and collecting takes longer than many a query.
  if (!result.ok || result.value.length >= COLLECT_BYTES) await collect();
  // After a query that ran out of memory, free memory is in pieces too small for the next.
  const wasShort = !result.ok && reasonOf(result.failure) === OUT_OF_MEMORY;
  if (wasShort || process.memoryUsage.rss() > restMaxBytes) send({ kind: 'spent' });
  if (!result.ok) return send({ kind: 'refused', message: result.failure.message });
  rest = result.value;
  send({ kind: 'rows', size_bytes: rest.length, part: takePart() });
}

/**
 * Frees what a result held. The binding frees a chunk when its JavaScript object is collected, and a few small objects with a
 * hundred megabytes behind them do not bring a collection about. The next query would have that much less memory.
 */
async function collect(): Promise<void> {
  if (process.memoryUsage.rss() < restMaxBytes * COLLECT_SHARE) return;
  globalThis.gc?.();
  // The frees themselves come with the next turn of the loop.
  await nextTurn();
}

function takePart(): Uint8Array {
  const part = rest.subarray(0, partBytes);
  rest = part.length < rest.length ? rest.subarray(part.length) : NOTHING;
  return part;
}

function send(message: FromQueryProcess): void {
  process.send?.(message);
}

/** Never resolves: messages that follow a failure are not handled. */
function fail(message: string): Promise<never> {
  process.send?.({ kind: 'failed', reason: 'engine', message } satisfies FromQueryProcess, () => process.exit(1));
  return new Promise(() => undefined);
}
