/**
 * The proc as a port: everything that a host agent knows about a proc of any kind. The registry, the publisher, the
 * calls and the rows know procs only through it.
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
  /** References of nodes that are gone. */
  readonly removed: readonly string[];
}

/** The questions that a proc answers. Each one ends early when its signal is aborted. */
export interface AnsweringProc {
  readonly ref: ProcRef;
  /**
   * One of its nodes as it is at this moment.
   *
   * @param ref of the proc itself, or of an actor in it
   * @returns null when the proc has no such node
   */
  node(ref: NodeRef, signal: AbortSignal): Promise<NodePayload | null>;
  /** The stacks of its threads: a `PySpyResult` as JSON text, so that a large one is never parsed in this thread. */
  stacks(request: StacksRequest, signal: AbortSignal): Promise<Outcome<string>>;
  /** A flame graph of the proc. */
  profile(opts: PySpyProfileOpts, signal: AbortSignal): Promise<Outcome<PySpyProfileOutcome>>;
  /** Its settings, as they are in force. */
  config(signal: AbortSignal): Promise<Outcome<ConfigDumpResult>>;
}

/** A proc that a host shows. */
export interface HostedProc extends AnsweringProc {
  /** Its name, for people. */
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
  /** The pushed nodes that may have changed since the last call, and the references of those that are gone. */
  takeChanges(): NodeChanges;
  /** The references of all its nodes, as text. */
  references(): readonly string[];

  /** Adds the rows for everything that has happened since the last call. The first call introduces the proc. */
  report(rows: CoreRows): void;

  /** The process group that ends with the proc; null if it has no process, or if this host must not end it. */
  readonly group: number | null;
  /** Asks it to end, and kills it after `grace_ms`; settles when it has ended, or cannot be killed. */
  stop(grace_ms: number): Promise<void>;
  /** Kills it at once. */
  kill(): void;
}
