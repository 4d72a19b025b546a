/**
 * `/proc/<pid>/statm`: sizes in pages, the whole address space first, the resident set second. Numbers are never made
 * up (PD-2): what cannot be read is null, and the two are read independently of each other.
 */
import type { ProcessMemoryStats } from '../../contract/index.ts';
import { pageSizeBytes } from './machine.ts';
import { PROC_ROOT, pathOfProcess, readProcText } from './read-proc-file.ts';

/** Reads a statm line. An address space of zero pages is a zombie's or a kernel thread's: it says nothing. */
export function parseStatm(line: string, page_size_bytes: number | null): ProcessMemoryStats {
  const [vm, rss] = line.trim().split(/\s+/);
  const bytes = (field: string | undefined) => {
    if (field === undefined || page_size_bytes === null || page_size_bytes <= 0 || !/^[0-9]+$/.test(field)) return null;
    const size = Number(field) * page_size_bytes;
    return Number.isSafeInteger(size) ? size : null;
  };
  const vm_bytes = bytes(vm);
  if (vm_bytes === 0) return { process_rss_bytes: null, process_vm_size_bytes: null };
  return { process_rss_bytes: bytes(rss), process_vm_size_bytes: vm_bytes };
}

/** The memory of a process as it is at this moment; nulls when there is none of this pid, or it is a zombie. */
export function readMemory(pid: number | 'self', root: string = PROC_ROOT): ProcessMemoryStats {
  const path = pid === 'self' ? `${root}/self/statm` : pathOfProcess(pid, 'statm', root);
  return parseStatm((path === null ? null : readProcText(path)) ?? '', pageSizeBytes());
}
