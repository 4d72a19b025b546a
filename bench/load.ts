/** Starts the load process, hands it jobs, and tells what the server spent on each. */
import { fileURLToPath } from 'node:url';
import { cpuTime_us, forkProcess } from './processes.ts';

export interface LoadJob {
  readonly url: string;
  /** Asked for in turn. */
  readonly paths: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  /** Requests per second over all connections. Default: as many as get an answer. */
  readonly rate?: number | undefined;
  /** Sent with every request. Default: none. */
  readonly token?: string | undefined;
}

export interface LoadResult {
  readonly requests: number;
  readonly rps: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  /** Answers with a status that is not 200. */
  readonly rejected: number;
}

export interface MeasuredLoad extends LoadResult {
  /** Processor time of the serving process per request, microseconds: hardly moved by what else runs on the machine. */
  readonly cpu_us: number;
}

export class Load {
  readonly #process = forkProcess(fileURLToPath(new URL('./load-process.ts', import.meta.url)));

  /** @param pid of the serving process. @throws Error when a connection breaks or an answer cannot be read. */
  async run(job: LoadJob, pid: number): Promise<MeasuredLoad> {
    const before_us = cpuTime_us(pid);
    const result = (await this.#process.ask(job)) as LoadResult | { readonly error: string };
    if ('error' in result) throw new Error(`${job.url}${job.paths[0]}: ${result.error}`);
    return { ...result, cpu_us: (cpuTime_us(pid) - before_us) / result.requests };
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
