/** All processes of the machine, read in slices so that a machine with thousands of them does not hold up the agent. */
import { readdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PROCFS_LIMITS, type ProcfsLimits } from './limits.ts';
import { type ProcessStat, readProcess } from './process-stat.ts';
import { PROC_ROOT } from './read-proc-file.ts';

/** The pids there are, ascending; the kernel's `pid_max` is the bound. Empty off Linux. */
export function listPids(root: string = PROC_ROOT): number[] {
  let names: string[];
  try {
    names = readdirSync(root);
  } catch {
    return [];
  }
  return names
    .filter((name) => /^[1-9][0-9]*$/.test(name))
    .map(Number)
    .sort((one, other) => one - other);
}

/**
 * Yields every process once, giving the event loop a turn after each slice (64 processes, about a millisecond). What
 * ends during the scan is left out, and what starts during it may be; the next scan sees it.
 */
export async function* scanProcesses(
  root: string = PROC_ROOT,
  { scan_slice_processes }: ProcfsLimits = PROCFS_LIMITS,
): AsyncGenerator<ProcessStat, void, undefined> {
  for (const [index, pid] of listPids(root).entries()) {
    if (index > 0 && index % scan_slice_processes === 0) await nextTurn();
    const stat = readProcess(pid, root);
    if (stat !== null) yield stat;
  }
}
