/** The file of tokens on Node. */
import { readFileSync, statSync } from 'node:fs';
import { type TokenFile, unusable } from '../../access/token-file.ts';

export function nodeTokenFile(name: string): TokenFile {
  return {
    name,
    stamp() {
      const stat = statSync(name, { throwIfNoEntry: false });
      if (stat === undefined) return null;
      const error = unusable(stat.isFile(), stat.size);
      if (error !== null) throw new Error(error);
      return [stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join();
    },
    read: () => readFileSync(name, 'utf8'),
  };
}
