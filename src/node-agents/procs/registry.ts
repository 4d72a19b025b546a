/** The procs of a host, by identity. It reports every change to its listeners, and keeps a bounded number of ended procs. */
import { type ProcRef, refKey } from '../../contract/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { ProcessIdentity } from '../procfs/index.ts';
import type { HostedProc } from './hosted-proc.ts';
import { endOf } from './lifecycle.ts';

export interface RegistryListener {
  added?(proc: HostedProc): void;
  changed?(proc: HostedProc): void;
  removed?(proc: HostedProc): void;
  /** Is called for each process that cannot be shown, with their number so far. */
  refused?(count: number): void;
}

export class ProcRegistry {
  readonly #limits: AgentLimits;
  readonly #listeners: RegistryListener[] = [];
  readonly #byKey = new Map<string, HostedProc>();
  readonly #byPid = new Map<number, HostedProc>();
  #added = 0;
  #refused = 0;

  constructor(limits: AgentLimits) {
    this.#limits = limits;
  }

  /** Adds a listener. Listeners are called in the order in which they were added. */
  listen(listener: RegistryListener): void {
    this.#listeners.push(listener);
  }

  /** In the order in which the procs became known. */
  procs(): HostedProc[] {
    return [...this.#byKey.values()];
  }

  live(): HostedProc[] {
    return this.procs().filter((proc) => !isEnded(proc));
  }

  /** Procs added so far, including those that were dropped since. */
  get addedCount(): number {
    return this.#added;
  }

  find(ref: ProcRef): HostedProc | undefined {
    return this.#byKey.get(refKey(ref));
  }

  /** The live proc of a process. A process that reuses a pid does not match the earlier one's proc. */
  findLive(identity: ProcessIdentity): HostedProc | undefined {
    const proc = this.#byPid.get(identity.pid);
    return proc?.identity?.start_ticks === identity.start_ticks ? proc : undefined;
  }

  /** @returns false when the host shows as many procs as it may */
  add(proc: HostedProc): boolean {
    const { procs_max } = this.#limits;
    if (this.#byKey.size >= procs_max) this.#evict(procs_max - 1);
    if (this.#byKey.size >= procs_max) {
      this.refuse();
      return false;
    }
    this.#added += 1;
    this.#byKey.set(refKey(proc.ref), proc);
    if (proc.identity !== null && !isEnded(proc)) this.#byPid.set(proc.identity.pid, proc);
    for (const listener of this.#listeners) listener.added?.(proc);
    proc.onChange(() => this.#procChanged(proc));
    return true;
  }

  /** Counts a process that is not shown because the host shows as many as it may. */
  refuse(): void {
    this.#refused += 1;
    for (const listener of this.#listeners) listener.refused?.(this.#refused);
  }

  #procChanged(proc: HostedProc): void {
    if (this.#byKey.get(refKey(proc.ref)) !== proc) return;
    const pid = proc.identity?.pid ?? 0;
    // Another proc may have the pid by now.
    if (isEnded(proc) && this.#byPid.get(pid) === proc) this.#byPid.delete(pid);
    for (const listener of this.#listeners) listener.changed?.(proc);
    if (isEnded(proc)) this.#evict(this.#limits.procs_max);
  }

  /**
   * Drops ended procs beyond the bounds: those that stopped cleanly first, oldest first, then the most recent failures,
   * so that the earliest failures, which are nearest to the cause, stay longest.
   */
  #evict(procsMax: number): void {
    const ended = this.procs().filter(isEnded);
    const surplus = Math.max(ended.length - this.#limits.ended_procs_max, this.#byKey.size - procsMax);
    if (surplus <= 0) return;
    const stopped = ended.filter(({ state }) => state.kind === 'stopped');
    const failed = ended.filter(({ state }) => state.kind === 'failed');
    stopped.sort((a, b) => endedAtMs(a) - endedAtMs(b));
    failed.sort((a, b) => endedAtMs(b) - endedAtMs(a));
    for (const proc of [...stopped, ...failed].slice(0, surplus)) {
      this.#byKey.delete(refKey(proc.ref));
      for (const listener of this.#listeners) listener.removed?.(proc);
    }
  }
}

function isEnded({ state }: HostedProc): boolean {
  return endOf(state) !== null;
}

function endedAtMs({ state }: HostedProc): number {
  return endOf(state)?.ended_at_ms ?? 0;
}
