/**
 * Which process is meant. The kernel gives a pid out again when its process has ended, so a pid alone never names one:
 * the pid together with the start time does (PS-1).
 */
import { isAlive, readProcess } from './process-stat.ts';
import { PROC_ROOT } from './read-proc-file.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, as in `ProcessStat.start_ticks`. */
  readonly start_ticks: number;
}

/** The identity of the process that has this pid now, or null when there is none. */
export function identify(pid: number, root: string = PROC_ROOT): ProcessIdentity | null {
  const stat = readProcess(pid, root);
  return stat === null ? null : { pid: stat.pid, start_ticks: stat.start_ticks };
}

/** Whether this very process still exists, be it as a zombie. A process that got its pid later is another one. */
export function isSameProcess(identity: ProcessIdentity, root: string = PROC_ROOT): boolean {
  return readProcess(identity.pid, root)?.start_ticks === identity.start_ticks;
}

/** Whether this very process exists and is not a zombie. */
export function isRunning(identity: ProcessIdentity, root: string = PROC_ROOT): boolean {
  const stat = readProcess(identity.pid, root);
  return stat !== null && stat.start_ticks === identity.start_ticks && isAlive(stat);
}

/** One text per process, for maps and sets. */
export function identityKey(identity: ProcessIdentity): string {
  return `${identity.pid}@${identity.start_ticks}`;
}
