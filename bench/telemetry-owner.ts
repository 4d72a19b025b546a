/**
 * The telemetry service as a process: `telemetry-owner.ts DATA_DIR TOKEN`. Its parent may ask it for `url`, and for `delay`:
 * how late its event loop was since it was last asked.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { startTelemetry } from '../src/telemetry/index.ts';

/** A timer of this period is watched; how late it is beyond that is the delay. */
const PERIOD_MS = 2;

export interface LoopDelay {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
}

const [data_dir = '', token = ''] = process.argv.slice(2);
const started = await startTelemetry({ data_dir, token });
if (!started.ok) throw new Error(started.failure.message);
const service = started.value;
const delays = monitorEventLoopDelay({ resolution: PERIOD_MS });
delays.enable();
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('message', (question) => {
  if (question === 'url') process.send?.(service.url);
  if (question === 'delay') {
    const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - PERIOD_MS);
    const { max } = delays;
    process.send?.({
      p50_ms: late(delays.percentile(50)),
      p99_ms: late(delays.percentile(99)),
      max_ms: late(max),
    } satisfies LoopDelay);
    delays.reset();
  }
});
