/** The file of tokens on Node. */
import { readFileSync, statSync } from 'node:fs';
import type { TokenFile } from '../../access/token-file.ts';

export function nodeTokenFile(name: string): TokenFile {
  return {
    name,
    look() {
      const stat = statSync(name, { throwIfNoEntry: false });
      if (stat === undefined) return null;
      const stamp = [stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join();
      return { stamp, isRegular: stat.isFile(), size_bytes: stat.size };
    },
    read: () => readFileSync(name, 'utf8'),
  };
}
