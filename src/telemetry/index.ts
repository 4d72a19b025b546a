/**
 * telemetry: the store of events, snapshots and stack dumps, behind HTTP or at the end of a link to a gateway.
 *
 *     routes.ts, link.ts ─► requests.ts ─┬─► store.ts ─► writer.ts ─► database.ts    the owner process: ingestion,
 *                                        │                                           durable and once
 *                                        └─► sql/sandbox.ts ─► worker.ts ═► worker-entry.ts ─► replica.ts
 *                                                              user SQL, in processes that can die
 *
 * maintenance.ts seals what was committed (segments/) and sweeps what is over its bound (retention/); tools/ works on a store
 * that no service has open.
 */
export { type CoreOptions, openCore, type TelemetryCore } from './core.ts';
export { LIMITS, type TelemetryLimits } from './limits.ts';
export { type StoreConnection, serveStoreLink } from './link.ts';
export type { Log } from './log.ts';
export type { TelemetryStore } from './port.ts';
export type { Requests } from './requests.ts';
export { retentionLimits, STORE_MAX_BYTES } from './retention/settings.ts';
export { startTelemetry, type TelemetryOptions, type TelemetryService } from './service.ts';
export { compactStore } from './tools/compact.ts';
export { EXPORT_FORMATS, type ExportFormat, exportStore } from './tools/export.ts';
export { verifyStore } from './tools/verify.ts';
