/**
 * Where a hub keeps published state beyond its memory. All calls are synchronous, each takes effect whole or, when it
 * throws, not at all. Whatever is written costs something, so the hub writes what has changed and nothing else.
 *
 * Not kept: what agents answered when they were asked (the next delta brings it), calls, and counts.
 */

/** A host as it is known without any of its nodes. */
export interface KeptHost {
  /** Location key. */
  readonly key: string;
  readonly name: string;
  /** The `host:` reference. */
  readonly identity: string;
  readonly addr: string | null;
  /** Nodes that it has. */
  readonly size: number;
  /** Wall clock of the last frame when the host was written, milliseconds since the epoch. */
  readonly heard_at_ms: number;
  /** Whether the link that its state came over stood when the host was written. */
  readonly isLinked: boolean;
}

export interface KeptNode {
  readonly key: string;
  /** The payload as JSON text. */
  readonly text: string;
}

/** One step of a state that is not whole yet. */
export interface StageStep {
  /** Payloads, as the JSON text of an array. */
  readonly nodes: string;
  /** Keys. */
  readonly removed: readonly string[];
}

export interface HubKeeper {
  hosts(): readonly KeptHost[];
  /** @param host location key, here and below. */
  nodes(host: string): readonly KeptNode[];
  /** The hosts that have a stage. */
  stages(): readonly string[];
  /** The steps of the stage, in order. */
  staged(host: string): readonly StageStep[];
  /** Writes the host without touching its nodes. */
  keepHost(host: KeptHost): void;
  /** Writes the host and what its new state changes, and drops the stage. */
  replaceNodes(host: KeptHost, put: readonly KeptNode[], removed: readonly string[]): void;
  /** @param changed the host when it has changed as well; null leaves it as it was written. */
  changeNodes(host: string, put: readonly KeptNode[], removed: readonly string[], changed: KeptHost | null): void;
  /** Adds a step to the stage. */
  stage(host: string, step: StageStep): void;
  clearStage(host: string): void;
  /** Deletes the host, its nodes and its stage. */
  forget(host: string): void;
}
