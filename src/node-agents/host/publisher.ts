/** Gathers changes of procs for a moment and sends them as one frame, so that a burst of them costs one. */
import { type NodePayload, renderRef } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import type { ProcRecord } from '../procs/proc-record.ts';
import { type AgentInfo, hostAgentNode, hostNode, nodesOf, procNode, serviceNode } from './node-view.ts';

export type Publish = (nodes: readonly NodePayload[], removed: readonly string[]) => void;

export class Publisher {
  readonly #agent: AgentInfo;
  readonly #records: () => ProcRecord[];
  readonly #publish: Publish;
  readonly #changed = new Set<ProcRecord>();
  readonly #removed = new Set<ProcRecord>();
  #hostChanged = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(agent: AgentInfo, records: () => ProcRecord[], publish: Publish) {
    this.#agent = agent;
    this.#records = records;
    this.#publish = publish;
  }

  /** Every node of the host, as they are now. */
  state(): NodePayload[] {
    const records = this.#records();
    return [
      hostNode(this.#agent, records),
      serviceNode(this.#agent),
      hostAgentNode(this.#agent),
      ...records.flatMap((record) => nodesOf(this.#agent, record)),
    ];
  }

  added(record: ProcRecord): void {
    this.#hostChanged = true;
    this.changed(record);
  }

  changed(record: ProcRecord): void {
    this.#changed.add(record);
    this.#schedule();
  }

  removed(record: ProcRecord): void {
    this.#hostChanged = true;
    this.#changed.delete(record);
    this.#removed.add(record);
    this.#schedule();
  }

  /** Sends the host and the procs that live, for their memory, which changes without an event. */
  refreshMemory(live: readonly ProcRecord[]): void {
    const procs = live.map((record) => procNode(this.#agent, record));
    this.#publish([hostNode(this.#agent, this.#records()), serviceNode(this.#agent), ...procs], []);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), LIMITS.publish_delay_ms);
  }

  #flush(): void {
    this.#timer = null;
    const nodes = [...this.#changed].flatMap((record) => nodesOf(this.#agent, record));
    if (this.#hostChanged) nodes.push(hostNode(this.#agent, this.#records()));
    const removed = [...this.#removed].flatMap(({ refs }) => [refs.proc, refs.proc_agent, refs.command].map(renderRef));
    this.#changed.clear();
    this.#removed.clear();
    this.#hostChanged = false;
    this.#publish(nodes, removed);
  }
}
