/** Turns the processes that discovery finds into procs, and ends those whose process is gone. */
import type { FoundProcess, KnownProcesses } from '../processes/discovery.ts';
import {
  bootId,
  isRunning,
  type ProcessIdentity,
  readCommandLine,
  readRanks,
  redactCommandLine,
  startTimeMs,
} from '../procfs/index.ts';
import { hashUid } from '../producer/hash-uid.ts';
import { AdoptedProc } from './adopted-proc.ts';
import { procRefs, programLabel } from './identity.ts';
import type { ProcHost } from './process-proc.ts';
import type { ProcRegistry } from './registry.ts';

export class AdoptedProcs implements KnownProcesses {
  readonly #host: ProcHost;
  readonly #registry: ProcRegistry;
  readonly #live = new Set<AdoptedProc>();

  constructor(host: ProcHost, registry: ProcRegistry) {
    this.#host = host;
    this.#registry = registry;
  }

  has(identity: ProcessIdentity): boolean {
    return this.#registry.findLive(identity) !== undefined;
  }

  room(): number {
    return this.#host.limits.procs_max - this.#registry.live().length;
  }

  refuse(): void {
    this.#registry.refuse();
  }

  add({ stat, origin, ancestor }: FoundProcess): boolean {
    const { pid, start_ticks } = stat;
    const command = readCommandLine(pid);
    const ranks = readRanks(pid);
    // What was read under a pid is the process's own only if it still has it.
    if (command === null || command.length === 0 || !isRunning(stat)) return false;
    const program = programLabel(command);
    const name = `${program.slice(0, this.#host.limits.program_name_max_chars)}-${pid}`;
    const number = hashUid('process', bootId() ?? '', pid, start_ticks);
    const proc = new AdoptedProc(this.#host, {
      refs: procRefs(this.#host.name, name, program, number),
      name,
      origin,
      identity: { pid, start_ticks },
      command: redactCommandLine(command),
      parent_pid: stat.ppid,
      parent: (ancestor === null ? undefined : this.#registry.findLive(ancestor))?.ref ?? null,
      ...ranks,
      started_at_ms: startTimeMs(start_ticks) ?? Date.now(),
      output: null,
    });
    if (!this.#registry.add(proc)) return false;
    this.#live.add(proc);
    return true;
  }

  /** Ends the procs whose processes are gone. Commands notice their own end. */
  checkLiveness(): void {
    for (const proc of this.#live) if (!proc.checkLiveness()) this.#live.delete(proc);
  }
}
