/** What runs on real hosts. */
export { type HostAgent, type HostAgentOptions, type LogLevel, startHostAgent } from './host/host-agent.ts';
export type { OutputStream } from './host/output-tail.ts';
export { COPIES_MAX, nameSpecs, type ProcSpec, parseMeshFile } from './host/proc-spec.ts';
export { dialStoreLink, type StoreDialler, type StoreDialOptions } from './link/store.ts';
