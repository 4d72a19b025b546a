/**
 * The place of a collector's socket: the path that was asked for, or a new temporary folder.
 *
 * A socket whose owner was killed stays, and so does the folder around it. Nobody answers there, and the next collector
 * removes it: the socket at its own path, and the folders of others of the same user.
 */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, type Stats, unlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { failure, type Outcome, success } from '../../base/index.ts';
import { type AgentLimits, LIMITS } from '../limits.ts';

/** Longest path of a unix socket, bytes: what the kernel's address has room for. */
export const SOCKET_PATH_MAX_BYTES = 107;

const FOLDER_PREFIX = 'meshscope-agent-';
const SOCKET_NAME = 'telemetry.sock';

export interface SocketPlace {
  readonly socket_path: string;
  /** Removes what was made for the socket, once that is gone. */
  readonly remove: () => void;
}

/** @returns `bad_request` for a path that cannot be a socket's, `service_unavailable` when another agent listens there */
export async function socketPlace(asked: string | undefined, limits: AgentLimits): Promise<Outcome<SocketPlace>> {
  if (asked !== undefined) return placeAt(path.resolve(asked), () => {});
  const parent = tmpdir();
  await removeStale(parent, limits);
  let folder: string;
  try {
    folder = mkdtempSync(path.join(parent, FOLDER_PREFIX));
  } catch (error) {
    return failure('service_unavailable', `a folder for the telemetry socket: ${(error as Error).message}`);
  }
  const remove = (): void => quietly(() => rmdirSync(folder));
  const place = await placeAt(path.join(folder, SOCKET_NAME), remove);
  if (!place.ok) remove();
  return place;
}

/** Removes old folders of this user that killed collectors left: empty, or with a socket on which nothing listens. */
export async function removeStale(parent: string, limits: AgentLimits = LIMITS): Promise<void> {
  for (const folder of foldersIn(parent, limits)) {
    const socket_path = path.join(folder, SOCKET_NAME);
    const stat = lstatSync(socket_path, { throwIfNoEntry: false });
    if (stat !== undefined && (!stat.isSocket() || (await isAnswering(socket_path)))) continue;
    if (stat !== undefined) quietly(() => unlinkSync(socket_path));
    quietly(() => rmdirSync(folder));
  }
}

function foldersIn(parent: string, { collector_stale_age_ms, collector_stale_max }: AgentLimits): string[] {
  try {
    return readdirSync(parent)
      .filter((name) => name.startsWith(FOLDER_PREFIX))
      .map((name) => path.join(parent, name))
      .filter((folder) => {
        const stat = lstatSync(folder, { throwIfNoEntry: false });
        const isOurs = stat?.isDirectory() === true && stat.uid === process.getuid?.();
        return isOurs && Date.now() - stat.mtimeMs > collector_stale_age_ms;
      })
      .slice(0, collector_stale_max);
  } catch {
    return [];
  }
}

/** Makes sure that nothing is at the path, or only what a dead agent left there, which is removed. */
async function placeAt(socket_path: string, remove: () => void): Promise<Outcome<SocketPlace>> {
  const bytes = Buffer.byteLength(socket_path);
  if (bytes > SOCKET_PATH_MAX_BYTES) {
    const message = `telemetry socket ${socket_path}: the path has ${bytes} bytes, a socket's may have ${SOCKET_PATH_MAX_BYTES}`;
    return failure('bad_request', message);
  }
  const place = { socket_path, remove };
  try {
    mkdirSync(path.dirname(socket_path), { recursive: true, mode: 0o700 });
    const before = lstatSync(socket_path, { throwIfNoEntry: false });
    if (before === undefined) return success(place);
    if (!before.isSocket()) {
      return failure('bad_request', `telemetry socket ${socket_path}: there is a file that is no socket`);
    }
    const isTaken = await isAnswering(socket_path);
    const now = lstatSync(socket_path, { throwIfNoEntry: false });
    if (now === undefined) return success(place);
    // Another agent that starts at the same time may have replaced the socket.
    if (isTaken || !isSame(before, now)) {
      return failure('service_unavailable', `telemetry socket ${socket_path}: another agent listens there`);
    }
    unlinkSync(socket_path);
    return success(place);
  } catch (error) {
    return failure('service_unavailable', `telemetry socket ${socket_path}: ${(error as Error).message}`);
  }
}

/** An inode can be reused, but then the time of change differs. */
function isSame(before: Stats, now: Stats): boolean {
  return before.ino === now.ino && before.ctimeMs === now.ctimeMs;
}

function isAnswering(socket_path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(socket_path);
    const give = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => give(true));
    // A full backlog is a sign of life; a refusal, of its absence.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => give(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
  });
}

function quietly(work: () => unknown): void {
  try {
    work();
  } catch {
    // Somebody else put something there, or was faster; it is not ours to remove.
  }
}
