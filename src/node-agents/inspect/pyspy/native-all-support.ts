/**
 * Remembers which binaries do not support `--native-all`. The released py-spy does not, so without this every dump would
 * start it twice, the first time in vain. A binary is identified by path, time of change and size, so a py-spy that replaces
 * it is tried again.
 */
import { stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { PySpyLimits } from './limits.ts';

export class NativeAllSupport {
  readonly #limits: PySpyLimits;
  readonly #refused_at_ms = new Map<string, number>();

  constructor(limits: PySpyLimits) {
    this.#limits = limits;
  }

  /** Whether this program, as it is now, refused the flag within the time that this is remembered. */
  async isKnownToLack(program: string): Promise<boolean> {
    if (this.#refused_at_ms.size === 0) return false;
    const key = await keyOf(program);
    const refused_at_ms = key === null ? undefined : this.#refused_at_ms.get(key);
    return refused_at_ms !== undefined && performance.now() - refused_at_ms < this.#limits.downgrade_memory_ms;
  }

  async remember(program: string): Promise<void> {
    const key = await keyOf(program);
    if (key === null) return;
    this.#refused_at_ms.delete(key);
    this.#refused_at_ms.set(key, performance.now());
    const [oldest] = this.#refused_at_ms.keys();
    if (this.#refused_at_ms.size > this.#limits.downgrades_max && oldest !== undefined) {
      this.#refused_at_ms.delete(oldest);
    }
  }
}

/** Null when the file is not found, which is then not remembered. A name without a slash is looked up as `exec` does. */
async function keyOf(program: string): Promise<string | null> {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const paths = program.includes('/')
    ? [program]
    : folders.map((folder) => join(folder === '' ? '.' : folder, program));
  for (const path of paths) {
    try {
      const { mtimeMs, size, mode } = await stat(path);
      if ((mode & 0o111) !== 0) return `${path}\n${mtimeMs}\n${size}`;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}
