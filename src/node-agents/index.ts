/** What runs on real hosts. */
import { LIMITS } from './limits.ts';

export { type HostAgent, startHostAgent } from './host/host-agent.ts';
export type { HostAgentOptions } from './host/host-agent-options.ts';
export type { OutputStream } from './host/output-tail.ts';
export { COPIES_MAX, nameSpecs, type ProcSpec, parseMeshFile } from './host/proc-spec.ts';
export { dialStoreLink, type StoreDialler, type StoreDialOptions } from './link/store.ts';
export type { LogLevel } from './log-level.ts';
export { SOCKET_VARIABLE } from './telemetry/collector.ts';
export { CoreRows, type Emit } from './telemetry/core-rows.ts';
export { EventClient, type EventClientOptions } from './telemetry/event-client.ts';
export { SOCKET_PATH_MAX_BYTES } from './telemetry/socket-place.ts';

/** Bytes of an agent's spool where nothing else is asked for, and the fewest that may be. */
export const SPOOL_MAX_BYTES = LIMITS.spool_max_bytes;
export const SPOOL_MAX_BYTES_MIN = LIMITS.spool_max_bytes_min;
