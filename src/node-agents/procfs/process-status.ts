/** `/proc/<pid>/status`, as far as it says who may look into a process: owners, capabilities, tracer, seccomp. */
import { PROC_ROOT, pathOfProcess, readProcText } from './read-proc-file.ts';

export interface ProcessStatus {
  readonly state: string | null;
  /** Real, effective, saved and filesystem user ids. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** The process that traces it, 0 when none does. */
  readonly tracer_pid: number | null;
  readonly effective_capabilities: bigint | null;
  readonly permitted_capabilities: bigint | null;
  readonly ambient_capabilities: bigint | null;
  /** 0 none, 1 strict, 2 filter. */
  readonly seccomp_mode: number | null;
}

export function parseStatus(text: string): ProcessStatus {
  const lines = new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()]];
    }),
  );
  const numbers = (name: string) => (lines.get(name) ?? '').split(/\s+/).filter(isDecimal).map(Number);
  const mask = (name: string) => {
    const digits = lines.get(name);
    return digits !== undefined && /^[0-9a-fA-F]{1,16}$/.test(digits) ? BigInt(`0x${digits}`) : null;
  };
  return {
    state: lines.get('State')?.charAt(0) ?? null,
    uids: numbers('Uid'),
    gids: numbers('Gid'),
    tracer_pid: numbers('TracerPid')[0] ?? null,
    effective_capabilities: mask('CapEff'),
    permitted_capabilities: mask('CapPrm'),
    ambient_capabilities: mask('CapAmb'),
    seccomp_mode: numbers('Seccomp')[0] ?? null,
  };
}

/** The status of a process, or null when there is none of this pid. */
export function readStatus(pid: number | 'self', root: string = PROC_ROOT): ProcessStatus | null {
  const path = pid === 'self' ? `${root}/self/status` : pathOfProcess(pid, 'status', root);
  const text = path === null ? null : readProcText(path);
  return text === null ? null : parseStatus(text);
}

function isDecimal(text: string): boolean {
  return /^[0-9]+$/.test(text);
}
