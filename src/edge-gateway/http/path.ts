/**
 * Paths, as the contract reads them: matched raw, decoded twice.
 *
 *  1. The text after the route's prefix is decoded; bytes that are not UTF-8 are refused.
 *  2. All leading slashes go; nothing left is refused.
 *  3. What is left is decoded again, for clients that encode twice; the same refusal.
 *
 * A `%` without two hex digits is kept as it is, in both passes.
 */
import { type Failure, failure, type Outcome, success } from '../../base/index.ts';

/** Percent-decodes; null when the bytes are not UTF-8. */
export function percentDecode(text: string): string | null {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text.replace(/%(?![0-9a-f]{2})/gi, '%25'));
  } catch {
    return null;
  }
}

export interface CapturedReference {
  /** Decoded once, as messages and stored dumps show it. */
  readonly captured: string;
  /** Decoded twice and without leading slashes: what is looked up. */
  readonly reference: string;
}

type ParameterName = 'reference' | 'proc_reference';

/** @param raw the path's text after the route's prefix, still encoded. @param name `reference` or `proc_reference`. */
export function captureReference(raw: string, name: ParameterName): Outcome<CapturedReference> {
  const captured = percentDecode(raw);
  if (captured === null) return { ok: false, failure: notUtf8(name) };
  const stripped = captured.replace(/^\/+/, '');
  if (stripped === '') return failure('bad_request', `empty ${name.replace('_', ' ')}`);
  const reference = percentDecode(stripped);
  if (reference === null) {
    return failure('bad_request', 'malformed percent-encoding: decoded bytes are not valid UTF-8');
  }
  return success({ captured, reference });
}

/** Why the first pass refuses the text; null when it does not. */
export function undecodable(raw: string, name: ParameterName): Failure | null {
  return percentDecode(raw) === null ? notUtf8(name) : null;
}

function notUtf8(name: ParameterName): Failure {
  return { code: 'bad_request', message: `Invalid URL: Invalid UTF-8 in \`${name}\`` };
}

/** The path of a request as it came, without the query; the target hands it over where a URL parser would alter it. */
export function rawPath(request: Request, env: unknown): string {
  const given = typeof env === 'object' && env !== null && 'rawPath' in env ? env.rawPath : undefined;
  const target = typeof given === 'string' && given.startsWith('/') ? given : pathOfUrl(request.url);
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

function pathOfUrl(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  return start < 0 ? '/' : url.slice(start);
}
