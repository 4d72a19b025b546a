/** The hosts of a hub, by location key, all their nodes by reference, and the root that lists them. */
import type { LiveListener } from '../live/events.ts';
import type { GatewayIdentity, MeshCounts } from '../ports.ts';
import { HostState, type LocatedNode } from './host.ts';
import type { NodeStore } from './host-nodes.ts';
import type { NodeChange } from './node-change.ts';
import { RootText } from './root.ts';
import { byHostName } from './tree.ts';

export interface HostsOptions {
  readonly identity: Pick<GatewayIdentity, 'started_at' | 'started_by'>;
  readonly store: NodeStore;
  readonly live: LiveListener;
  /** Runs a write to the keeper; when it fails, logs that and goes on. */
  readonly attempt: (write: () => void) => void;
}

export class Hosts {
  readonly #options: HostsOptions;
  readonly #hosts = new Map<string, HostState>();
  readonly #nodes = new Map<string, LocatedNode>();
  readonly #root: RootText;

  /** Begins with the hosts that the keeper has. @throws whatever the keeper throws */
  constructor(options: HostsOptions) {
    this.#options = options;
    this.#root = new RootText(options.identity, () => this.published());
    for (const kept of options.store.keeper?.hosts() ?? []) {
      const { key, name } = kept;
      this.#hosts.set(key, new HostState(key, name, this.#nodes, this.#onChange, options.store, kept));
    }
  }

  get(key: string): HostState | undefined {
    return this.#hosts.get(key);
  }

  all(): Iterable<HostState> {
    return this.#hosts.values();
  }

  /** Those with published state, in the order of their names. */
  published(): readonly HostState[] {
    return [...this.#hosts.values()].filter(({ hasState }) => hasState).sort(byHostName);
  }

  counts(): Pick<MeshCounts, 'hosts' | 'links' | 'nodes'> {
    const hosts = [...this.#hosts.values()];
    return {
      hosts: hosts.filter(({ hasState }) => hasState).length,
      links: hosts.filter(({ isLinked }) => isLinked).length,
      nodes: hosts.reduce((sum, { size }) => sum + size, 0),
    };
  }

  /** The node with a canonical reference, and its host. */
  locate(reference: string): LocatedNode | undefined {
    return this.#nodes.get(reference);
  }

  rootText(): string {
    return this.#root.text();
  }

  /** The set of hosts with published state may have changed. */
  listChanged(): void {
    this.#root.invalidate();
  }

  /** The host, made when there is none yet. */
  ensure(key: string, name: string): HostState {
    const known = this.#hosts.get(key);
    if (known !== undefined) return known;
    const host = new HostState(key, name, this.#nodes, this.#onChange, this.#options.store);
    this.#hosts.set(key, host);
    return host;
  }

  /** Forgets the host that disconnected first when there is no room for another. @returns whether there is room now */
  makeRoom(): boolean {
    const { hosts_max } = this.#options.store.limits;
    const [longest] = this.#hosts.size < hosts_max ? [] : this.gone();
    if (longest !== undefined) this.forget(longest);
    return this.#hosts.size < hosts_max;
  }

  /** Hosts without a link; the one that disconnected first comes first. */
  gone(): HostState[] {
    return [...this.#hosts.values()]
      .filter(({ session }) => session === null)
      .sort((a, b) => a.heard_at_ms - b.heard_at_ms);
  }

  /** Forgets hosts that disconnected too long ago, and writes when the others were last heard. */
  sweep(): void {
    const oldest_ms = Date.now() - this.#options.store.limits.gone_host_kept_ms;
    for (const host of [...this.#hosts.values()]) {
      if (host.session === null && host.heard_at_ms < oldest_ms) this.forget(host);
      else this.#options.attempt(() => host.keepHeard());
    }
  }

  /** When a sweep next has a host to forget, wall clock, milliseconds; infinite when never. */
  due_ms(): number {
    let due_ms = Number.POSITIVE_INFINITY;
    for (const host of this.#hosts.values()) {
      if (host.session === null) due_ms = Math.min(due_ms, this.forgottenAt_ms(host));
    }
    return due_ms;
  }

  /** When a disconnected host will be forgotten, wall clock, milliseconds. */
  forgottenAt_ms({ heard_at_ms }: HostState): number {
    return heard_at_ms + this.#options.store.limits.gone_host_kept_ms + 1;
  }

  forget(host: HostState): void {
    const { live, attempt } = this.#options;
    this.#hosts.delete(host.key);
    if (host.hasState) live.removed(host);
    attempt(() => host.forget());
    this.listChanged();
  }

  readonly #onChange = (host: HostState, change: NodeChange) => this.#options.live.changed(host, change);
}
