/**
 * The two questions that are asked of a process's environment. It is full of secrets, so it is searched as bytes: no
 * other variable is decoded, kept or returned.
 */
import { PROCFS_LIMITS, type ProcfsLimits } from './limits.ts';
import { PROC_ROOT, pathOfProcess, readProcFile } from './read-proc-file.ts';

export interface Ranks {
  /** `RANK`: the process's number in the whole job. */
  readonly rank: number | null;
  /** `LOCAL_RANK`: its number on this machine. */
  readonly local_rank: number | null;
}

/** The ranks a launcher gave the process; null where there is none, it is no number, or the environment is unreadable. */
export function readRanks(pid: number, root: string = PROC_ROOT, limits: ProcfsLimits = PROCFS_LIMITS): Ranks {
  const environment = readEnvironment(pid, root, limits);
  return { rank: numberOf(environment, 'RANK'), local_rank: numberOf(environment, 'LOCAL_RANK') };
}

/**
 * Whether the process was started with this variable set to this value. Children inherit it, so it finds the
 * descendants of a process whatever parent they have by now.
 */
export function hasEnvironmentMarker(
  pid: number,
  name: string,
  value: string,
  root: string = PROC_ROOT,
  limits: ProcfsLimits = PROCFS_LIMITS,
): boolean {
  return bytesOf(readEnvironment(pid, root, limits), name)?.equals(Buffer.from(value)) ?? false;
}

function readEnvironment(pid: number, root: string, { environment_max_bytes }: ProcfsLimits): Buffer | null {
  const path = pathOfProcess(pid, 'environ', root);
  return path === null ? null : readProcFile(path, environment_max_bytes);
}

function numberOf(environment: Buffer | null, name: string): number | null {
  const text = bytesOf(environment, name)?.toString('latin1');
  return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : null;
}

/** The bytes between `name=` at the start of an entry and the zero byte that ends it. */
function bytesOf(environment: Buffer | null, name: string): Buffer | null {
  if (environment === null) return null;
  const head = Buffer.from(`${name}=`);
  const isFirst = environment.subarray(0, head.length).equals(head);
  const start = isFirst ? 0 : environment.indexOf(`\0${name}=`) + 1;
  if (!isFirst && start === 0) return null;
  const end = environment.indexOf(0, start);
  return environment.subarray(start + head.length, end < 0 ? environment.length : end);
}
