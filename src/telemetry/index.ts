/**
 * telemetry: the store of events, snapshots and stack dumps, behind HTTP.
 *
 *     routes.ts ─► store.ts ─► writer.ts ─► database.ts        the owner process: ingestion, durable and once
 *         └──────► sql/sandbox.ts ─► worker.ts ═► worker-entry.ts ─► replica.ts    user SQL, in processes that can die
 */
export { LIMITS, type TelemetryLimits } from './limits.ts';
export { type Log, startTelemetry, type TelemetryOptions, type TelemetryService } from './service.ts';
