/**
 * telemetry: the store of events, snapshots and stack dumps. It answers over HTTP, or over a link to a gateway.
 *
 *     service/    routes.ts, link.ts ─► requests.ts ─┬─ rows and dumps
 *                                                    │     ▼
 *                                                    │  store/     store.ts ─► packs.ts ─► writer.ts ─► database/append.ts
 *                                                    │             the owner process: every row durable, and stored once
 *                                                    └─ SQL
 *                                                          ▼
 *     query/owner/    sandbox.ts ─► query-process.ts ═══ query/process/    entry.ts ─► store-copy.ts ─► check.ts, read-result.ts
 *                     the owner process                                    processes of their own, which may be killed
 *
 * Besides, store/maintenance.ts seals committed rows into files (segments/) and deletes rows beyond their bounds (retention/).
 * tools/ work on a store that no service has open. Imports go down only: service, query, store, segments and retention, database.
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
