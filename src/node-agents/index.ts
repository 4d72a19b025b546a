/** What runs on real hosts. */
import { LIMITS } from './limits.ts';

export type { LogLevel } from '../base/index.ts';
export { SOCKET_VARIABLE } from './collector/collector.ts';
export { SOCKET_PATH_MAX_BYTES } from './collector/socket-place.ts';
export { type HostAgent, startHostAgent } from './host/host-agent.ts';
export type { HostAgentOptions } from './host/host-agent-options.ts';
export type { OutputStream } from './processes/output-tail.ts';
export { COPIES_MAX, nameSpecs, type ProcSpec, parseMeshFile } from './procs/proc-spec.ts';
export { CoreRows, type Emit } from './producer/core-rows.ts';
export { EventClient, type EventClientOptions } from './producer/event-client.ts';

/** Bytes of an agent's spool where nothing else is asked for, and the fewest that may be. */
export const SPOOL_MAX_BYTES = LIMITS.spool_max_bytes;
export const SPOOL_MAX_BYTES_MIN = LIMITS.spool_max_bytes_min;
