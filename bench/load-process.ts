/**
 * The load, a process of its own. Its parent sends a job, it answers with a result, job after job.
 *
 * Without a rate each connection asks again as soon as it is answered, which is what finds the highest rate; latencies
 * are then those of a server that is full. With a rate, requests are due at fixed times, spread over the connections, and
 * one that is late because its connection was still busy is timed from when it was due.
 */

import { sleep } from '../src/base/index.ts';
import { Connection } from './http-connection.ts';
import type { LoadJob, LoadResult } from './load.ts';

process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('message', (job: LoadJob) => {
  run(job).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ error: error.message }),
  );
});

async function run({ url, paths, connections, seconds, rate, token }: LoadJob): Promise<LoadResult> {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(url, token)));
  const latencies_ms: number[] = [];
  let rejected = 0;
  const start_ms = performance.now();
  const end_ms = start_ms + seconds * 1_000;
  const step_ms = rate === undefined ? 0 : (connections / rate) * 1_000;

  const drive = async (connection: Connection, number: number) => {
    // Apart from each other, so that no two connections ask for the same node at once.
    let at = Math.floor((number * paths.length) / connections);
    let due_ms = start_ms + (step_ms * number) / connections;
    while (true) {
      const now_ms = performance.now();
      if (now_ms >= end_ms || due_ms >= end_ms) return;
      if (due_ms > now_ms) await sleep(due_ms - now_ms);
      // A timer of ours that rings late is no fault of the server.
      const from_ms = step_ms === 0 || due_ms > now_ms ? performance.now() : due_ms;
      const { status } = await connection.get(paths[at % paths.length] ?? '/');
      latencies_ms.push(performance.now() - from_ms);
      if (status !== 200) rejected += 1;
      at += 1;
      due_ms += step_ms;
    }
  };

  await Promise.all(open.map(drive));
  const elapsed_s = (performance.now() - start_ms) / 1_000;
  for (const connection of open) connection.close();
  latencies_ms.sort((a, b) => a - b);
  const at = (share: number) => latencies_ms[Math.floor(latencies_ms.length * share)] ?? Number.NaN;
  const requests = latencies_ms.length;
  return { requests, rps: requests / elapsed_s, p50_ms: at(0.5), p99_ms: at(0.99), rejected };
}
