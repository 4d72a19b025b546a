/**
 * The folder of a spool, and what dead agents left in it.
 *
 * 1. Each agent has a folder of its own below the spool's, by whose name it can be seen whether its owner lives
 *    (owner-name.ts). Nobody else reads or writes it (mode 0700).
 * 2. At its end an agent gives its folder up, when there is anything left in it. At its start it looks for folders that
 *    were given up or whose owner is dead, and claims each by renaming it to a name of its own: of
 *    two that try, one succeeds. Claimed and killed, it is the next one's to claim. A folder goes with its last file.
 * 3. What was claimed is read file by file; a torn or corrupt line is skipped, since its producer never got an acknowledgement.
 *    Batches of one producer, which may have outlived several agents, are sorted by their numbers.
 *
 * Folders are not to be shared between machines or pid namespaces: whose process is not to be seen is taken for dead.
 */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { readdir, readFile, rename, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { failure, type Outcome, success } from '../../base/index.ts';
import { type AgentLimits, LIMITS } from '../limits.ts';
import { readLine, type SpoolLine } from './lines.ts';
import { type Place, type SpoolFile, weightOf } from './log.ts';
import { isDead, nobodysName, ownName } from './owner-name.ts';

export interface AdoptedBatch {
  readonly seq: number;
  readonly rows: number;
  readonly lost_rows: number;
  readonly place: Place;
}

export interface AdoptedProducer {
  readonly producer: string;
  readonly acked: number;
  /** By number, each once. */
  readonly batches: readonly AdoptedBatch[];
  /** Losses to be reported by notices of the numbers `to`. */
  readonly untold: readonly { readonly to: number; readonly rows: number }[];
}

export interface Adopted {
  readonly files: readonly SpoolFile[];
  readonly producers: readonly AdoptedProducer[];
  /** Folders that were claimed, to be removed when they are empty. */
  readonly folders: readonly string[];
}

export interface OwnFolder {
  /** This run's own. */
  readonly folder: string;
  /** The spool's. */
  readonly parent: string;
}

/**
 * Makes the folder of this run.
 * @returns `service_unavailable` saying why batches cannot be kept there
 */
export function makeOwnFolder(parent: string, limits: AgentLimits = LIMITS): Outcome<OwnFolder> {
  for (let tries = 1; ; tries += 1) {
    try {
      mkdirSync(parent, { recursive: true, mode: 0o700 });
      const { uid, mode } = statSync(parent);
      if (process.getuid !== undefined && uid !== process.getuid()) throw new Error('it belongs to somebody else');
      if ((mode & 0o077) !== 0) chmodSync(parent, 0o700);
      const folder = path.join(parent, ownName());
      mkdirSync(folder, { mode: 0o700 });
      return success({ folder, parent });
    } catch (error) {
      // Another agent, which ends, has just removed it as empty.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && tries < limits.spool_make_tries_max) continue;
      return failure('service_unavailable', `the spool's folder ${parent} cannot be used: ${(error as Error).message}`);
    }
  }
}

/**
 * Takes over what dead agents left below `parent`. Never rejects; what cannot be read stays where it is.
 *
 * @param claimedName names of the folders as whose owner this process claims them. Default: its own
 */
export async function adopt(
  parent: string,
  claimedName: () => string = ownName,
  limits: AgentLimits = LIMITS,
): Promise<Adopted> {
  const collected = new Collected(limits);
  const folders: string[] = [];
  for (const name of await namesIn(parent)) {
    if (folders.length >= limits.spool_adopted_max) break;
    if (!isDead(name)) continue;
    const claimed = path.join(parent, claimedName());
    try {
      await rename(path.join(parent, name), claimed);
    } catch {
      // Another agent was first.
      continue;
    }
    // Whoever was killed before it wrote anything.
    if (await rmdir(claimed).then(isTrue, isFalse)) continue;
    folders.push(claimed);
    for (const file of await namesIn(claimed)) {
      if (file.endsWith('.ndjson')) await collected.read(path.join(claimed, file));
    }
    collected.endFolder();
  }
  return { ...collected.result(), folders };
}

/** Gives folders up: those that are empty are removed, the others are anybody's to take over. */
export async function giveUp(parent: string, folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const left = path.join(parent, nobodysName());
    await rmdir(folder).catch(() => rename(folder, left).catch(() => {}));
  }
  await rmdir(parent).catch(() => {});
}

const isTrue = (): boolean => true;
const isFalse = (): boolean => false;

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

class Collected {
  readonly #limits: AgentLimits;
  readonly #files: SpoolFile[] = [];
  readonly #batches = new Map<string, Map<number, AdoptedBatch>>();
  readonly #acked = new Map<string, number>();
  readonly #untold: { producer: string; to: number; rows: number }[] = [];
  /** The last of the folder that is being read. */
  #lastUntold: { producer: string; to: number; rows: number }[] = [];

  constructor(limits: AgentLimits) {
    this.#limits = limits;
  }

  async read(file_path: string): Promise<void> {
    const bytes = await readFile(file_path).catch(() => null);
    if (bytes === null) return;
    const file: SpoolFile = { path: file_path, bytes: bytes.length, weight_bytes: 0, held: 0, isGone: false };
    this.#files.push(file);
    for (let offset = 0; offset < bytes.length; ) {
      const end = bytes.indexOf(10, offset);
      if (end < 0) return;
      const place = { file, offset, length: end + 1 - offset };
      file.weight_bytes += weightOf(place.length, this.#limits);
      const line = readLine(bytes.toString('utf8', offset, end));
      if (line !== null) this.#take(line, place);
      offset = end + 1;
      // Reading what is left of a long outage must not hold up everything else.
      await nextTurn();
    }
  }

  endFolder(): void {
    this.#untold.push(...this.#lastUntold);
    this.#lastUntold = [];
  }

  result(): Pick<Adopted, 'files' | 'producers'> {
    const names = new Set([...this.#batches.keys(), ...this.#untold.map(({ producer }) => producer)]);
    const producers = [...names].map((producer): AdoptedProducer => {
      const acked = this.#acked.get(producer) ?? 0;
      const batches = [...(this.#batches.get(producer)?.values() ?? [])].filter(({ seq }) => seq > acked);
      batches.sort((a, b) => a.seq - b.seq);
      return { producer, acked, batches, untold: this.#untold.filter((loss) => loss.producer === producer) };
    });
    return { files: this.#files, producers };
  }

  #take(line: SpoolLine, place: Place): void {
    if ('untold' in line) {
      this.#lastUntold = line.untold;
    } else if ('acked' in line) {
      for (const [producer, seq] of Object.entries<number>(line.acked)) {
        this.#acked.set(producer, Math.max(seq, this.#acked.get(producer) ?? 0));
      }
    } else {
      const { producer, seq, rows, lost_rows } = line;
      const batches = this.#batches.get(producer) ?? new Map<number, AdoptedBatch>();
      this.#batches.set(producer, batches);
      if (!batches.has(seq)) batches.set(seq, { seq, rows, lost_rows, place });
    }
  }
}
