/** Processes of a benchmark: all of them end with it, however it ends, and what they left behind is removed. */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';

type CleanUp = () => unknown;

const cleanUps: CleanUp[] = [];
let isEnding = false;

/** Runs last in, first out, when the benchmark ends, also by Ctrl-C. */
export function atEnd(cleanUp: CleanUp): void {
  cleanUps.push(cleanUp);
}

/** Ends all that was started. */
export async function endAll(): Promise<void> {
  for (let cleanUp = cleanUps.pop(); cleanUp !== undefined; cleanUp = cleanUps.pop()) await cleanUp();
}

/** Runs a benchmark from start to end; SIGINT and SIGTERM end it early, in order, a second one at once. */
export async function runBenchmark(main: () => Promise<void>): Promise<void> {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => {
      if (isEnding) process.exit(status);
      isEnding = true;
      endAll().finally(() => process.exit(status));
    });
  }
  try {
    await main();
  } catch (error) {
    // What fails because it is being ended is no news.
    if (isEnding) return;
    console.error(error);
    process.exitCode = 1;
  } finally {
    if (!isEnding) await endAll();
  }
}

/** A line for whoever waits; results go to standard output. */
export function progress(line: string): void {
  console.error(line);
}

export interface Forked {
  readonly pid: number;
  /** Sends a message and gives the next one that comes back. One at a time. */
  ask(message: unknown): Promise<unknown>;
  kill(): Promise<void>;
}

/** A process of the same Node, with a channel to ask it over. Its standard output goes nowhere. */
export function forkProcess(file: string, args: readonly string[] = [], execArgv: readonly string[] = []): Forked {
  const child = fork(file, args, { execArgv: [...execArgv], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const kill = async () => {
    child.kill('SIGKILL');
    await ended(child);
  };
  atEnd(kill);
  const ask = (message: unknown) =>
    new Promise<unknown>((resolve, reject) => {
      const onExit = () => reject(new Error(`${file} has ended`));
      child.once('exit', onExit);
      child.once('message', (answer) => {
        child.off('exit', onExit);
        resolve(answer);
      });
      child.send(message as object);
    });
  return { pid: child.pid ?? 0, ask, kill };
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

const TICK_US = 10_000;

/** Processor time that a process has used, user and system, microseconds. */
export function cpuTime_us(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const [utime, stime] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(utime) + Number(stime)) * TICK_US;
}

export interface Memory {
  readonly rss_bytes: number;
  /** Of it what is no part of a file: unlike the rest, and unlike PSS, it does not hang on who else runs the same program. */
  readonly anonymous_bytes: number;
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) * 1_024;
  return { rss_bytes: field('Rss'), anonymous_bytes: field('Anonymous') };
}

/** Most files and sockets that a process started from here may have open. */
export function openFilesMax(): number {
  const text = readFileSync('/proc/self/limits', 'latin1');
  return Number(/^Max open files +(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
}
