/** The file of tokens on Deno. To read it the program needs `--allow-read` for just this path. */
import { type TokenFile, unusable } from '../../access/token-file.ts';
import { deno } from './api.ts';

export function denoTokenFile(name: string): TokenFile {
  return {
    name,
    stamp() {
      try {
        const { isFile, ino, size, mtime, ctime } = deno.statSync(name);
        const error = unusable(isFile, size);
        if (error !== null) throw new Error(error);
        return [ino, size, mtime?.getTime(), ctime?.getTime()].join();
      } catch (error) {
        if (error instanceof Error && error.name === 'NotFound') return null;
        throw error;
      }
    },
    read: () => deno.readTextFileSync(name),
  };
}
