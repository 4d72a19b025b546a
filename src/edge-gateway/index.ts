/** The gateway: the HTTP API over a mesh of linked host agents. Targets are imported by their own path. */
export { type AccessOptions, ANONYMOUS_LEVELS, type AnonymousLevel, createAccess } from './access.ts';
export { createGateway, type GatewayPorts } from './gateway.ts';
export { type HubOptions, MeshHub } from './hub/hub.ts';
export type * from './ports.ts';
export { type SnapshotOptions, Snapshots } from './snapshot.ts';
export { type TelemetryOptions, telemetryOverHttp } from './telemetry-http.ts';
