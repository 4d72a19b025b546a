/**
 * `/proc/<pid>/stat`: one line, `pid (comm) state ppid pgrp session …`. The name in parentheses may itself hold spaces
 * and parentheses, `a) b (c`, so the fields are counted from the last closing one.
 */
import { PROC_ROOT, pathOfProcess, readProcText } from './read-proc-file.ts';

export interface ProcessStat {
  readonly pid: number;
  /** The kernel's name of the main thread, at most 15 bytes; anything the process likes. */
  readonly comm: string;
  /** R running, S sleeping, D in a wait that cannot be interrupted, T stopped, t traced, Z zombie, X dead, I idle. */
  readonly state: string;
  readonly ppid: number;
  readonly pgrp: number;
  readonly session: number;
  readonly threads: number;
  /** When it started, in clock ticks since the machine booted. Together with the pid, its identity. */
  readonly start_ticks: number;
}

/** Positions after the name, counted from zero. In proc(5) the state is field 3. */
const FIELD = { state: 0, ppid: 1, pgrp: 2, session: 3, threads: 17, start_ticks: 19 } as const;

/** Reads one stat line; null when it is not one. */
export function parseStat(line: string): ProcessStat | null {
  const open = line.indexOf('(');
  const close = line.lastIndexOf(')');
  if (open < 0 || close < open) return null;
  const fields = line.slice(close + 2).split(' ');
  const number = (index: number) => Number(fields[index] ?? Number.NaN);
  const stat = {
    pid: Number(line.slice(0, open).trim()),
    comm: line.slice(open + 1, close),
    state: fields[FIELD.state] ?? '',
    ppid: number(FIELD.ppid),
    pgrp: number(FIELD.pgrp),
    session: number(FIELD.session),
    threads: number(FIELD.threads),
    start_ticks: number(FIELD.start_ticks),
  };
  const isWhole = [stat.pid, stat.ppid, stat.pgrp, stat.session, stat.threads, stat.start_ticks].every(
    Number.isSafeInteger,
  );
  return isWhole && stat.state.length === 1 ? stat : null;
}

/** What the kernel says of a process; null when there is none of this pid. A zombie still has its stat. */
export function readProcess(pid: number, root: string = PROC_ROOT): ProcessStat | null {
  const path = pathOfProcess(pid, 'stat', root);
  const line = path === null ? null : readProcText(path);
  return line === null ? null : parseStat(line);
}

/** Whether the process can still run code, which a zombie, waiting to be collected by its parent, cannot. */
export function isAlive(stat: ProcessStat): boolean {
  return stat.state !== 'Z' && stat.state !== 'X' && stat.state !== 'x';
}
