/**
 * References of published nodes, checked once: each must be canonical text, since clients read every reference and
 * print it again (NI-1). A mesh names the same few references over and over, so what was checked is remembered.
 */
import { hostLocationOf, locationKey, type NodeRef, parseNodeRef, refKey, renderRef } from '../../contract/index.ts';
import { type GatewayLimits, LIMITS } from '../limits.ts';

export interface CheckedRef {
  readonly ref: NodeRef;
  readonly key: string;
  /** Key of the location of the host that the reference belongs to; empty for root. */
  readonly host: string;
}

export class References {
  readonly #max: number;
  readonly #checked = new Map<string, CheckedRef>();

  constructor({ checked_references_max }: GatewayLimits = LIMITS) {
    this.#max = checked_references_max;
  }

  /** The reference, or why it may not be published. */
  check(text: string): CheckedRef | string {
    const known = this.#checked.get(text);
    if (known !== undefined) return known;
    const parsed = parseNodeRef(text);
    if (!parsed.ok) return `invalid reference '${text}': ${parsed.error}`;
    const canonical = renderRef(parsed.value);
    if (canonical !== text) return `reference '${text}' is not canonical: write '${canonical}'`;
    const entry = { ref: parsed.value, key: refKey(parsed.value), host: hostKey(parsed.value) };
    if (this.#checked.size >= this.#max) this.#checked.clear();
    this.#checked.set(text, entry);
    return entry;
  }
}

export function hostKey(ref: NodeRef): string {
  const location = hostLocationOf(ref);
  return location === null ? '' : locationKey(location);
}
