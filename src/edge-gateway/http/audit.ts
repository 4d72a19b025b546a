/**
 * The audit line: who did what, told in the log when the answer is known.
 *
 *     audit: who="ci" what=query target="select 1" status=200 ms=12
 *
 * Stacks that were asked for with the values of variables have `locals=true` behind `what`. Names and targets come from
 * outside, so they are JSON texts, with whatever cannot be seen escaped.
 */
import type { Context } from 'hono';
import { type Failure, type Log, oneLine } from '../../base/index.ts';
import { AUDIT_TARGET_MAX_CHARS } from '../limits.ts';
import type { HeaderReader, Principal } from '../ports.ts';
import { percentDecode } from './decode.ts';

/** What is told of: stacks, profiles, configuration, SQL, and requests for a link or the store's link. */
export type Audited = 'dump' | 'stored_dump' | 'profile' | 'config' | 'query' | 'link' | 'store';

const TARGET = 'audited_target';

/** Says what a request is about, where its path does not. */
export function noteTarget(c: Context, target: string): void {
  c.set(TARGET, target);
}

/** Who was refused, as far as it is known. */
export function refusedName(failure: Failure, headers: HeaderReader): string {
  const { details } = failure;
  if (typeof details === 'object' && details !== null && 'principal' in details) return String(details.principal);
  return headers.get('authorization') !== null ? 'unknown' : 'anonymous';
}

/** @param rest the encoded rest of the path, which is the target unless `noteTarget` said another. */
export function audit(
  log: Log,
  c: Context,
  what: Audited,
  who: Principal['name'],
  rest: string,
): (status: number) => void {
  const began_ms = performance.now();
  return (status) => {
    // Of links that open, the hub tells.
    const isLink = what === 'link' || what === 'store';
    if (isLink && status < 400) return;
    const path = isLink ? (c.req.query('host') ?? '') : (percentDecode(rest) ?? rest);
    const target = (c.get(TARGET) ?? path).slice(0, AUDIT_TARGET_MAX_CHARS);
    const ms = Math.round(performance.now() - began_ms);
    const locals = c.req.query('locals') === 'true' ? ' locals=true' : '';
    log.info(`audit: who=${quoted(who)} what=${what}${locals} target=${quoted(target)} status=${status} ms=${ms}`);
  };
}

function quoted(text: string): string {
  return oneLine(JSON.stringify(text));
}
