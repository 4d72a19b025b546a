/** What the agent reads from procfs. Everything is synchronous and cheap, and answers null rather than throw. */
export { executableName, readCommandLine } from './command-line.ts';
export { hasEnvironmentMarker, type Ranks, readRanks } from './environment.ts';
export { bootId, bootTimeMs, clockTicksPerSecond, pageSizeBytes, startTimeMs } from './machine.ts';
export { identify, identityKey, isRunning, isSameProcess, type ProcessIdentity } from './process-identity.ts';
export { readMemory } from './process-memory.ts';
export { isAlive, type ProcessStat, readProcess } from './process-stat.ts';
export { type ProcessStatus, readStatus } from './process-status.ts';
export { REDACTED, redactCommandLine } from './redact.ts';
export { listPids, scanProcesses } from './scan.ts';
