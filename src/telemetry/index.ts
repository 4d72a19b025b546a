/**
 * telemetry: the store of events, snapshots and stack dumps, behind HTTP or at the end of a link to a gateway.
 *
 *     routes.ts, link.ts ─► requests.ts ─┬─► store.ts ─► writer.ts ─► database.ts    the owner process: ingestion,
 *                                        │                                           durable and once
 *                                        └─► query/owner/sandbox.ts ─► query-process.ts ═► query/process/entry.ts ─► store-copy.ts
 *                                                              user SQL, in processes that can die
 *
 * maintenance.ts seals what was committed (segments/) and sweeps what is over its bound (retention/); tools/ works on a store
 * that no service has open.
 */

export type { WarningLog } from '../base/index.ts';
export { LIMITS, type TelemetryLimits } from './limits.ts';
export type { TelemetryStore } from './port.ts';
export { retentionLimits, STORE_MAX_BYTES } from './retention/settings.ts';
export { type CoreOptions, openCore, type TelemetryCore } from './service/core.ts';
export { type StoreConnection, serveStoreLink } from './service/link.ts';
export type { Requests } from './service/requests.ts';
export { startTelemetry, type TelemetryOptions, type TelemetryService } from './service/service.ts';
export { compactStore } from './tools/compact.ts';
export { EXPORT_FORMATS, type ExportFormat, exportStore } from './tools/export.ts';
export { verifyStore } from './tools/verify.ts';
