/** The gateway: the HTTP API over a mesh of linked host agents. Targets are imported by their own path. */
export { type AccessOptions, ANONYMOUS_LEVELS, type AnonymousLevel, createAccess } from './access/access.ts';
export { type TokenFile, tokensFromFile } from './access/token-file.ts';
export { hostName, NO_HOST_NAME } from './compose.ts';
export { createGateway } from './http/gateway.ts';
export { MeshHub } from './hub/hub.ts';
export type { HubOptions } from './hub/hub-options.ts';
export type * from './ports.ts';
export { type TelemetryOptions, telemetryOverHttp } from './store/http-store.ts';
export { type SnapshotOptions, Snapshots } from './store/snapshot.ts';
