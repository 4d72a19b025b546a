/** The root node, which the hub makes itself: written anew when the set of hosts changes, dated at each read (LC-1). */
import { timestamp } from '../../base/index.ts';
import type { GatewayIdentity } from '../ports.ts';

export class RootText {
  readonly #identity: Pick<GatewayIdentity, 'started_at' | 'started_by'>;
  readonly #hosts: () => readonly { readonly identity: string }[];
  /** Everything before the date; null when the set of hosts has changed since it was written. */
  #head: string | null = null;
  /** As it was dated last, and when: reads within one millisecond share it, for with thousands of hosts it is long. */
  #text = '';
  #at_ms = 0;

  /** @param hosts the hosts to list, in order; asked when the root is read after a change. */
  constructor(
    identity: Pick<GatewayIdentity, 'started_at' | 'started_by'>,
    hosts: () => readonly { readonly identity: string }[],
  ) {
    this.#identity = identity;
    this.#hosts = hosts;
  }

  /** The set of hosts has changed. Cheap, so that a thousand hosts that come back at once are written as one list. */
  invalidate(): void {
    this.#head = null;
  }

  text(): string {
    const now_ms = Date.now();
    if (this.#head === null || now_ms !== this.#at_ms) {
      this.#head ??= this.#write();
      this.#at_ms = now_ms;
      this.#text = `${this.#head}${timestamp(now_ms)}"}`;
    }
    return this.#text;
  }

  #write(): string {
    const children = this.#hosts().map(({ identity }) => identity);
    const { started_at, started_by } = this.#identity;
    const Root = { num_hosts: children.length, started_at, started_by, system_children: [] };
    const node = { identity: 'root', properties: { Root }, children, parent: null };
    return `${JSON.stringify(node).slice(0, -1)},"as_of":"`;
  }
}
