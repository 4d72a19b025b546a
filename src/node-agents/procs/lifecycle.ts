/**
 * The states of a proc and the transitions between them.
 *
 *     starting → running → stopping → stopped | failed       (any of the first three may end at once)
 *
 * A terminal state is never left (FI-2).
 */

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: string | null;
}

export const UNKNOWN_EXIT: ExitStatus = { code: null, signal: null };

export type EndState = {
  readonly kind: 'stopped' | 'failed';
  readonly reason: string;
  readonly ended_at_ms: number;
  readonly exit: ExitStatus;
};

export type ProcState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'running' }
  | { readonly kind: 'stopping' }
  | EndState;

/** @returns the terminal state; null while the proc lives */
export function endOf(state: ProcState): EndState | null {
  return state.kind === 'stopped' || state.kind === 'failed' ? state : null;
}

/** The state of one proc, and the listeners to its changes. */
export class Lifecycle {
  readonly #listeners: (() => void)[] = [];
  #state: ProcState;

  constructor(state: ProcState) {
    this.#state = state;
  }

  get state(): ProcState {
    return this.#state;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Moves to another state; what has ended stays as it ended (FI-2). */
  move(state: ProcState): void {
    if (endOf(this.#state) !== null) return;
    this.#state = state;
    this.touch();
  }

  /** Reports a change other than of state, such as output that arrived late. */
  touch(): void {
    for (const listener of this.#listeners) listener();
  }
}
