/**
 * A lock between processes on one machine: a directory holding one file for each owner, named after it.
 *
 * It is made complete under another name and renamed into place, which fails while the lock is held, so a lock without
 * an owner cannot be seen. An owner is a pid and, where procfs tells it, the start time of that pid, so that a reused
 * pid does not keep a dead owner's lock alive. A child that goes on working when its parent is killed is an owner too.
 * Removing the lock of dead owners is itself guarded by a directory, since two waiters that found the same dead owners
 * would otherwise remove each other's new lock.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 100;
const WAIT_MS = 10 * 60_000;
const GUARD_MS = 10_000;

/**
 * Runs `work(share)` while holding the lock at `path`; `share(pid)` makes a child an owner as well.
 * `onWait(pid)` is called once, when somebody else holds the lock. Waiting ends with an error after ten minutes.
 */
export async function withLock(path, onWait, work) {
  mkdirSync(dirname(path), { recursive: true });
  const deadline = Date.now() + WAIT_MS;
  let told = false;
  while (!acquire(path)) {
    const owners = ownersOf(path);
    const living = owners.find(isAlive);
    if (owners.length > 0 && !living) removeDead(path);
    else if (living && !told) {
      told = true;
      onWait(living.split('.')[0]);
    }
    if (Date.now() > deadline)
      throw new Error(`${path} is still held after ${WAIT_MS / 60_000} minutes; remove it if nothing is installing`);
    await sleep(POLL_MS);
  }
  try {
    return await work((pid) => writeFileSync(join(path, identity(pid)), ''));
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

function acquire(path) {
  const candidate = mkdtempSync(`${path}.`);
  try {
    writeFileSync(join(candidate, identity(process.pid)), '');
    renameSync(candidate, path);
    return true;
  } catch (error) {
    rmSync(candidate, { recursive: true, force: true });
    if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return false;
    throw error;
  }
}

function ownersOf(path) {
  try {
    return readdirSync(path);
  } catch {
    return []; // Released since we looked.
  }
}

function removeDead(path) {
  const guard = `${path}-guard`;
  try {
    mkdirSync(guard);
  } catch {
    if (Date.now() - (statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > GUARD_MS)
      rmSync(guard, { recursive: true, force: true });
    return;
  }
  if (!ownersOf(path).some(isAlive)) rmSync(path, { recursive: true, force: true });
  rmSync(guard, { recursive: true, force: true });
}

function identity(pid) {
  return `${pid}.${startTime(pid) ?? ''}`;
}

function isAlive(owner) {
  const [pid, started] = owner.split('.');
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
  return started === '' || started === startTime(pid);
}

/** Field 22 of /proc/PID/stat, counted after the command name, which may hold spaces and parentheses. */
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
