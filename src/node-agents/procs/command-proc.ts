/** A command that the agent starts, follows to its end, and stops. */
import type { Exit, Launched } from '../processes/launcher.ts';
import { type EndState, endOf, UNKNOWN_EXIT } from './lifecycle.ts';
import type { ProcessFacts } from './process-nodes.ts';
import { ProcessProc, type ProcHost } from './process-proc.ts';
import type { GroupPlace } from './process-rows.ts';

export class CommandProc extends ProcessProc {
  readonly #process: Launched | null;
  #isStopRequested = false;

  /** @param start the process, waiting at its gate; or why it could not be started, and then the proc has failed */
  constructor(host: ProcHost, facts: ProcessFacts, place: GroupPlace, start: Launched | { readonly reason: string }) {
    const isStarted = 'run' in start;
    super(host, facts, place, isStarted ? { kind: 'starting' } : startFailure(start.reason));
    this.#process = isStarted ? start : null;
  }

  get group(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Lets the command run. Settles when it runs, not when it has ended. */
  async run(): Promise<void> {
    const process = this.#process;
    if (process === null) return;
    process.exited.then((exit) => this.lifecycle.move(endFor(exit, Date.now(), this.#isStopRequested)));
    // Output that a grandchild kept back may still change what the failure shows.
    process.drained.then(() => this.lifecycle.touch());
    await process.run();
    if (this.state.kind === 'starting') this.lifecycle.move({ kind: 'running' });
  }

  async stop(grace_ms: number): Promise<void> {
    if (endOf(this.state) !== null) return;
    this.#isStopRequested = true;
    this.lifecycle.move({ kind: 'stopping' });
    await this.#process?.terminate(grace_ms);
  }

  kill(): void {
    this.#isStopRequested = true;
    this.#process?.kill();
  }
}

function startFailure(reason: string): EndState {
  return { kind: 'failed', reason, ended_at_ms: Date.now(), exit: UNKNOWN_EXIT };
}

/** How a command ended, by the exit of its process. */
export function endFor(exit: Exit, ended_at_ms: number, isStopRequested: boolean): EndState {
  const how = exit.signal === null ? `exited with code ${exit.code}` : `killed by ${exit.signal}`;
  if (exit.code === 0) return { kind: 'stopped', reason: 'process exited cleanly (code 0)', ended_at_ms, exit };
  if (isStopRequested) return { kind: 'stopped', reason: `stopped on request (${how})`, ended_at_ms, exit };
  return { kind: 'failed', reason: `process ${how}`, ended_at_ms, exit };
}
