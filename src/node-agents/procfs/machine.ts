/**
 * Facts of the running kernel. Page size and clock ticks come from the auxiliary vector that the kernel hands every
 * process: pairs of machine words, type and value, in native byte order.
 */
import { endianness } from 'node:os';
import { arch } from 'node:process';
import { PROC_ROOT, readProcFile, readProcText } from './read-proc-file.ts';

const AT_PAGESZ = 6;
const AT_CLKTCK = 17;
/** USER_HZ, which is part of the kernel's ABI on every platform that Node runs on. */
const CLOCK_TICKS_PER_SECOND = 100;
const WORD_BYTES = arch === 'arm' || arch === 'ia32' ? 4 : 8;

/** The value of one type in an auxiliary vector, or null when it is not in it. */
export function auxiliaryValue(vector: Buffer, type: number, word_bytes: number = WORD_BYTES): number | null {
  const word = (offset: number) => {
    if (word_bytes === 4) return endianness() === 'LE' ? vector.readUInt32LE(offset) : vector.readUInt32BE(offset);
    return Number(endianness() === 'LE' ? vector.readBigUInt64LE(offset) : vector.readBigUInt64BE(offset));
  };
  for (let offset = 0; offset + 2 * word_bytes <= vector.length; offset += 2 * word_bytes) {
    if (word(offset) === type) return word(offset + word_bytes);
  }
  return null;
}

let vector: Buffer | null | undefined;

function ownValue(type: number): number | null {
  vector ??= readProcFile(`${PROC_ROOT}/self/auxv`);
  const value = vector === null ? null : auxiliaryValue(vector, type);
  return value !== null && value > 0 ? value : null;
}

/** Bytes of a page of memory, or null where it cannot be learned; it is never assumed (PD-2). */
export function pageSizeBytes(): number | null {
  return ownValue(AT_PAGESZ);
}

export function clockTicksPerSecond(): number {
  return ownValue(AT_CLKTCK) ?? CLOCK_TICKS_PER_SECOND;
}

/** A random id of this boot of the machine, or null off Linux. */
export function bootId(root: string = PROC_ROOT): string | null {
  return readProcText(`${root}/sys/kernel/random/boot_id`)?.trim() ?? null;
}

let boot_ms: number | null | undefined;

/**
 * When the machine booted, milliseconds since the Unix epoch, or null off Linux. Taken once, so that a process has the
 * same start time whenever it is asked for, also after the clock was set.
 */
export function bootTimeMs(): number | null {
  boot_ms ??= readBootTimeMs();
  return boot_ms;
}

function readBootTimeMs(): number | null {
  // `uptime` has hundredths of a second where `btime` of /proc/stat has seconds.
  const uptime_s = Number(readProcText(`${PROC_ROOT}/uptime`)?.split(' ')[0] ?? Number.NaN);
  return Number.isFinite(uptime_s) ? Math.round(Date.now() - uptime_s * 1000) : null;
}

/** A start time in clock ticks since boot as milliseconds since the Unix epoch, or null off Linux. */
export function startTimeMs(start_ticks: number): number | null {
  const boot = bootTimeMs();
  return boot === null ? null : boot + Math.round((start_ticks * 1000) / clockTicksPerSecond());
}
