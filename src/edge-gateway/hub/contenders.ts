/** Sessions that wait for a host name that another link holds: by location key, in the order in which they came. */
import type { GatewayLimits } from '../limits.ts';
import type { LinkSession } from './session.ts';

/** Less than the resolution of any clock, more than the precision of the numbers. */
const TRIFLE_MS = 0.001;

export class Contenders {
  readonly #max: number;
  readonly #waiting = new Map<string, readonly LinkSession[]>();

  constructor({ contenders_max }: GatewayLimits) {
    this.#max = contenders_max;
  }

  entries(): Iterable<readonly [string, readonly LinkSession[]]> {
    return [...this.#waiting];
  }

  of(key: string): readonly LinkSession[] {
    return this.#waiting.get(key) ?? [];
  }

  isFull(key: string): boolean {
    return this.of(key).length >= this.#max;
  }

  /** Now or, so that the times alone give the order, a trifle later than the last newcomer. */
  next_ms(key: string, now_ms: number): number {
    return Math.max(now_ms, (this.of(key).at(-1)?.contested_at_ms ?? 0) + TRIFLE_MS);
  }

  /** A session that says since when it is contested goes before those that came later. */
  add(key: string, session: LinkSession): void {
    const all = [...this.of(key), session];
    this.#waiting.set(
      key,
      all.sort((a, b) => a.contested_at_ms - b.contested_at_ms),
    );
  }

  remove(key: string, session: LinkSession): void {
    const rest = this.of(key).filter((each) => each !== session);
    if (rest.length > 0) this.#waiting.set(key, rest);
    else this.#waiting.delete(key);
  }
}
