/** What a host, and the names of hosts, need of the link that is open. */
import { type HelloFrame, hostLocation, locationKey, parseLocation } from '../../contract/index.ts';
import type { AgentCalls } from './calls.ts';

/** What is remembered of a hello. */
export interface Greeting extends Pick<HelloFrame, 'host' | 'incarnation' | 'agent_version'> {
  /** Key of the location of the host's references. */
  readonly key: string;
}

export interface HostLink {
  readonly hello: Greeting | null;
  readonly calls: AgentCalls;
  /** When the last frame came, milliseconds of the hub's clock. */
  readonly heard_at_ms: number;
  /** From when on silence is counted: the last frame or, when it came later, the welcome. Same clock. */
  readonly alive_at_ms: number;
  /** Wall clock of the last heartbeat that the runtime answered by itself. Default: none. */
  readonly answered_at_ms?: number | null;
  /** True once a whole state has come over this very link. */
  readonly hasPublished: boolean;
  close(code: number, reason: string): void;
}

/** Key of the location that follows from a host's name. */
export function keyOfName(host: string): string {
  return locationKey(hostLocation(host));
}

/** @returns the key of the location that a hello names; null when it is none */
export function keyOfHello({ host, location }: HelloFrame): string | null {
  if (location === undefined) return keyOfName(host);
  const parsed = parseLocation(location);
  return parsed.ok ? locationKey(parsed.value) : null;
}
