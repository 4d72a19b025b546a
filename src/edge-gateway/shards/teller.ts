/**
 * What a shard's hub tells, on its way to the directory: in order, one message at a time, what came meanwhile in the next.
 *
 * Each message carries the hosts that changed and the live updates. When the directory does not answer, the message is
 * tried again; after TOLD_TRIES_MAX tries, or when more has gathered than LIVE_EVENTS_MAX, what waits is dropped and the
 * next message is `whole`: it names every host of the shard, and whoever follows reads again. A mark in storage, set before
 * the first host is told and cleared when all has arrived, has a shard that ended in between begin with a whole one.
 */

import {
  type HostName,
  hostLinked,
  hostLost,
  hostRemoved,
  type LiveMessage,
  type LiveTeller,
  nodeChanged,
} from '../hub/live-events.ts';
import type { NodeChange } from '../hub/node-change.ts';
import { LIVE_EVENTS_MAX, TOLD_EVENTS_MAX, TOLD_RETRY_MS, TOLD_TRIES_MAX } from '../limits.ts';
import { ask, type Peer } from './peer.ts';

/** A host as the directory keeps it. */
export interface ToldHost {
  readonly name: string;
  readonly identity: string;
  readonly isLinked: boolean;
}

export interface Told {
  /** Which shard tells: any text that stays the same. */
  readonly shard: string;
  /** True when `hosts` are all that the shard has, and some events may be missing. */
  readonly whole: boolean;
  readonly hosts: readonly ToldHost[];
  /** Names of hosts that have left the mesh. */
  readonly removed: readonly string[];
  readonly events: readonly LiveMessage[];
}

export interface TellerOptions {
  readonly shard: string;
  readonly directory: Peer;
  /** All hosts of the shard, as they are now. */
  readonly hosts: () => Iterable<ToldHost>;
  /** Whether a message may be missing from before, and where that is kept. */
  readonly mark: { get(): boolean; set(isPending: boolean): void };
}

export class Teller implements LiveTeller {
  readonly #options: TellerOptions;
  /** By name: the host as it is now, or null when it has left. */
  #hosts = new Map<string, ToldHost | null>();
  #events: LiveMessage[] = [];
  #isWhole: boolean;
  #sending: Promise<void> | null = null;

  constructor(options: TellerOptions) {
    this.#options = options;
    this.#isWhole = options.mark.get();
  }

  linked(host: HostName, read_again: boolean): void {
    this.#tellHost(host, true, hostLinked(host, read_again));
  }

  lost(host: HostName): void {
    this.#tellHost(host, false, hostLost(host));
  }

  removed(host: HostName): void {
    this.#hosts.set(host.name, null);
    this.#tell(hostRemoved(host), true);
  }

  changed(host: HostName, change: NodeChange): void {
    this.#tell(nodeChanged(host, change), false);
  }

  close(): void {}

  /** Settles when everything that was told up to now has arrived, or was given up. */
  async settled(): Promise<void> {
    if (this.#isWhole) this.#send();
    await this.#sending;
  }

  #tellHost({ name, identity }: HostName, isLinked: boolean, event: LiveMessage): void {
    this.#hosts.set(name, { name, identity, isLinked });
    this.#tell(event, true);
  }

  #tell(event: LiveMessage, isOfHosts: boolean): void {
    if (isOfHosts && !this.#options.mark.get()) this.#options.mark.set(true);
    if (this.#events.length >= LIVE_EVENTS_MAX) this.#giveUp();
    if (!this.#isWhole) this.#events.push(event);
    this.#send();
  }

  #giveUp(): void {
    this.#isWhole = true;
    this.#events = [];
    this.#hosts = new Map();
  }

  #send(): void {
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = null;
    });
  }

  async #drain(): Promise<void> {
    // In a turn of its own, so that what one frame changes goes out together.
    await null;
    while (this.#isWhole || this.#events.length > 0 || this.#hosts.size > 0) {
      const told = this.#take();
      if (await this.#deliver(told)) continue;
      this.#giveUp();
      return;
    }
    if (this.#options.mark.get()) this.#options.mark.set(false);
  }

  #take(): Told {
    const { shard } = this.#options;
    if (this.#isWhole) {
      this.#isWhole = false;
      this.#hosts = new Map();
      this.#events = [];
      return { shard, whole: true, hosts: [...this.#options.hosts()], removed: [], events: [] };
    }
    const hosts = [...this.#hosts];
    this.#hosts = new Map();
    return {
      shard,
      whole: false,
      hosts: hosts.flatMap(([, host]) => host ?? []),
      removed: hosts.filter(([, host]) => host === null).map(([name]) => name),
      events: this.#events.splice(0, TOLD_EVENTS_MAX),
    };
  }

  async #deliver(told: Told): Promise<boolean> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await ask(this.#options.directory, '/told', told);
      if (outcome.ok || attempt >= TOLD_TRIES_MAX) return outcome.ok;
      await new Promise((resolve) => setTimeout(resolve, attempt * TOLD_RETRY_MS));
    }
  }
}
