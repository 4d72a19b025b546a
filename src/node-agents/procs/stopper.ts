/** Ends the procs that this host may end, and whatever their processes started. */
import { sleep } from '../../base/index.ts';
import type { AgentLimits } from '../limits.ts';
import { isAlive, isRunning, type ProcessIdentity, type ProcessStat, scanProcesses } from '../procfs/index.ts';
import type { ProcRegistry } from './registry.ts';

export class ProcStopper {
  readonly #registry: ProcRegistry;
  readonly #limits: AgentLimits;
  #isHurried = false;

  constructor(registry: ProcRegistry, limits: AgentLimits) {
    this.#registry = registry;
    this.#limits = limits;
  }

  /**
   * Ends all procs: TERM, then KILL after `grace_ms`. Settles when all have ended, and with them what they started in
   * their groups: a shell dies of TERM at once, but the program that it runs still gets the whole grace period.
   */
  async stop(grace_ms: number): Promise<void> {
    const deadline_ms = performance.now() + grace_ms;
    const procs = this.#registry.live().filter(({ group }) => group !== null);
    const groups = new Set(procs.flatMap(({ group }) => group ?? []));
    const family = await descendantsOf(groups);
    await Promise.all(procs.map((proc) => proc.stop(grace_ms)));
    while (!this.#isHurried && performance.now() < deadline_ms && (await isAnyLeft(groups))) {
      await sleep(this.#limits.group_poll_ms);
    }
    // The guardian cannot see a process that left its group and cleared its environment, as sudo does.
    for (const descendant of family) killProcess(descendant);
  }

  /** Ends all procs at once. */
  kill(): void {
    this.#isHurried = true;
    for (const proc of this.#registry.live()) proc.kill();
  }
}

/** Everything below the given processes, as it is now. */
async function descendantsOf(roots: ReadonlySet<number>): Promise<ProcessIdentity[]> {
  const children = new Map<number, ProcessStat[]>();
  for await (const stat of scanProcesses()) children.set(stat.ppid, [...(children.get(stat.ppid) ?? []), stat]);
  const found: ProcessIdentity[] = [];
  const next = [...roots];
  for (let pid = next.pop(); pid !== undefined; pid = next.pop()) {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      next.push(child.pid);
    }
    children.delete(pid);
  }
  return found;
}

/** Whether a process of one of these groups is still there; a zombie is not. */
async function isAnyLeft(groups: ReadonlySet<number>): Promise<boolean> {
  for await (const stat of scanProcesses()) if (groups.has(stat.pgrp) && isAlive(stat)) return true;
  return false;
}

function killProcess(identity: ProcessIdentity): void {
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, 'SIGKILL');
  } catch {
    // It ended at this moment, or is another user's.
  }
}
