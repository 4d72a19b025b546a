/**
 * Who may do what. Checked before routing, on headers alone, for every path; `/healthz` needs no more than 1 and 2:
 *
 *  1. `Host` must be one of the allowed names, where there is a list. A server on loopback always has one, or a web page
 *     could reach it under a name of its own (DNS rebinding).
 *  2. A request from a page (`Origin`) must come from this server's own origin.
 *  3. A token that is given must be right and not expired, even where none is needed: else 401.
 *  4. A right token, or without one a verified client certificate, has roles. Too small a role is 403, unless step 5 would
 *     let anybody in.
 *  5. Without either, `anonymous` says how far one gets: `none`, `topology`, or `all` (which never includes writes and the
 *     links).
 *
 * `owner` is the one token that every gateway has; it has every role.
 */
import { failure, type Outcome, success } from '../../base/index.ts';
import { isExpired, ROLES, type Role, type StoredToken } from '../../contract/index.ts';
import { type GatewayLimits, LIMITS } from '../limits.ts';
import type { AccessLevel, AccessPolicy, HeaderReader, Principal, Sha256, TokenSource } from '../ports.ts';
import { TokenSet } from './tokens.ts';

const ANONYMOUS: Principal = { name: 'anonymous', hosts: null };

export const ANONYMOUS_LEVELS = ['none', 'topology', 'all'] as const;
export type AnonymousLevel = (typeof ANONYMOUS_LEVELS)[number];

/** The roles that are enough for a level, the smallest first. */
const ENOUGH: Readonly<Record<Exclude<AccessLevel, 'open'>, readonly [Role, ...Role[]]>> = {
  topology: ['read', 'inspect', 'operate'],
  inspect: ['inspect', 'operate'],
  operate: ['operate'],
  publish: ['agent'],
  store: ['store'],
};

export interface AccessOptions {
  /** The owner's bearer token, at least `token_min_chars`. */
  readonly token: string;
  readonly anonymous: AnonymousLevel;
  readonly sha256: Sha256;
  /** Where a person finds the token, for messages: a path or the name of a secret. Default: nothing is said. */
  readonly tokenSource?: string;
  /** Further tokens. Default none. */
  readonly tokens?: TokenSource;
  /** What a verified client certificate may do. Default `inspect`. The roles of links count for nothing here. */
  readonly certificate_roles?: readonly Role[];
  /** Host names that requests may use, without port, IPv6 in brackets. Default null: any. */
  readonly hosts?: readonly string[] | null;
  /** Default: LIMITS. */
  readonly limits?: GatewayLimits;
}

/** @throws RangeError when the token is too short, too long or cannot be sent in a header, or `anonymous` is not a level. */
export function createAccess(options: AccessOptions): AccessPolicy {
  const { token, anonymous, sha256, tokens: source, certificate_roles = ['inspect'] } = options;
  const { token_min_chars, token_max_chars } = options.limits ?? LIMITS;
  if (token.length < token_min_chars || token.length > token_max_chars) {
    throw new RangeError(`token must have ${token_min_chars} to ${token_max_chars} characters, got ${token.length}`);
  }
  if (!/^[\x21-\x7e]+$/.test(token)) throw new RangeError('token must be printable ASCII without spaces');
  if (!ANONYMOUS_LEVELS.includes(anonymous))
    throw new RangeError(`anonymous must be none, topology or all, got ${anonymous}`);
  const hosts = options.hosts == null ? null : new Set(options.hosts.map((host) => host.toLowerCase()));
  const hint = options.tokenSource === undefined ? '' : `; the token is in ${options.tokenSource}`;
  const owner: StoredToken = {
    name: 'owner',
    roles: [...ROLES],
    created_at: '1970-01-01T00:00:00.000Z',
    expires_at: null,
    sha256: sha256(token),
  };
  let list: readonly StoredToken[] | undefined;
  let set = new TokenSet([owner], sha256);
  const current = (): TokenSet => {
    const given = source?.tokens();
    if (given !== undefined && given !== list) {
      list = given;
      set = new TokenSet([owner, ...given], sha256);
    }
    return set;
  };
  const byToken = (authorization: string): Outcome<Holder> => {
    const [, text = ''] = /^Bearer +(\S+) *$/i.exec(authorization) ?? [];
    const found = text === '' || text.length > token_max_chars ? null : current().find(text);
    if (found === null) return failure('unauthorized', `the token is wrong${hint}`);
    const { name, roles } = found;
    if (!isExpired(found, Date.now()))
      return success({ principal: principalOf(found), roles, what: `the token '${name}'` });
    return failure('unauthorized', `the token '${name}' expired at ${found.expires_at}`, { principal: name });
  };
  const byCertificate = (peer: string): Holder => ({
    principal: { name: `cert:${peer}`, hosts: null },
    roles: certificate_roles.filter((role) => role !== 'agent' && role !== 'store'),
    what: `the client certificate '${peer}'`,
  });
  return {
    admit(level, headers, peer = null) {
      const from = originError(headers, hosts);
      if (from !== null) return failure('forbidden', from);
      if (level === 'open') return success(ANONYMOUS);
      const isOpen = isAnonymousEnough(level, anonymous);
      const authorization = headers.get('authorization');
      if (authorization === null && peer === null) {
        if (isOpen) return success(ANONYMOUS);
        return failure('unauthorized', `a token is needed here: send 'Authorization: Bearer <token>'${hint}`);
      }
      const holder = authorization === null ? success(byCertificate(peer ?? '')) : byToken(authorization);
      if (!holder.ok) return holder;
      const { principal, roles, what } = holder.value;
      const enough = ENOUGH[level];
      if (isOpen || roles.some((role) => enough.includes(role))) return success(principal);
      const message = `the role '${enough[0]}' is needed here; ${what} has ${roles.join(', ') || 'none'}`;
      return failure('forbidden', message, { principal: principal.name });
    },
    mayStay(principal) {
      if (principal.token === undefined) return true;
      const token = current().byName(principal.name);
      if (token === null || isExpired(token, Date.now())) return false;
      const now = principalOf(token);
      return now.token === principal.token && isWithin(principal.hosts, now.hosts);
    },
  };
}

/** What a valid token or certificate stands for. */
interface Holder {
  readonly principal: Principal;
  readonly roles: readonly Role[];
  /** For messages. */
  readonly what: string;
}

/** Made once for each token: most requests come with one. */
const principals = new WeakMap<StoredToken, Principal>();

/** The token is named by its roles and a part of its digest: a principal is kept with links, and a digest is none of theirs. */
function principalOf(stored: StoredToken): Principal {
  const known = principals.get(stored);
  if (known !== undefined) return known;
  const { name, hosts, roles, sha256 } = stored;
  const principal = { name, hosts: hosts ?? null, token: `${roles.join('+')}:${sha256.slice(0, 16)}` };
  principals.set(stored, principal);
  return principal;
}

/** A link is kept with the hosts that it is for, which may be fewer than its token names. */
function isWithin(hosts: Principal['hosts'], allowed: Principal['hosts']): boolean {
  return allowed === null || (hosts?.every((host) => allowed.includes(host)) ?? false);
}

function isAnonymousEnough(level: AccessLevel, anonymous: AnonymousLevel): boolean {
  if (anonymous === 'none') return false;
  return level === 'topology' || (level === 'inspect' && anonymous === 'all');
}

function originError(headers: HeaderReader, hosts: ReadonlySet<string> | null): string | null {
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
