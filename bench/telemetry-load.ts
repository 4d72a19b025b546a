/**
 * Producers of telemetry, a process of their own. Its parent sends a job and gets a result, job after job. The batches are
 * encoded before the clock starts, and their times once a second: what is measured is who takes them.
 */
import { randomUUID } from 'node:crypto';
import { sleep } from '../src/base/index.ts';
import type { EventBatch } from '../src/contract/index.ts';
import { Connection } from './http-connection.ts';
import { newCounts, SimulatedAgent } from './simulated-agent.ts';
import { EncodedBatch } from './telemetry-rows.ts';

export interface IngestJob {
  /** `store`: HTTP to the service. `gateway`: the link of one agent to a gateway. */
  readonly to: 'store' | 'gateway';
  readonly url: string;
  readonly token: string;
  /** Each has one batch under way at a time. */
  readonly producers: number;
  readonly batch_rows: number;
  readonly seconds: number;
  /** Rows per second of all producers. Default: as many as are taken. */
  readonly rate?: number | undefined;
}

export interface IngestResult {
  readonly rows: number;
  readonly seconds: number;
  /** From sending a batch to its acknowledgement. */
  readonly p50_ms: number;
  readonly p99_ms: number;
  /** Batches that were not taken, and sent again. */
  readonly refused: number;
}

/** Whoever brings a batch to the store; settles when it was acknowledged, with false when it has to come again. */
interface Producer {
  send(batch: EventBatch): Promise<boolean>;
}

/** Different batches of one run; they are sent again and again, under other numbers and at other times. */
const BATCHES = 32;

process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('message', (job: IngestJob) => {
  run(job).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ error: error.message }),
  );
});

async function run({ to, url, token, producers, batch_rows, seconds, rate }: IngestJob): Promise<IngestResult> {
  const encoded = Array.from({ length: BATCHES }, (_, number) => new EncodedBatch(batch_rows, number));
  const open =
    to === 'store' ? await storeProducers(url, token, producers) : await linkProducers(url, token, producers);
  const latencies_ms: number[] = [];
  let refused = 0;
  const start_ms = performance.now();
  const end_ms = start_ms + seconds * 1_000;
  const step_ms = rate === undefined ? 0 : (producers * batch_rows * 1_000) / rate;

  const drive = async (producer: Producer, place: number) => {
    const id = randomUUID();
    let due_ms = start_ms + (step_ms * place) / producers;
    for (let seq = 1; due_ms < end_ms && performance.now() < end_ms; ) {
      const wait_ms = due_ms - performance.now();
      if (wait_ms > 0) await sleep(wait_ms);
      const packed = encoded[(place * 7 + seq) % BATCHES]?.packed() ?? '';
      const from_ms = performance.now();
      if (await producer.send({ producer: id, seq, lost_rows: 0, packed })) {
        latencies_ms.push(performance.now() - from_ms);
        seq += 1;
        due_ms += step_ms;
      } else refused += 1;
    }
  };

  await Promise.all(open.producers.map(drive));
  const elapsed_s = (performance.now() - start_ms) / 1_000;
  open.close();
  latencies_ms.sort((a, b) => a - b);
  const at = (share: number) => latencies_ms[Math.floor(latencies_ms.length * share)] ?? Number.NaN;
  return { rows: latencies_ms.length * batch_rows, seconds: elapsed_s, p50_ms: at(0.5), p99_ms: at(0.99), refused };
}

interface Opened {
  readonly producers: Producer[];
  close(): void;
}

async function storeProducers(url: string, token: string, count: number): Promise<Opened> {
  const connections = await Promise.all(Array.from({ length: count }, () => Connection.open(url, token)));
  return {
    producers: connections.map((connection) => ({
      send: async (batch) => {
        const { status, body } = await connection.post('/ingest', JSON.stringify(batch));
        if (status !== 200 && status !== 503) throw new Error(`${status} ${body}`);
        return status === 200;
      },
    })),
    close: () => {
      for (const connection of connections) connection.close();
    },
  };
}

/** The link alone: an agent that has nothing else to do, and keeps nothing. */
async function linkProducers(url: string, token: string, count: number): Promise<Opened> {
  const agent = new SimulatedAgent(url, token, 'bench-telemetry', newCounts());
  await agent.dial();
  const beats = setInterval(() => agent.beat(Date.now()), 1_000);
  return {
    producers: Array.from({ length: count }, () => ({ send: (batch) => agent.sendEvents(batch) })),
    close: () => {
      clearInterval(beats);
      agent.end();
    },
  };
}
