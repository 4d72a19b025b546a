/**
 * A process that the agent did not start. It is `running` from the time it is found, and `stopped` when it is gone. The
 * agent does not learn how it ended, so it never becomes `failed`. The agent never sends it a signal.
 */
import { isRunning, type ProcessIdentity } from '../procfs/index.ts';
import { UNKNOWN_EXIT } from './lifecycle.ts';
import type { ProcessFacts } from './process-nodes.ts';
import { ProcessProc, type ProcHost } from './process-proc.ts';
import { ProcGroup } from './process-rows.ts';

const ENDED_UNSEEN = 'process ended (meshscope did not start it, so its exit status is not known)';

export class AdoptedProc extends ProcessProc {
  readonly group = null;
  readonly #identity: ProcessIdentity;

  constructor(host: ProcHost, facts: ProcessFacts & { readonly identity: ProcessIdentity }) {
    super(host, facts, { group: new ProcGroup(host.name, facts.name, 1), rank: 0 }, { kind: 'running' });
    this.#identity = facts.identity;
  }

  /** Looks whether the process is still there. @returns false when it is gone, and the proc has ended */
  checkLiveness(): boolean {
    if (isRunning(this.#identity)) return true;
    this.lifecycle.move({ kind: 'stopped', reason: ENDED_UNSEEN, ended_at_ms: Date.now(), exit: UNKNOWN_EXIT });
    return false;
  }

  async stop(): Promise<void> {}

  kill(): void {}
}
