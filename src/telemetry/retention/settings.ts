/** What people may set of retention, and how often it is looked at. */
import { LIMITS, type TelemetryLimits } from '../limits.ts';
import { ENTITY_TABLES } from './by-number.ts';

/**
 * Pause between sweeps, milliseconds: a tenth of the shortest window, between 30 seconds and 5 minutes, and never longer
 * than that window.
 */
export function sweepIntervalMs(limits: TelemetryLimits): number {
  const { core_window_ms, trace_window_ms, metric_window_ms, snapshot_window_ms, pyspy_window_ms } = limits;
  const windows = [core_window_ms, trace_window_ms, metric_window_ms, snapshot_window_ms, pyspy_window_ms];
  const shortest = Math.min(...windows.filter((window) => window > 0));
  const { sweep_interval_min_ms, sweep_interval_max_ms } = limits;
  return Math.min(shortest, sweep_interval_max_ms, Math.max(shortest / 10, sweep_interval_min_ms));
}

const BYTE_LIMITS = [
  'core_max_bytes',
  'trace_max_bytes',
  'metric_max_bytes',
  'snapshot_max_bytes',
  'pyspy_max_bytes',
] as const;

/** Bytes that all groups may have together: the sum of their bounds. */
export const STORE_MAX_BYTES =
  BYTE_LIMITS.reduce((sum, name) => sum + LIMITS[name], 0) + ENTITY_TABLES.length * LIMITS.entity_max_bytes;

/**
 * Limits by which the whole store keeps what a person asked for.
 * @param retention_ms age at which rows go, of every group; 0 is never. Default: as in the limits
 * @param max_bytes bytes before compression of all groups, which share them as the limits do. Default: as in the limits
 */
export function retentionLimits({
  retention_ms,
  max_bytes,
}: {
  readonly retention_ms?: number | undefined;
  readonly max_bytes?: number | undefined;
}): Partial<TelemetryLimits> {
  const windows =
    retention_ms === undefined
      ? {}
      : {
          core_window_ms: retention_ms,
          trace_window_ms: retention_ms,
          metric_window_ms: retention_ms,
          snapshot_window_ms: retention_ms,
          pyspy_window_ms: retention_ms,
        };
  if (max_bytes === undefined) return windows;
  const share = (bytes: number): number => Math.max(1, Math.floor((bytes / STORE_MAX_BYTES) * max_bytes));
  const bytes = [...BYTE_LIMITS, 'entity_max_bytes', 'sweep_after_bytes'] as const;
  return { ...windows, ...Object.fromEntries(bytes.map((name) => [name, share(LIMITS[name])])) };
}
