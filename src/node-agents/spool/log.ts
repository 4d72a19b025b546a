/**
 * The files of a spool: lines are appended, read back by their place, and go file by file.
 *
 * 1. A file holds one line after the other and is never written again once it is full; it is removed when no line of it is
 *    held any more. Files are numbered, and have the owner's folder.
 * 2. `append` settles when the line is with the kernel: what it has, outlives the process. Once a second the file is synced,
 *    so a crash of the machine may lose the last second.
 * 3. A line that the disk does not take settles as null, and so do those of the next `spool_retry_ms`; then a new file
 *    is tried. What a failed write left behind is cut off, so that a torn line can only be the last one of a file.
 */
import { type FileHandle, open, rm, rmdir, truncate } from 'node:fs/promises';
import path from 'node:path';
import { retry } from '../../base/index.ts';
import type { AgentLimits } from '../limits.ts';

/** One file. `held` counts the reasons to keep it: its lines that are still needed. */
export interface SpoolFile {
  readonly path: string;
  bytes: number;
  /** What its lines count in the bound of the spool. */
  weight_bytes: number;
  held: number;
  isGone: boolean;
}

export interface Place {
  readonly file: SpoolFile;
  readonly offset: number;
  readonly length: number;
}

interface WaitingLine {
  readonly bytes: Buffer;
  readonly placed: (place: Place | null) => void;
}

/** What a line counts in the bound. */
export function weightOf(line_bytes: number, { spool_batch_min_bytes }: AgentLimits): number {
  return Math.max(line_bytes, spool_batch_min_bytes);
}

export class SpoolLog {
  /** Oldest first; the last may be the one that is written to. */
  readonly files: SpoolFile[] = [];
  readonly #folder: string;
  readonly #file_max_bytes: number;
  readonly #limits: AgentLimits;
  readonly #onTrouble: (message: string) => void;
  readonly #waiting: WaitingLine[] = [];
  #current: { readonly file: SpoolFile; readonly handle: FileHandle } | null = null;
  #number = 0;
  #running: Promise<void> | null = null;
  #writing: Promise<unknown> = Promise.resolve();
  readonly #removing = new Set<Promise<void>>();
  #isDirty = false;
  #broken_until_ms = 0;
  #isTroubled = false;
  #isClosed = false;
  readonly #closing = new AbortController();
  readonly #syncTimer: NodeJS.Timeout;

  /**
   * @param onTrouble is called when the disk accepts no lines, once until it accepts lines again
   */
  constructor(folder: string, file_max_bytes: number, limits: AgentLimits, onTrouble: (message: string) => void) {
    this.#folder = folder;
    this.#file_max_bytes = file_max_bytes;
    this.#limits = limits;
    this.#onTrouble = onTrouble;
    this.#syncTimer = setInterval(() => void this.#sync(), limits.spool_sync_ms);
    this.#syncTimer.unref();
  }

  /** Whether the last line was taken. */
  get isWell(): boolean {
    return !this.#isTroubled;
  }

  get weight_bytes(): number {
    return this.files.reduce((sum, file) => sum + file.weight_bytes, 0);
  }

  /** @param line without its end; settles as null when the disk does not take it, and after the end. The place is held. */
  append(line: string): Promise<Place | null> {
    if (this.#isClosed) return Promise.resolve(null);
    return new Promise((placed) => {
      this.#waiting.push({ bytes: Buffer.from(`${line}\n`), placed });
      this.#running ??= this.#run();
    });
  }

  /** A line; null when the file is gone, or cannot be read however often it is tried. */
  async read(place: Place): Promise<string | null> {
    const { spool_reads_max: tries_max, spool_read_retry_ms: first_ms } = this.#limits;
    const read = await retry(
      () => tryToRead(place),
      // Anything else may pass: a want of descriptors, a disk that is away for a moment.
      ({ text, isMissing }) => text !== null || isMissing,
      { tries_max, first_ms, jitter: 0, signal: this.#closing.signal },
    );
    return read.text;
  }

  /** Files of an earlier owner, oldest first, which come before all of ours. */
  adopt(files: readonly SpoolFile[]): void {
    this.files.unshift(...files);
  }

  /** One reason less to keep a file. */
  release(file: SpoolFile): void {
    file.held -= 1;
    if (file.held <= 0 && file !== this.#current?.file) this.remove(file);
  }

  /** Removes a file, whatever is in it. */
  remove(file: SpoolFile): void {
    file.isGone = true;
    const index = this.files.indexOf(file);
    if (index >= 0) this.files.splice(index, 1);
    if (file === this.#current?.file) this.#closeCurrent();
    const removing = removeFile(file.path, this.#folder).finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
  }

  /** Removes the file that is written to, when nothing in it is held any more. */
  clear(): void {
    const file = this.#current?.file;
    if (file !== undefined && file.held <= 0 && this.#running === null) this.#closeCurrent();
  }

  /** Finishes what waits; the files stay, unless nothing in them is held. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#closing.abort();
    clearInterval(this.#syncTimer);
    while (this.#running !== null) await this.#running;
    const last = this.#current;
    this.#current = null;
    if (last !== null) await endFile(last.handle, last.file.held > 0);
    for (const file of this.files.filter(({ held }) => held <= 0)) {
      this.files.splice(this.files.indexOf(file), 1);
      await removeFile(file.path, this.#folder);
    }
    await Promise.all(this.#removing);
  }

  async #run(): Promise<void> {
    await null;
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      const writing = this.#write(group.map(({ bytes }) => bytes));
      this.#writing = writing;
      const places = await writing;
      for (const [index, { placed }] of group.entries()) placed(places?.[index] ?? null);
    }
    this.#running = null;
  }

  /** Lines that share a write: what one file may take, and at least one. */
  #takeGroup(): WaitingLine[] {
    const room = this.#file_max_bytes - (this.#current?.file.bytes ?? 0);
    let bytes = 0;
    const end = this.#waiting.findIndex((line, index) => {
      bytes += line.bytes.length;
      return index > 0 && bytes > room;
    });
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  async #write(lines: readonly Buffer[]): Promise<Place[] | null> {
    if (performance.now() < this.#broken_until_ms) return null;
    let target: { readonly file: SpoolFile; readonly handle: FileHandle } | null = null;
    try {
      target = this.#current ?? (await this.#begin());
      // Somebody may remove the file while it is written to; the descriptor is good all the same.
      const { file, handle } = target;
      const whole = lines.length === 1 ? (lines[0] as Buffer) : Buffer.concat(lines);
      for (let at = 0; at < whole.length; ) {
        const { bytesWritten } = await handle.write(whole, at, whole.length - at, file.bytes + at);
        at += bytesWritten;
      }
      this.#isDirty = true;
      this.#isTroubled = false;
      // Removed meanwhile: to the next one, then.
      if (file.isGone) return this.#write(lines);
      const places = lines.map((line): Place => {
        const place = { file, offset: file.bytes, length: line.length };
        file.bytes += line.length;
        file.weight_bytes += weightOf(line.length, this.#limits);
        file.held += 1;
        return place;
      });
      if (file.bytes >= this.#file_max_bytes && this.#current?.file === file) this.#closeCurrent();
      return places;
    } catch (error) {
      this.#fail(error as Error, target?.file ?? null);
      return null;
    }
  }

  async #begin(): Promise<{ readonly file: SpoolFile; readonly handle: FileHandle }> {
    this.#number += 1;
    const name = `${String(this.#number).padStart(8, '0')}.ndjson`;
    const file: SpoolFile = { path: path.join(this.#folder, name), bytes: 0, weight_bytes: 0, held: 0, isGone: false };
    const handle = await open(file.path, 'wx', 0o600);
    this.files.push(file);
    this.#current = { file, handle };
    return this.#current;
  }

  #closeCurrent(): void {
    const last = this.#current;
    this.#current = null;
    if (last === null) return;
    if (last.file.held <= 0) this.remove(last.file);
    // What is being written is finished first.
    void this.#writing.then(() => endFile(last.handle, last.file.held > 0));
  }

  #fail(error: Error, file: SpoolFile | null): void {
    this.#broken_until_ms = performance.now() + this.#limits.spool_retry_ms;
    if (!this.#isTroubled) this.#onTrouble(error.message);
    this.#isTroubled = true;
    if (file === null) return;
    if (this.#current?.file === file) this.#closeCurrent();
    void truncate(file.path, file.bytes).catch(() => {});
  }

  async #sync(): Promise<void> {
    if (!this.#isDirty || this.#current === null) return;
    this.#isDirty = false;
    await this.#current.handle.datasync().catch(() => {});
  }
}

async function endFile(handle: FileHandle, isNeeded: boolean): Promise<void> {
  if (isNeeded) await handle.datasync().catch(() => {});
  await handle.close().catch(() => {});
}

interface ReadText {
  /** Null when it could not be read. */
  readonly text: string | null;
  /** There is no such file. */
  readonly isMissing: boolean;
}

async function tryToRead({ file, offset, length }: Place): Promise<ReadText> {
  try {
    return { text: await readAt(file.path, offset, length), isMissing: false };
  } catch (error) {
    return { text: null, isMissing: (error as NodeJS.ErrnoException).code === 'ENOENT' };
  }
}

async function readAt(file_path: string, offset: number, length: number): Promise<string> {
  const handle = await open(file_path, 'r');
  try {
    const bytes = Buffer.alloc(length);
    const { bytesRead } = await handle.read(bytes, 0, length, offset);
    return bytes.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** With the last file of a folder that was taken over, that folder goes as well. */
async function removeFile(file_path: string, own_folder: string): Promise<void> {
  await rm(file_path, { force: true }).catch(() => {});
  const folder = path.dirname(file_path);
  if (folder !== own_folder) await rmdir(folder).catch(() => {});
}
