/**
 * Reports the changes of a shard's hub to the directory: in order, one report at a time; changes that come meanwhile go into
 * the next.
 *
 * Each message carries the hosts that changed and the live updates. When the directory does not answer, the message is
 * tried again; after `report_tries_max` tries, or when more has gathered than a follower may miss (`live_events_max`,
 * `live_events_max_bytes`), what waits is dropped and the next message is `whole`: it names every host of the shard, and
 * whoever follows reads again. `settled` sends it when nothing else has; until then `isBehind`. A mark in storage, set before
 * the first host is told and cleared when all has arrived, has a shard that ended in between begin with a whole one.
 */

import { retry } from '../../base/index.ts';
import type { NodeChange } from '../hub/node-change.ts';
import type { GatewayLimits } from '../limits.ts';
import {
  type HostName,
  hostLinked,
  hostLost,
  hostRemoved,
  type LiveListener,
  type LiveMessage,
  nodeChanged,
} from '../live/events.ts';
import { ask, type Peer } from './peer.ts';

/** A host as the directory keeps it. */
export interface ReportedHost {
  readonly name: string;
  readonly identity: string;
  readonly isLinked: boolean;
}

export interface ChangeReport {
  /** Which shard reports: any text that stays the same. */
  readonly shard: string;
  /** True when `hosts` are all that the shard has, and some events may be missing. */
  readonly whole: boolean;
  readonly hosts: readonly ReportedHost[];
  /** Names of hosts that have left the mesh. */
  readonly removed: readonly string[];
  readonly events: readonly LiveMessage[];
}

export interface ChangeReporterOptions {
  readonly shard: string;
  readonly directory: Peer;
  /** All hosts of the shard, as they are now. */
  readonly hosts: () => Iterable<ReportedHost>;
  /** Whether a message may be missing from before, and where that is kept. */
  readonly mark: { get(): boolean; set(isPending: boolean): void };
  /** Called when a message was given up. */
  readonly onBehind: () => void;
  readonly limits: GatewayLimits;
}

export class ChangeReporter implements LiveListener {
  readonly #options: ChangeReporterOptions;
  /** By name: the host as it is now, or null when it has left. */
  #hosts = new Map<string, ReportedHost | null>();
  #events: LiveMessage[] = [];
  /** Characters of the events. */
  #chars = 0;
  #isWhole: boolean;
  #isSending = false;
  /** Changes so far, and how many of them have arrived. */
  #changes = 1;
  #arrived = 0;
  /** The message that is on its way. */
  #underWay: Promise<boolean> | null = null;

  constructor(options: ChangeReporterOptions) {
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
    this.#tell(nodeChanged(host, change, this.#options.limits), false);
  }

  close(): void {}

  /** True while the directory needs a whole report and nothing is sending one. */
  get isBehind(): boolean {
    return this.#isWhole;
  }

  /** Settles when every change up to now has arrived or was given up; later changes may wait. */
  async settled(): Promise<void> {
    if (this.#isWhole) this.#send();
    const changes = this.#changes;
    while (this.#isSending && this.#arrived < changes) await this.#underWay;
  }

  #tellHost({ name, identity }: HostName, isLinked: boolean, event: LiveMessage): void {
    this.#hosts.set(name, { name, identity, isLinked });
    this.#tell(event, true);
  }

  #tell(event: LiveMessage, isOfHosts: boolean): void {
    if (isOfHosts && !this.#options.mark.get()) this.#options.mark.set(true);
    this.#changes += 1;
    this.#chars += event[1].length;
    const { live_events_max, live_events_max_bytes } = this.#options.limits;
    if (this.#events.length >= live_events_max || this.#chars > live_events_max_bytes) this.#giveUp();
    if (!this.#isWhole) this.#events.push(event);
    this.#send();
  }

  #giveUp(): void {
    this.#isWhole = true;
    this.#drop();
    this.#options.mark.set(true);
  }

  #drop(): void {
    this.#events = [];
    this.#chars = 0;
    this.#hosts = new Map();
  }

  #send(): void {
    if (!this.#isSending) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isSending = true;
    try {
      // In a turn of its own, so that what one frame changes goes out together.
      await null;
      while (this.#isWhole || this.#events.length > 0 || this.#hosts.size > 0) {
        const message = this.#take();
        const arrived = this.#changes - this.#events.length;
        this.#underWay = this.#deliver(message);
        if (!(await this.#underWay)) {
          this.#giveUp();
          return this.#options.onBehind();
        }
        this.#arrived = arrived;
      }
      this.#options.mark.set(false);
    } finally {
      this.#isSending = false;
    }
  }

  #take(): ChangeReport {
    const { shard } = this.#options;
    if (this.#isWhole) {
      this.#isWhole = false;
      this.#drop();
      // The hub's hosts have more properties than a report does.
      const all = Array.from(this.#options.hosts(), ({ name, identity, isLinked }) => ({ name, identity, isLinked }));
      return { shard, whole: true, hosts: all, removed: [], events: [] };
    }
    const hosts = [...this.#hosts];
    this.#hosts = new Map();
    const events = this.#events.splice(0, this.#options.limits.report_events_max);
    for (const [, data] of events) this.#chars -= data.length;
    return {
      shard,
      whole: false,
      hosts: hosts.flatMap(([, host]) => host ?? []),
      removed: hosts.filter(([, host]) => host === null).map(([name]) => name),
      events,
    };
  }

  async #deliver(report: ChangeReport): Promise<boolean> {
    const { directory, limits } = this.#options;
    const outcome = await retry(
      () => ask(directory, '/changes', report),
      ({ ok }) => ok,
      { tries_max: limits.report_tries_max, first_ms: limits.report_retry_ms, max_ms: Number.POSITIVE_INFINITY },
    );
    return outcome.ok;
  }
}
