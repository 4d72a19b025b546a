/** How late the event loop of a process is. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** A timer of this period is watched; how late it is beyond that is the delay. */
const PERIOD_MS = 2;

export interface LoopDelay {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
}

/** Begins to watch this process; what it gives tells of the time since it was last asked. */
export function watchLoopDelay(): () => LoopDelay {
  const delays = monitorEventLoopDelay({ resolution: PERIOD_MS });
  delays.enable();
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - PERIOD_MS);
  return () => {
    const delay = {
      p50_ms: late(delays.percentile(50)),
      p99_ms: late(delays.percentile(99)),
      max_ms: late(delays.max),
    };
    delays.reset();
    return delay;
  };
}
