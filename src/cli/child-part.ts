/**
 * A part of meshscope that runs as a process of its own below `meshscope up`: telemetry, or the agent.
 *
 * The child is this same command line. It says over IPC when it is ready; the channel's end, however it comes about, tells
 * it that its parent is gone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { CommandError } from './exit.ts';
import { LIMITS } from './limits.ts';

const MAIN = process.argv[1] ?? '';
/** A small nursery: these parts allocate little, and a large one stays resident once it has been used. */
const MEMORY_FLAGS = ['--max-semi-space-size=2'];

export interface ChildPart {
  /** What the part said of itself when it was ready. */
  readonly ready: Promise<Readonly<Record<string, string>>>;
  /** Settles with a description when the part has ended, asked or not. */
  readonly ended: Promise<string>;
  /** Asks the part to end, and ends it when it does not within `wait_ms` (default 10 s). */
  stop(wait_ms?: number): Promise<void>;
  /** Tells the part that its stop is to be at once. */
  hurry(): void;
}

/**
 * @param args the subcommand and its options
 * @param env variables for the child on top of ours
 */
export function startChildPart(args: readonly string[], env: Readonly<Record<string, string>>): ChildPart {
  const child: ChildProcess = spawn(process.execPath, [...process.execArgv, ...MEMORY_FLAGS, MAIN, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ...env },
    // The terminal's Ctrl-C is for the parent, which ends its parts in their order.
    detached: true,
  });
  let isReady = false;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
  });
  const ready = new Promise<Readonly<Record<string, string>>>((resolve, reject) => {
    child.on('message', (message: { readonly type?: string } & Readonly<Record<string, string>>) => {
      if (message.type !== 'ready') return;
      isReady = true;
      resolve(message);
    });
    ended.then((how) => {
      if (!isReady) reject(new CommandError(`${args[0]} could not be started (${how}); what it said is above`));
    });
  });
  // Whoever does not wait for readiness must not be brought down by its failure; `ended` tells it too.
  ready.catch(() => {});
  return {
    ready,
    ended,
    hurry() {
      if (child.connected) child.send({ type: 'hurry' }, () => {});
    },
    async stop(wait_ms: number = LIMITS.part_end_ms) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), wait_ms);
      await ended;
      clearTimeout(timer);
    },
  };
}
