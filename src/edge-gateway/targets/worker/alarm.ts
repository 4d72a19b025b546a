/** The alarm of a Durable Object: set to when something is next due, and written only when that is sooner than before. */
import type { GatewayLimits } from '../../limits.ts';
import type { DurableObjectState } from './api.ts';

export class Alarm {
  readonly #slack_ms: number;
  readonly #storage: DurableObjectState['storage'];
  readonly #dueAt_ms: () => number | null;
  /** When it will ring; null when it is not known to be set, as after waking. */
  #at_ms: number | null = null;

  /** @param dueAt_ms wall clock of what is due next, milliseconds; null when nothing is. */
  constructor(
    storage: DurableObjectState['storage'],
    { alarm_slack_ms }: GatewayLimits,
    dueAt_ms: () => number | null,
  ) {
    this.#slack_ms = alarm_slack_ms;
    this.#storage = storage;
    this.#dueAt_ms = dueAt_ms;
  }

  /** To be called when it rings, before anything else. */
  rang(): void {
    this.#at_ms = null;
  }

  /** Passes on what an event gave, once the alarm fits what it left behind. */
  after<T>(result: T): T {
    if (result instanceof Promise) {
      const set = () => this.#set();
      result.then(set, set);
    }
    this.#set();
    return result;
  }

  #set(): void {
    const due_ms = this.#dueAt_ms();
    if (due_ms === null || (this.#at_ms !== null && this.#at_ms <= due_ms + this.#slack_ms)) return;
    this.#at_ms = Math.max(due_ms, Date.now());
    // Not awaited: the runtime holds back what follows until it is written.
    void this.#storage.setAlarm(this.#at_ms);
  }
}
