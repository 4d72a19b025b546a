/** The file of tokens on Deno. To read it the program needs `--allow-read` for just this path. */
import type { TokenFile } from '../../access/token-file.ts';
import { deno } from './api.ts';

export function denoTokenFile(name: string): TokenFile {
  return {
    name,
    look() {
      try {
        const { isFile, ino, size, mtime, ctime } = deno.statSync(name);
        const stamp = [ino, size, mtime?.getTime(), ctime?.getTime()].join();
        return { stamp, isRegular: isFile, size_bytes: size };
      } catch (error) {
        if (error instanceof Error && error.name === 'NotFound') return null;
        throw error;
      }
    },
    read: () => deno.readTextFileSync(name),
  };
}
