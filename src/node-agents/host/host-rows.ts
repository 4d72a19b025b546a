/** The rows that a host sends to the store: its own mesh with the agent, and the rows of each proc after each change. */
import { renderRef } from '../../contract/index.ts';
import type { HostRefs } from '../procs/identity.ts';
import type { ProcRegistry } from '../procs/registry.ts';
import { type ActorStatus, actorId, CoreRows, type Emit, meshId } from '../producer/core-rows.ts';

export class HostRows {
  readonly #rows: CoreRows;
  readonly #agent: string;
  #status: ActorStatus;

  /**
   * Adds the rows of the host's start, and from then on those of the registry's procs.
   *
   * @param run this run of the agent
   */
  constructor(emit: Emit, run: string, hostName: string, refs: HostRefs, registry: ProcRegistry) {
    this.#rows = new CoreRows(emit, run);
    this.#agent = renderRef(refs.host_agent);
    const id = meshId('host mesh', hostName);
    const name = { given_name: hostName, full_name: hostName };
    this.#rows.mesh({ id, class: 'Host', ...name, extent: { hosts: 1 }, parent: null });
    this.#status = this.#rows.idleActor({ mesh_id: id, rank: 0, full_name: this.#agent });
    registry.listen({
      added: (proc) => proc.report(this.#rows),
      changed: (proc) => proc.report(this.#rows),
    });
  }

  /** Adds the rows of the agent's end. */
  stopping(reason: string): void {
    this.#status = this.#rows.actorEnd(actorId(this.#agent), this.#status, reason);
  }
}
