/** The procs of a host, by identity. Every change is told to one listener; ended procs are kept within a bound. */
import { refKey } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import type { ProcessIdentity } from '../procfs/index.ts';
import { endedAtMs, isEnded, type ProcRecord, type ProcState } from './proc-record.ts';

export interface RegistryListener {
  added(record: ProcRecord): void;
  changed(record: ProcRecord): void;
  removed(record: ProcRecord): void;
  /** Told of a process that is not shown, with the number of those until now. */
  refused(count: number): void;
}

export class ProcRegistry {
  readonly #listener: RegistryListener;
  readonly #byKey = new Map<string, ProcRecord>();
  readonly #byPid = new Map<number, ProcRecord>();
  #refused = 0;

  constructor(listener: RegistryListener) {
    this.#listener = listener;
  }

  /** In the order in which the procs became known. */
  records(): ProcRecord[] {
    return [...this.#byKey.values()];
  }

  live(): ProcRecord[] {
    return this.records().filter((record) => !isEnded(record));
  }

  find(key: string): ProcRecord | undefined {
    return this.#byKey.get(key);
  }

  /** The live proc of a process. A process that got the pid of an earlier one is not that one's proc. */
  findLive(identity: ProcessIdentity): ProcRecord | undefined {
    const record = this.#byPid.get(identity.pid);
    return record?.identity?.start_ticks === identity.start_ticks ? record : undefined;
  }

  /** True when the proc is shown; false when the host shows as many as it may. */
  add(record: ProcRecord): boolean {
    if (this.#byKey.size >= LIMITS.procs_max) this.#evict(LIMITS.procs_max - 1);
    if (this.#byKey.size >= LIMITS.procs_max) {
      this.refuse();
      return false;
    }
    this.#byKey.set(refKey(record.refs.proc), record);
    if (record.identity !== null && !isEnded(record)) this.#byPid.set(record.identity.pid, record);
    this.#listener.added(record);
    return true;
  }

  /** Moves a proc to another state; a proc that has ended stays as it ended (FI-2). */
  move(record: ProcRecord, state: ProcState): void {
    if (isEnded(record)) return;
    record.state = state;
    const pid = record.identity?.pid ?? 0;
    // The pid may be that of another proc by now.
    if (isEnded(record) && this.#byPid.get(pid) === record) this.#byPid.delete(pid);
    this.#listener.changed(record);
    if (isEnded(record)) this.#evict(LIMITS.procs_max);
  }

  /** Tells the listener of a change that is not a change of state, such as output that came late. */
  touch(record: ProcRecord): void {
    if (this.#byKey.has(refKey(record.refs.proc))) this.#listener.changed(record);
  }

  /** Counts a process that is not shown because the host shows as many as it may. */
  refuse(): void {
    this.#refused += 1;
    this.#listener.refused(this.#refused);
  }

  /**
   * Drops ended procs beyond the bounds: those that stopped cleanly first, oldest first, then the most recent failures,
   * so that the earliest failures, which are nearest to the cause, stay longest.
   */
  #evict(procsMax: number): void {
    const ended = this.records().filter(isEnded);
    const surplus = Math.max(ended.length - LIMITS.ended_procs_max, this.#byKey.size - procsMax);
    if (surplus <= 0) return;
    const stopped = ended.filter((record) => record.state.kind === 'stopped');
    const failed = ended.filter((record) => record.state.kind === 'failed');
    stopped.sort((a, b) => (endedAtMs(a) ?? 0) - (endedAtMs(b) ?? 0));
    failed.sort((a, b) => (endedAtMs(b) ?? 0) - (endedAtMs(a) ?? 0));
    for (const record of [...stopped, ...failed].slice(0, surplus)) {
      this.#byKey.delete(refKey(record.refs.proc));
      this.#listener.removed(record);
    }
  }
}
