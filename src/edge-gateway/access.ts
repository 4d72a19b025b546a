/**
 * Who may do what. Checked before routing, on headers alone, for every path but `/healthz`:
 *
 *  1. `Host` must be one of the allowed names, where there is a list. A server on loopback always has one, or a web page
 *     could reach it under a name of its own (DNS rebinding).
 *  2. A request from a page (`Origin`) must come from this server's own origin.
 *  3. A token that is given must be right, even where none is needed.
 *  4. Without a token, `anonymous` says how far one gets: `none`, `topology`, or `all` (which never includes the link).
 */
import { failure, type Outcome, success } from '../contract/index.ts';
import { TOKEN_MAX_CHARS } from './limits.ts';
import type { AccessLevel, AccessPolicy, Principal } from './ports.ts';

const ANONYMOUS: Principal = { name: 'anonymous', hosts: null };
const OWNER: Principal = { name: 'owner', hosts: null };

export const ANONYMOUS_LEVELS = ['none', 'topology', 'all'] as const;
export type AnonymousLevel = (typeof ANONYMOUS_LEVELS)[number];

export interface AccessOptions {
  /** The bearer token, at least 16 characters. */
  readonly token: string;
  readonly anonymous: AnonymousLevel;
  /** Where a person finds the token, for messages: a path or the name of a secret. Default: nothing is said. */
  readonly tokenSource?: string;
  /** Host names that requests may use, without port, IPv6 in brackets. Default null: any. */
  readonly hosts?: readonly string[] | null;
}

/** @throws RangeError when the token is too short, too long or cannot be sent in a header, or `anonymous` is not a level. */
export function createAccess(options: AccessOptions): AccessPolicy {
  const { token, anonymous } = options;
  if (token.length < 16 || token.length > TOKEN_MAX_CHARS) {
    throw new RangeError(`token must have 16 to ${TOKEN_MAX_CHARS} characters, got ${token.length}`);
  }
  if (!/^[\x21-\x7e]+$/.test(token)) throw new RangeError('token must be printable ASCII without spaces');
  if (!ANONYMOUS_LEVELS.includes(anonymous))
    throw new RangeError(`anonymous must be none, topology or all, got ${anonymous}`);
  const hosts = options.hosts == null ? null : new Set(options.hosts.map((host) => host.toLowerCase()));
  const hint = options.tokenSource === undefined ? '' : `; the token is in ${options.tokenSource}`;
  return {
    admit(level: AccessLevel, headers: Headers): Outcome<Principal> {
      const from = originError(headers, hosts);
      if (from !== null) return failure('forbidden', from);
      if (level === 'open') return success(ANONYMOUS);
      const authorization = headers.get('authorization');
      if (authorization === null) {
        if (isAnonymousEnough(level, anonymous)) return success(ANONYMOUS);
        return failure('unauthorized', `a token is needed here: send 'Authorization: Bearer <token>'${hint}`);
      }
      const given = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
      if (given !== undefined && equalsInConstantTime(given, token)) return success(OWNER);
      return failure('unauthorized', `the token is wrong${hint}`);
    },
  };
}

function isAnonymousEnough(level: AccessLevel, anonymous: AnonymousLevel): boolean {
  if (level === 'publish') return false;
  return anonymous === 'all' || (anonymous === 'topology' && level === 'topology');
}

function originError(headers: Headers, hosts: ReadonlySet<string> | null): string | null {
  const host = headers.get('host')?.toLowerCase() ?? '';
  if (hosts !== null && !hosts.has(withoutPort(host))) {
    return `host '${host}' is not one of this server's names (${[...hosts].join(', ')})`;
  }
  const origin = headers.get('origin');
  if (origin === null) return null;
  const page = URL.canParse(origin) ? new URL(origin).host.toLowerCase() : '';
  return page !== '' && page === host ? null : `requests from pages of '${origin}' are not allowed`;
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '');
}

/** Takes the same time wherever the first difference is; only the length of what was given shows. */
function equalsInConstantTime(given: string, expected: string): boolean {
  let difference = given.length ^ expected.length;
  const length = Math.min(given.length, TOKEN_MAX_CHARS);
  for (let i = 0; i < length; i += 1) difference |= given.charCodeAt(i) ^ expected.charCodeAt(i % expected.length);
  return difference === 0;
}
