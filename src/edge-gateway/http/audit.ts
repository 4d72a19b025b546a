/**
 * The audit line: who did what, logged when the answer is known.
 *
 *     audit: who="ci" what=query target="select 1" status=200 ms=12
 *
 * A dump that was asked for with the values of variables has `locals=true` after `what`. Names and targets come from
 * outside, so they are written as JSON texts with invisible characters escaped.
 */
import type { Context } from 'hono';
import { type Failure, type Log, oneLine } from '../../base/index.ts';
import type { GatewayLimits } from '../limits.ts';
import type { HeaderReader, Principal } from '../ports.ts';
import { percentDecode } from './path.ts';
import type { Audited, MatchedRoute } from './router.ts';

const TARGET = 'audited_target';

/** Says what a request is about, where its path does not. */
export function noteTarget(c: Context, target: string): void {
  c.set(TARGET, target);
}

export class Audit {
  readonly #log: Log;
  readonly #target_max_chars: number;

  constructor(log: Log, { audit_target_max_chars }: GatewayLimits) {
    this.#log = log;
    this.#target_max_chars = audit_target_max_chars;
  }

  /** Lets the handler of a route answer, and writes the line of a route that has one. */
  answer(c: Context, { route, rest }: MatchedRoute, principal: Principal): Response | Promise<Response> {
    if (route.audit === undefined) return route.handler(c, rest, principal);
    const write = this.#begin(c, route.audit, principal.name, rest);
    return Promise.resolve(route.handler(c, rest, principal)).then(
      (response) => {
        write(response.status);
        return response;
      },
      (error: unknown) => {
        write(500);
        throw error;
      },
    );
  }

  /** Writes the line of a request that was refused before its handler was asked. */
  refused(c: Context, { route, rest }: MatchedRoute, failure: Failure, headers: HeaderReader, status: number): void {
    if (route.audit !== undefined) this.#begin(c, route.audit, refusedName(failure, headers), rest)(status);
  }

  /** @param rest the encoded rest of the path, which is the target unless `noteTarget` said another */
  #begin(c: Context, what: Audited, who: Principal['name'], rest: string): (status: number) => void {
    const began_ms = performance.now();
    return (status) => {
      // The hub logs the links that open.
      const isLink = what === 'link' || what === 'store';
      if (isLink && status < 400) return;
      const path = isLink ? (c.req.query('host') ?? '') : (percentDecode(rest) ?? rest);
      const target = (c.get(TARGET) ?? path).slice(0, this.#target_max_chars);
      const ms = Math.round(performance.now() - began_ms);
      const locals = c.req.query('locals') === 'true' ? ' locals=true' : '';
      this.#log.info(
        `audit: who=${quoted(who)} what=${what}${locals} target=${quoted(target)} status=${status} ms=${ms}`,
      );
    };
  }
}

/** The name of the refused principal, as far as it is known. */
function refusedName({ details }: Failure, headers: HeaderReader): string {
  if (typeof details === 'object' && details !== null && 'principal' in details) return String(details.principal);
  return headers.get('authorization') !== null ? 'unknown' : 'anonymous';
}

function quoted(text: string): string {
  return oneLine(JSON.stringify(text));
}
