/**
 * Finds processes that the agent did not start: those it watches for, and the children of procs.
 *
 * It only reads procfs; it sends them nothing and attaches to nothing. A process is known by pid
 * and start time, so a pid that is reused is a new process. A process that `--watch` matches is
 * shown in the first or second scan that sees it, because it has its parent's command line until it executes its own program.
 * A child is shown when two scans have seen it, so that short-lived children make no procs. A process that
 * daemonized away from a command is still recognized by the marker in its environment.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AgentLimits } from '../limits.ts';
import {
  hasEnvironmentMarker,
  identityKey,
  isAlive,
  type ProcessIdentity,
  type ProcessStat,
  readCommandLine,
  scanProcesses,
} from '../procfs/index.ts';
import { RUN_MARKER } from './guardian.ts';

export interface FoundProcess {
  readonly stat: ProcessStat;
  /** Whether it was looked for, or is below a process that is known. */
  readonly origin: 'watched' | 'child';
  /** The nearest ancestor that is known; null when there is none. */
  readonly ancestor: ProcessIdentity | null;
}

/** The processes that the host shows already. Further ones are added to it. */
export interface KnownProcesses {
  has(identity: ProcessIdentity): boolean;
  /** How many more may be shown now. */
  room(): number;
  /** @returns false when there is nothing to show: the process has no command line, or has ended */
  add(found: FoundProcess): boolean;
  /** Counts a process for which there is no room. */
  refuse(): void;
}

export interface DiscoveryOptions {
  /** The run marker's value in the environment of what this agent started. */
  readonly run: string;
  /** A process is watched when one of these matches its command line, its arguments joined by spaces. */
  readonly watch: readonly RegExp[];
  /** Single processes to watch; what gets the pid of one of them later is not watched. */
  readonly processes: readonly ProcessIdentity[];
  readonly limits: AgentLimits;
}

const OWN_COMMAND = /(^|\/)(meshscope|meshscope\.mjs|cli\/main\.(ts|js))$/;

export class Discovery {
  readonly #known: KnownProcesses;
  readonly #options: DiscoveryOptions;
  readonly #single: ReadonlySet<string>;
  /** Processes of the last scan, by identity: the name under which they were matched, and in how many scans. */
  #seen = new Map<string, { readonly comm: string; readonly looks: number }>();
  #scanning = false;

  constructor(known: KnownProcesses, options: DiscoveryOptions) {
    this.#known = known;
    this.#options = options;
    this.#single = new Set(options.processes.map(identityKey));
  }

  /** Scans all processes, unless a scan is still running. */
  async scan(): Promise<void> {
    if (this.#scanning) return;
    this.#scanning = true;
    try {
      const processes = new Map<number, ProcessStat>();
      for await (const stat of scanProcesses()) if (isAlive(stat)) processes.set(stat.pid, stat);
      await this.#match(processes);
    } finally {
      this.#scanning = false;
    }
  }

  async #match(processes: ReadonlyMap<number, ProcessStat>): Promise<void> {
    const ours = ancestorsOf(process.pid, processes);
    const seen = new Map<string, { readonly comm: string; readonly looks: number }>();
    let room = this.#known.room();
    // Parents have mostly smaller pids than their children, so that a parent is a proc before its child is looked at.
    for (const stat of processes.values()) {
      const key = identityKey(stat);
      const before = this.#seen.get(key);
      // A process that executes another program keeps its identity and changes its name: it is matched again.
      const looks = before?.comm === stat.comm ? before.looks + 1 : 1;
      seen.set(key, { comm: stat.comm, looks });
      // What the agent itself started becomes a proc where it is started, or is a tool of the agent's.
      if (stat.ppid === process.pid || ours.has(stat.pid) || this.#known.has(stat)) continue;
      const ancestor = this.#ancestorOf(stat, processes);
      const isNew = looks <= this.#options.limits.discovery_new_looks;
      const origin = this.#originOf(stat, isNew, before !== undefined, ancestor);
      if (origin === null) continue;
      if (room <= 0) {
        this.#known.refuse();
      } else if (this.#known.add({ stat, origin, ancestor })) {
        room -= 1;
        // A job may start thousands at once, and each costs a few readings of procfs.
        if (room % this.#options.limits.discovery_slice_procs === 0) await nextTurn();
      }
    }
    this.#seen = seen;
  }

  /** The origin under which the process is shown; null when it is not shown. */
  #originOf(
    stat: ProcessStat,
    isNew: boolean,
    wasThere: boolean,
    ancestor: ProcessIdentity | null,
  ): FoundProcess['origin'] | null {
    if (isNew && this.#isWatched(stat)) return 'watched';
    return wasThere && (ancestor !== null || this.#isStray(stat, isNew)) ? 'child' : null;
  }

  /** The nearest ancestor that is known. */
  #ancestorOf(stat: ProcessStat, processes: ReadonlyMap<number, ProcessStat>): ProcessIdentity | null {
    let ancestor = processes.get(stat.ppid);
    for (let depth = 0; ancestor !== undefined && depth < processes.size; depth += 1) {
      if (this.#known.has(ancestor)) return ancestor;
      ancestor = processes.get(ancestor.ppid);
    }
    return null;
  }

  #isWatched(stat: ProcessStat): boolean {
    if (this.#single.has(identityKey(stat))) return true;
    if (this.#options.watch.length === 0) return false;
    const command = readCommandLine(stat.pid);
    if (command === null || command.some((argument) => OWN_COMMAND.test(argument))) return false;
    const line = command.join(' ');
    return this.#options.watch.some((pattern) => pattern.test(line));
  }

  /** A process that left its parent but carries this run's marker. It is not checked in every scan, because reading the environment takes time. */
  #isStray(stat: ProcessStat, isNew: boolean): boolean {
    return isNew && stat.ppid <= 1 && hasEnvironmentMarker(stat.pid, RUN_MARKER, this.#options.run);
  }
}

/** The agent itself and what started it: their command lines hold the pattern, and they are never what is looked for. */
function ancestorsOf(pid: number, processes: ReadonlyMap<number, ProcessStat>): Set<number> {
  const found = new Set<number>();
  for (let at = processes.get(pid); at !== undefined && !found.has(at.pid); at = processes.get(at.ppid)) {
    found.add(at.pid);
  }
  return found;
}
