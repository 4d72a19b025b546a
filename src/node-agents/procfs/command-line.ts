/**
 * What a process was started as: `/proc/<pid>/cmdline` holds its arguments, each ended by a zero byte, and `exe` links
 * to its program. A process may overwrite its command line, and kernel threads and zombies have none.
 */
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { PROCFS_LIMITS, type ProcfsLimits } from './limits.ts';
import { readProcess } from './process-stat.ts';
import { PROC_ROOT, pathOfProcess, readProcFile } from './read-proc-file.ts';

/**
 * The arguments, the program first; `[]` when the process has none, null when there is no such process. They may hold
 * secrets: nothing of them leaves the host without `redactCommandLine`.
 */
export function readCommandLine(
  pid: number,
  root: string = PROC_ROOT,
  { command_line_max_bytes }: ProcfsLimits = PROCFS_LIMITS,
): string[] | null {
  const path = pathOfProcess(pid, 'cmdline', root);
  const bytes = path === null ? null : readProcFile(path, command_line_max_bytes);
  if (bytes === null) return null;
  if (bytes.length === 0) return [];
  const text = bytes.toString('utf8');
  return (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}

/**
 * The file name of the program, `python3.11`. The link is unreadable for other users' processes; then, and for kernel
 * threads, the kernel's short name. Null when there is no such process.
 */
export function executableName(pid: number, root: string = PROC_ROOT): string | null {
  const path = pathOfProcess(pid, 'exe', root);
  if (path === null) return null;
  try {
    return basename(readlinkSync(path).replace(/ \(deleted\)$/, ''));
  } catch {
    return readProcess(pid, root)?.comm ?? null;
  }
}
