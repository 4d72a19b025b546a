/** Launches a query process: in its own folder, with an empty environment, and with bounds that the kernel holds. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TelemetryLimits } from '../../limits.ts';

/** Source or built, like this file. */
const ENTRY = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../process/entry.ts' : '../process/entry.js', import.meta.url),
);
/** Node cannot limit the data segment of a process. The shell can, and then becomes the process. */
const LAUNCH = 'ulimit -d "$0" 2>/dev/null; ulimit -c 0 2>/dev/null; exec "$@"';

/**
 * DuckDB's allocator: one pool for all threads, and free memory goes back to the system. With DuckDB's own settings each
 * thread keeps what it once had, which counts in the data segment: after a few large results, a third of the memory would be
 * left to a query.
 */
const ALLOCATOR = 'narenas:1,dirty_decay_ms:1000';

/** @param folder where the process may write */
export function launchQueryProcess(folder: string, limits: TelemetryLimits): ChildProcess {
  const node = [
    process.execPath,
    `--max-old-space-size=${limits.sql_heap_mib}`,
    '--expose-gc',
    '--disable-warning=ExperimentalWarning',
    ENTRY,
  ];
  return spawn('/bin/sh', ['-c', LAUNCH, String(limits.sql_process_memory_mib * 1024), ...node], {
    cwd: folder,
    env: { HOME: folder, DUCKDB_JE_MALLOC_CONF: ALLOCATOR },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
  });
}
