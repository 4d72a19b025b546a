/** The file of tokens on Node. */
import { readFileSync, statSync } from 'node:fs';
import type { TokenFile } from '../token-file.ts';

export function nodeTokenFile(name: string): TokenFile {
  return {
    name,
    stamp() {
      const stat = statSync(name, { throwIfNoEntry: false });
      return stat === undefined ? null : [stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join();
    },
    read: () => readFileSync(name, 'utf8'),
  };
}
