/** Looking at processes from outside, as a test must: by procfs, whatever the code under test says of them. */
import { readdirSync, readFileSync } from 'node:fs';

/** Whether the process is there and not a zombie. */
export function isThere(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Pids of living processes whose command line contains `text`, this one left out. */
export function findByCommand(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && commandOf(pid).includes(text) && isThere(pid));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Waits until `condition` holds, looking again and again; fails with what it was waiting for. */
export async function until<T>(
  condition: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  what: string,
  wait_ms = 20_000,
): Promise<T> {
  const deadline_ms = Date.now() + wait_ms;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() > deadline_ms) throw new Error(`never came to be: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
