/**
 * Finding processes that the agent did not start: those it was told to watch for, and the children of procs.
 *
 * Looking is all that is done to them: procfs is read, nothing is sent and nothing attached. A process is known by pid
 * and start time, so a pid that is given out again is a new process. What `--watch` matches is shown when it is first
 * seen; a child is shown when it has been there for two looks, so that what comes and goes at once makes no procs. A
 * process that daemonized away from a command is still recognized by the marker in its environment.
 */

import { RUN_MARKER } from './guardian.ts';
import { hashUid, procRefs, programLabel, uuidV7 } from './identity.ts';
import { type ProcOrigin, type ProcRecord, UNKNOWN_EXIT } from './proc-record.ts';
import {
  bootId,
  hasEnvironmentMarker,
  identityKey,
  isAlive,
  isRunning,
  type ProcessStat,
  readCommandLine,
  readRanks,
  redactCommandLine,
  scanProcesses,
  startTimeMs,
} from './procfs/index.ts';
import type { ProcRegistry } from './registry.ts';

export interface DiscoveryOptions {
  readonly host_name: string;
  /** The run marker's value in the environment of what this agent started. */
  readonly run: string;
  /** A process is watched when one of these matches its command line, its arguments joined by spaces. */
  readonly watch: readonly RegExp[];
  /** Single processes to watch. */
  readonly pids: readonly number[];
}

const ENDED_UNSEEN = 'process ended (meshscope did not start it, so its exit status is not known)';
const OWN_COMMAND = /(^|\/)(meshscope|meshscope\.mjs|cli\/main\.(ts|js))$/;

export class Discovery {
  readonly #registry: ProcRegistry;
  readonly #options: DiscoveryOptions;
  /** Processes seen in the last look, by identity, with the name under which they were judged. */
  #seen = new Map<string, string>();
  #scanning = false;

  constructor(registry: ProcRegistry, options: DiscoveryOptions) {
    this.#registry = registry;
    this.#options = options;
  }

  /** One look at all processes. A look that is still under way is not overtaken by another. */
  async scan(): Promise<void> {
    if (this.#scanning) return;
    this.#scanning = true;
    try {
      const processes = new Map<number, ProcessStat>();
      for await (const stat of scanProcesses()) if (isAlive(stat)) processes.set(stat.pid, stat);
      this.#judge(processes);
    } finally {
      this.#scanning = false;
    }
  }

  /** Ends the procs whose processes are gone. Those that the agent started tell of their end themselves. */
  checkLiveness(): void {
    for (const record of this.#registry.live()) {
      if (record.origin === 'started' || record.identity === null || isRunning(record.identity)) continue;
      const ended_at_ms = Date.now();
      this.#registry.move(record, { kind: 'stopped', reason: ENDED_UNSEEN, ended_at_ms, exit: UNKNOWN_EXIT });
    }
  }

  #judge(processes: ReadonlyMap<number, ProcessStat>): void {
    const ours = ancestorsOf(process.pid, processes);
    const seen = new Map<string, string>();
    // Parents have mostly smaller pids than their children, so that a parent is a proc before its child is looked at.
    for (const stat of processes.values()) {
      const key = identityKey(stat);
      seen.set(key, stat.comm);
      // What the agent itself started becomes a proc where it is started, or is a tool of the agent's.
      if (stat.ppid === process.pid || ours.has(stat.pid) || this.#registry.findLive(stat.pid) !== undefined) continue;
      const parent = this.#parentOf(stat, processes);
      // A process that executes another program keeps its identity and changes its name: it is judged anew.
      const isNew = this.#seen.get(key) !== stat.comm;
      if (isNew && this.#isWatched(stat)) this.#add(stat, 'watched', parent);
      else if (this.#seen.has(key) && (parent !== null || this.#isStray(stat, isNew))) this.#add(stat, 'child', parent);
    }
    this.#seen = seen;
  }

  /** The nearest ancestor that is a proc. */
  #parentOf(stat: ProcessStat, processes: ReadonlyMap<number, ProcessStat>): ProcRecord | null {
    let ancestor = processes.get(stat.ppid);
    for (let depth = 0; ancestor !== undefined && depth < processes.size; depth += 1) {
      const record = this.#registry.findLive(ancestor.pid);
      if (record !== undefined) return record;
      ancestor = processes.get(ancestor.ppid);
    }
    return null;
  }

  #isWatched(stat: ProcessStat): boolean {
    if (this.#options.pids.includes(stat.pid)) return true;
    if (this.#options.watch.length === 0) return false;
    const command = readCommandLine(stat.pid);
    if (command === null || command.some((argument) => OWN_COMMAND.test(argument))) return false;
    const line = command.join(' ');
    return this.#options.watch.some((pattern) => pattern.test(line));
  }

  /** A process that left its parent but carries this run's marker. It is asked once, since reading it is not free. */
  #isStray(stat: ProcessStat, isNew: boolean): boolean {
    return isNew && stat.ppid <= 1 && hasEnvironmentMarker(stat.pid, RUN_MARKER, this.#options.run);
  }

  #add(stat: ProcessStat, origin: ProcOrigin, parent: ProcRecord | null): void {
    const command = readCommandLine(stat.pid);
    if (command === null || command.length === 0) return;
    const program = programLabel(command);
    const name = `${program.slice(0, 48)}-${stat.pid}`;
    const number = hashUid('process', bootId() ?? '', stat.pid, stat.start_ticks);
    this.#registry.add({
      refs: procRefs(this.#options.host_name, name, program, number),
      name,
      origin,
      identity: { pid: stat.pid, start_ticks: stat.start_ticks },
      command: redactCommandLine(command),
      parent_pid: stat.ppid,
      parent,
      ...readRanks(stat.pid),
      started_at_ms: startTimeMs(stat.start_ticks) ?? Date.now(),
      instance_ids: { proc_agent: uuidV7(), command: uuidV7() },
      output: null,
      state: { kind: 'running' },
    });
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
