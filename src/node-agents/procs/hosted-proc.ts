/**
 * The proc as a port: everything that a host agent knows of a proc, of whatever kind it is. The registry, the publisher,
 * the calls and the rows know procs only by this.
 *
 * Kinds: a command that the agent started (command-proc.ts) and a process that it found (adopted-proc.ts).
 */
import type { Outcome } from '../../base/index.ts';
import type {
  ConfigDumpResult,
  NodePayload,
  NodeRef,
  ProcRef,
  PySpyProfileOpts,
  PySpyProfileOutcome,
} from '../../contract/index.ts';
import type { ProcessIdentity } from '../procfs/index.ts';
import type { CoreRows } from '../producer/core-rows.ts';
import type { ProcState } from './lifecycle.ts';

export interface StacksRequest {
  /** Values of local variables as well. */
  readonly locals: boolean;
}

export interface NodeChanges {
  readonly nodes: readonly NodePayload[];
  /** References of nodes that the proc has no longer. */
  readonly removed: readonly string[];
}

/** What can be asked of a proc. Each question ends early when its signal is aborted. */
export interface AnsweringProc {
  readonly ref: ProcRef;
  /**
   * One of its nodes as it is at this moment.
   *
   * @param ref of the proc itself, or of an actor in it
   * @returns null when the proc has no such node
   */
  node(ref: NodeRef, signal: AbortSignal): Promise<NodePayload | null>;
  /** The stacks of its threads: a `PySpyResult` as JSON text, since a large one is better never a value in this thread. */
  stacks(request: StacksRequest, signal: AbortSignal): Promise<Outcome<string>>;
  /** A flame graph of it. */
  profile(opts: PySpyProfileOpts, signal: AbortSignal): Promise<Outcome<PySpyProfileOutcome>>;
  /** The settings in force in it. */
  config(signal: AbortSignal): Promise<Outcome<ConfigDumpResult>>;
}

/** A proc that a host shows. */
export interface HostedProc extends AnsweringProc {
  /** What people call it. */
  readonly name: string;
  /** Its process on this machine; null when there never was one. */
  readonly identity: ProcessIdentity | null;
  readonly state: ProcState;
  /** Calls the listener after each change of its state, or of what its nodes show. */
  onChange(listener: () => void): void;

  /** The proc's own node. */
  procNode(): NodePayload;
  /** All its nodes as they are pushed, its own first. */
  pushedNodes(): readonly NodePayload[];
  /** Those of them that may have changed since it was asked last, and what went. Is called after a change, to publish it. */
  takeChanges(): NodeChanges;
  /** The references of all its nodes, as text. */
  references(): readonly string[];

  /** Adds the rows that say what became of it since it was asked last; the first time, who it is. */
  report(rows: CoreRows): void;

  /** The process group that ends with the proc; null when the proc is not the host's to end, or has no process. */
  readonly group: number | null;
  /** Asks it to end, and ends it after `grace_ms`; settles when it has ended, or could not be ended. */
  stop(grace_ms: number): Promise<void>;
  /** Ends it at once. */
  kill(): void;
}
