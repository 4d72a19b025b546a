/** Files that must be on the disk, complete, before anything refers to them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Waits until the contents of a file or folder are on the disk. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file in one step: a reader sees the old text or the new one, also after a crash. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await writeFile(partial, text, { mode: 0o600 });
    await sync(partial);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw error;
  }
  await sync(dirname(path));
}

export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Names in a folder; none when there is no folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Renames `PATH` to `PATH.TIME.old`, together with the files that the engine keeps beside it, so that it can still be opened
 * by hand. Of several such files only the newest is kept.
 * @param beside endings of the files that are renamed with it, for example `.wal`
 * @returns the new path
 */
export async function setAside(path: string, beside: readonly string[] = []): Promise<string> {
  const folder = dirname(path);
  const name = path.slice(folder.length + 1);
  const time = new Date().toISOString().replaceAll(':', '');
  const target = `${path}.${time}.old`;
  // The logs first: a log must never be found beside a file that it does not belong to.
  for (const ending of beside) await rename(path + ending, target + ending).catch(ignoreMissing);
  await rename(path, target);
  await sync(folder);
  for (const other of await namesIn(folder)) {
    const isOlder = other.startsWith(`${name}.`) && /\.old(\.\w+)*$/.test(other);
    if (isOlder && !join(folder, other).startsWith(target)) {
      await rm(join(folder, other), { recursive: true, force: true });
    }
  }
  return target;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
