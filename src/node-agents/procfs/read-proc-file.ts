/**
 * Reads one file of procfs, whose size is unknown until it has been read. Such a read is a copy out of the kernel that
 * takes microseconds and never waits for a disk, so it is synchronous.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { PROCFS_LIMITS } from './limits.ts';

export const PROC_ROOT = '/proc';

// One buffer for all: reads are synchronous and copy their result out, so no two of them overlap.
const shared = Buffer.allocUnsafe(PROCFS_LIMITS.file_max_bytes);

/**
 * The file's bytes up to `max_bytes` (default 64 KiB), or null when it cannot be read: the process has ended, its owner
 * is another user, or this is not Linux.
 */
export function readProcFile(path: string, max_bytes: number = PROCFS_LIMITS.file_max_bytes): Buffer | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    const buffer = max_bytes <= shared.length ? shared : Buffer.allocUnsafe(max_bytes);
    let length = 0;
    while (length < max_bytes) {
      const count = readSync(file, buffer, length, max_bytes - length, null);
      if (count === 0) break;
      length += count;
    }
    return Buffer.from(buffer.subarray(0, length));
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}

export function readProcText(path: string): string | null {
  return readProcFile(path)?.toString('utf8') ?? null;
}

/** The path of a process's file; null for what is no pid, so that a wrong number can never name another file. */
export function pathOfProcess(pid: number, file: string, root: string): string | null {
  return Number.isSafeInteger(pid) && pid > 0 ? `${root}/${pid}/${file}` : null;
}
