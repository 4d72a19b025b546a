/**
 * What the agent knows of one proc, and the ways in which that can change.
 *
 *     starting → running → stopping → stopped | failed       (any of the first three may end at once)
 *
 * A terminal state is never left (FI-2). A process that the agent did not start is `running` from when it was found,
 * and `stopped` when it is gone: how it ended is not for others to know, so it never becomes `failed`.
 */

import type { OutputTail } from '../processes/output-tail.ts';
import type { ProcessIdentity } from '../procfs/index.ts';
import type { ProcRefs } from './identity.ts';

export type ProcOrigin = 'started' | 'watched' | 'child';

export type ProcState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'running' }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'stopped'; readonly reason: string; readonly ended_at_ms: number; readonly exit: ExitStatus }
  | { readonly kind: 'failed'; readonly reason: string; readonly ended_at_ms: number; readonly exit: ExitStatus };

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: string | null;
}

export const UNKNOWN_EXIT: ExitStatus = { code: null, signal: null };

export interface ProcRecord {
  readonly refs: ProcRefs;
  readonly name: string;
  readonly origin: ProcOrigin;
  /** Pid and start time; null when no process could be started. */
  readonly identity: ProcessIdentity | null;
  /** The command line with what looks like a secret redacted. */
  readonly command: readonly string[];
  readonly parent_pid: number | null;
  readonly parent: ProcRecord | null;
  readonly rank: number | null;
  readonly local_rank: number | null;
  readonly started_at_ms: number;
  /** Instance ids of the proc's two actors. */
  readonly instance_ids: { readonly proc_agent: string; readonly command: string };
  /** Null for processes whose output the agent cannot see. */
  readonly output: OutputTail | null;
  state: ProcState;
}

export function isEnded(record: ProcRecord): boolean {
  return record.state.kind === 'stopped' || record.state.kind === 'failed';
}

export function endedAtMs(record: ProcRecord): number | null {
  return record.state.kind === 'stopped' || record.state.kind === 'failed' ? record.state.ended_at_ms : null;
}

/** The status text of the command's actor. While it runs, it is processing: its main program is its one handler. */
export function commandStatus(record: ProcRecord, now_ms: number): string {
  switch (record.state.kind) {
    case 'starting':
      return 'initializing';
    case 'running':
      return `processing for ${Math.max(0, Math.floor(now_ms - record.started_at_ms))}ms`;
    case 'stopping':
      return 'stopping';
    case 'stopped':
      return `stopped: ${record.state.reason}`;
    case 'failed':
      return `failed: ${record.state.reason}`;
  }
}

/** The terminal state for the exit of a process that the agent started. */
export function stateForExit(exit: ExitStatus, ended_at_ms: number, stopRequested: boolean): ProcState {
  const how = exit.signal === null ? `exited with code ${exit.code}` : `killed by ${exit.signal}`;
  if (exit.code === 0) return { kind: 'stopped', reason: 'process exited cleanly (code 0)', ended_at_ms, exit };
  if (stopRequested) return { kind: 'stopped', reason: `stopped on request (${how})`, ended_at_ms, exit };
  return { kind: 'failed', reason: `process ${how}`, ended_at_ms, exit };
}
