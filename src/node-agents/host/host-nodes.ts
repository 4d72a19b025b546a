/** The nodes of a host: its own, those of the agent's own proc, and those of each proc that it shows. */
import { timestamp } from '../../base/index.ts';
import { type NodePayload, renderChannelAddress, renderRef } from '../../contract/index.ts';
import { readMemory } from '../procfs/index.ts';
import type { HostRefs } from '../procs/identity.ts';
import type { ProcRegistry } from '../procs/registry.ts';
import type { ServiceProc } from './service-proc.ts';

export class HostNodes {
  readonly #refs: HostRefs;
  readonly #service: ServiceProc;
  readonly #registry: ProcRegistry;

  constructor(refs: HostRefs, service: ServiceProc, registry: ProcRegistry) {
    this.#refs = refs;
    this.#service = service;
    this.#registry = registry;
  }

  /** The host's own node. */
  host(): NodePayload {
    const { host, service } = this.#refs;
    const children = [service, ...this.#registry.procs().map(({ ref }) => ref)].map(renderRef);
    return {
      identity: renderRef(host),
      properties: {
        Host: {
          addr: renderChannelAddress(service.location.url),
          num_procs: children.length,
          system_children: [],
          memory: readMemory(process.pid),
        },
      },
      children,
      parent: 'root',
      as_of: timestamp(Date.now()),
    };
  }

  /** Every node, as it is now. */
  all(): NodePayload[] {
    const procs = this.#registry.procs().flatMap((proc) => proc.pushedNodes());
    return [this.host(), ...this.#service.pushedNodes(), ...procs];
  }

  /** The nodes that show how much memory is in use, which changes without an event. */
  withMemory(): NodePayload[] {
    return [this.host(), this.#service.procNode(), ...this.#registry.live().map((proc) => proc.procNode())];
  }
}
