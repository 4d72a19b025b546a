/** Collects changes of procs for a moment and publishes them together, so that a burst becomes one frame. */
import type { NodePayload } from '../../contract/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { HostedProc } from '../procs/hosted-proc.ts';
import type { ProcRegistry } from '../procs/registry.ts';
import type { HostNodes } from './host-nodes.ts';

/** The part of the link that publishing needs. */
export interface PublishingLink {
  /** The gateway's heartbeat interval, milliseconds; 0 without an open link. */
  readonly heartbeat_ms: number;
  publish(nodes: readonly NodePayload[], removed: readonly string[]): void;
}

export class Publisher {
  readonly #nodes: HostNodes;
  readonly #link: PublishingLink;
  readonly #limits: AgentLimits;
  readonly #changed = new Set<HostedProc>();
  readonly #removed = new Set<HostedProc>();
  #hostChanged = false;
  #timer: NodeJS.Timeout | null = null;
  #memory_sent_ms = 0;

  /** Publishes every change in the registry from now on. */
  constructor(nodes: HostNodes, registry: ProcRegistry, link: PublishingLink, limits: AgentLimits) {
    this.#nodes = nodes;
    this.#link = link;
    this.#limits = limits;
    registry.listen({
      added: (proc) => {
        this.#hostChanged = true;
        this.#collect(proc);
      },
      changed: (proc) => this.#collect(proc),
      removed: (proc) => {
        this.#hostChanged = true;
        this.#changed.delete(proc);
        this.#removed.add(proc);
        this.#schedule();
      },
    });
  }

  /** Publishes the memory of the host and its procs, at most once per heartbeat of the gateway. */
  refreshMemory(): void {
    const now_ms = performance.now();
    // Each frame wakes a gateway that sleeps between frames.
    const next_ms = this.#memory_sent_ms + this.#link.heartbeat_ms - this.#limits.memory_interval_ms / 2;
    if (now_ms < next_ms) return;
    this.#memory_sent_ms = now_ms;
    this.#link.publish(this.#nodes.withMemory(), []);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #collect(proc: HostedProc): void {
    this.#changed.add(proc);
    this.#schedule();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), this.#limits.publish_delay_ms);
  }

  #flush(): void {
    this.#timer = null;
    const changes = [...this.#changed].map((proc) => proc.takeChanges());
    const nodes = changes.flatMap((change) => change.nodes);
    if (this.#hostChanged) nodes.push(this.#nodes.host());
    const dropped = [...this.#removed].flatMap((proc) => proc.references());
    const removed = [...changes.flatMap((change) => change.removed), ...dropped];
    this.#changed.clear();
    this.#removed.clear();
    this.#hostChanged = false;
    this.#link.publish(nodes, removed);
  }
}
