/** Gathers changes of procs for a moment and sends them as one frame, so that a burst of them costs one. */
import type { NodePayload } from '../../contract/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { HostedProc } from '../procs/hosted-proc.ts';
import type { ProcRegistry } from '../procs/registry.ts';
import type { HostNodes } from './host-nodes.ts';

/** An open link or none, as far as publishing needs it. */
export interface PublishingLink {
  /** How often the gateway wants to hear something, milliseconds; 0 without an open link. */
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

  /** From here on, what changes in the registry goes to the link. */
  constructor(nodes: HostNodes, registry: ProcRegistry, link: PublishingLink, limits: AgentLimits) {
    this.#nodes = nodes;
    this.#link = link;
    this.#limits = limits;
    registry.listen({
      added: (proc) => {
        this.#hostChanged = true;
        this.#gather(proc);
      },
      changed: (proc) => this.#gather(proc),
      removed: (proc) => {
        this.#hostChanged = true;
        this.#changed.delete(proc);
        this.#removed.add(proc);
        this.#schedule();
      },
    });
  }

  /** Sends the memory of the host and its procs; not more often than the gateway wants to hear something. */
  refreshMemory(): void {
    const now_ms = performance.now();
    // For a gateway that sleeps between frames, each costs.
    const next_ms = this.#memory_sent_ms + this.#link.heartbeat_ms - this.#limits.memory_interval_ms / 2;
    if (now_ms < next_ms) return;
    this.#memory_sent_ms = now_ms;
    this.#link.publish(this.#nodes.withMemory(), []);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #gather(proc: HostedProc): void {
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
