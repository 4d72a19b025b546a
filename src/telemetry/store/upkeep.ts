/** Seals and sweeps a store whenever that is due, one after the other. */
import { messageOf, type WarningLog } from '../../base/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import { sweepIntervalMs } from '../retention/settings.ts';
import type { Store } from './store.ts';

/** @returns stops the upkeep; closing the store finishes what is under way */
export function startUpkeep(store: Store, limits: TelemetryLimits, log: WarningLog): () => void {
  const sweepInterval_ms = sweepIntervalMs(limits);
  const warn = (what: string, error: unknown): void => {
    if (isStopped) return;
    log.warn(`${what} failed: ${messageOf(error).split('\n')[0]}`);
  };
  let isStopped = false;
  let isBusy = false;
  let nextSweep_ms = performance.now() + sweepInterval_ms;
  const look = async (): Promise<void> => {
    if (store.isSealDue) await store.seal().catch((error) => warn('sealing', error));
    if (performance.now() < nextSweep_ms && !store.isSweepDue) return;
    nextSweep_ms = performance.now() + sweepInterval_ms;
    await store.sweep().catch((error) => warn('retention sweep', error));
  };
  const timer = setInterval(
    () => {
      // A run that takes longer than the interval is not joined by another.
      if (isBusy) return;
      isBusy = true;
      void look().finally(() => {
        isBusy = false;
      });
    },
    Math.min(limits.upkeep_interval_ms, limits.seal_interval_ms, sweepInterval_ms),
  );
  return () => {
    isStopped = true;
    clearInterval(timer);
  };
}
