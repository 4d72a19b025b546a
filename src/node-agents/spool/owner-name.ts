/**
 * Folders of running agents carry their owner in their name, `PID-TICKS-BOOT-RANDOM`: its process by pid and start time, and
 * the boot of the machine in which those mean something. So neither a reused pid nor a changed clock gives a
 * folder another owner.
 */
import { randomBytes } from 'node:crypto';
import { bootId, identify, isRunning } from '../procfs/index.ts';

/** In place of a boot: nobody's, and where it cannot be learned. */
const NO_BOOT = '00000000';
const UNKNOWN_BOOT = 'ffffffff';
const NAME = /^(\d+)-(\d+)-([0-9a-f]{8})-[0-9a-f]{8}$/;

/** A new name for a folder of this process. */
export function ownName(): string {
  const { pid, start_ticks } = identify(process.pid) ?? { pid: process.pid, start_ticks: 0 };
  return `${pid}-${start_ticks}-${bootName()}-${random()}`;
}

/** A new name for a folder that is given up. */
export function nobodysName(): string {
  return `0-0-${NO_BOOT}-${random()}`;
}

/** Whether the name says whose folder it is, and that is over. */
export function isDead(name: string): boolean {
  const [, pid, ticks, boot] = NAME.exec(name) ?? [];
  if (pid === undefined) return false;
  return boot !== bootName() || !isRunning({ pid: Number(pid), start_ticks: Number(ticks) });
}

function bootName(): string {
  return (bootId() ?? '').slice(0, 8) || UNKNOWN_BOOT;
}

function random(): string {
  return randomBytes(4).toString('hex');
}
