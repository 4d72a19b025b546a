/**
 * Every route × every kind of token × own and foreign Host × no, own and foreign Origin × methods × spellings of the path,
 * against the answer as it is documented. What is expected is computed here, from the table of routes, never by asking the
 * code; the gateway lets nobody in without a token (`anonymous: none`), so that roles are all that counts.
 */
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bearer, tokenDocument } from '../support/tokens.ts';
import type { Gateway, Start } from './start.ts';

type Level = 'open' | 'topology' | 'inspect' | 'publish' | 'store';

interface RouteRow {
  readonly path: string;
  readonly level: Level;
  /** Null: no method has a route. */
  readonly method: 'GET' | 'POST' | null;
  /** What a good token gets for a request without a body. */
  readonly status: number;
}

const route = (method: RouteRow['method'], path: string, level: Level, status: number): RouteRow => ({
  method,
  path,
  level,
  status,
});

const ROUTES: readonly RouteRow[] = [
  route('GET', '/healthz', 'open', 200),
  route('GET', '/metrics', 'topology', 200),
  route('GET', '/SKILL.md', 'topology', 200),
  route('GET', '/v1/admin', 'topology', 200),
  route('GET', '/v1/schema', 'topology', 200),
  route('GET', '/v1/schema/admin', 'topology', 200),
  route('GET', '/v1/schema/error', 'topology', 200),
  route('GET', '/v1/openapi.json', 'topology', 200),
  route('GET', '/v1/tree', 'topology', 200),
  route('GET', '/v1/events', 'topology', 200),
  route('GET', '/v1/root', 'topology', 200),
  route('GET', '/v1/nothing', 'topology', 404),
  route(null, '/nowhere', 'topology', 404),
  route('POST', '/v1/query', 'inspect', 415),
  route('GET', '/v1/pyspy/x', 'inspect', 400),
  route('POST', '/v1/pyspy_dump/x', 'inspect', 404),
  route('POST', '/v1/pyspy_profile_svg/x', 'inspect', 415),
  route('GET', '/v1/config/x', 'inspect', 400),
  route('GET', '/v1/link', 'publish', 400),
  route('GET', '/v1/store', 'store', 400),
];

const KINDS = ['no', 'bad', 'expired', 'wrong-role', 'good'] as const;
type Kind = (typeof KINDS)[number];

const GOOD: Readonly<Record<Level, string>> = {
  open: 'reader',
  topology: 'reader',
  inspect: 'inspector',
  publish: 'publisher',
  store: 'storekeeper',
};
const WRONG: Readonly<Record<Level, string>> = {
  open: 'publisher',
  topology: 'publisher',
  inspect: 'reader',
  publish: 'operator',
  store: 'publisher',
};
const TOKENS = tokenDocument({
  reader: { roles: ['read'] },
  inspector: { roles: ['inspect'] },
  operator: { roles: ['operate'] },
  publisher: { roles: ['agent'] },
  storekeeper: { roles: ['store'] },
  late: { roles: ['operate', 'agent'], expires_at: '2026-02-01T00:00:00.000Z' },
});

function authorize(kind: Kind, level: Level): Record<string, string> {
  if (kind === 'no') return {};
  if (kind === 'bad') return { authorization: 'Bearer msc_nobody-has-ever-had-this-one' };
  return bearer(kind === 'expired' ? 'late' : (kind === 'good' ? GOOD : WRONG)[level]);
}

/** A spelling of a path, and the route that it is then: matching is on the path as it was sent. */
const SPELLINGS: readonly (readonly [string, (row: RouteRow) => readonly [string, RouteRow]])[] = [
  ['as it is', (row) => [row.path, row]],
  ['with a query', (row) => [`${row.path}?token=1&/v1/root`, row]],
  ['a letter encoded', (row) => encodedLetter(row)],
  ['a slash encoded', ({ path }) => [path.replace(/^\/v1\//, '/v1%2F'), atV1(path) ? nowhere(path) : routeOf(path)]],
  ['a slash doubled', ({ path }) => [`/${path}`, nowhere(path)]],
];

const atV1 = (path: string) => path.startsWith('/v1/');
const nowhere = (path: string) => route(null, path, 'topology', 404);
const routeOf = (path: string) => ROUTES.find((row) => row.path === path) ?? nowhere(path);

/** Below `/v1/` it is a reference then, whatever stands in it; that of the root is decoded and found. */
function encodedLetter({ path }: RouteRow): readonly [string, RouteRow] {
  const at = atV1(path) ? '/v1/'.length : 1;
  const encoded = `%${path.charCodeAt(at).toString(16)}`;
  const sent = path.slice(0, at) + encoded + path.slice(at + 1);
  if (!atV1(path)) return [sent, nowhere(path)];
  return [sent, route('GET', path, 'topology', path === '/v1/root' ? 200 : 404)];
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS'] as const;
const HOSTS = ['own', 'foreign'] as const;
const ORIGINS = ['none', 'own', 'foreign'] as const;

interface Expected {
  readonly status: number;
  readonly allow?: string;
}

/** The documented answer, in the order of the checks. */
function expected(row: RouteRow, kind: Kind, host: string, origin: string, method: string, level: Level): Expected {
  if (host === 'foreign' || origin === 'foreign') return { status: 403 };
  if (row.level !== 'open') {
    if (kind === 'no' || kind === 'bad' || kind === 'expired') return { status: 401 };
    // The token was chosen for the route as it is; another spelling may be another route, of another level.
    if (!has(kind === 'good' ? GOOD[level] : WRONG[level], row.level)) return { status: 403 };
  }
  if (row.method === null || method === row.method) return { status: row.status };
  if (method === 'HEAD' && row.method === 'GET') return { status: row.status };
  return { status: 405, allow: row.method === 'GET' ? 'GET,HEAD' : row.method };
}

function has(name: string, level: Level): boolean {
  const levels: Readonly<Record<string, readonly Level[]>> = {
    reader: ['topology'],
    inspector: ['topology', 'inspect'],
    operator: ['topology', 'inspect'],
    publisher: ['publish'],
    storekeeper: ['store'],
  };
  return levels[name]?.includes(level) === true;
}

interface Seen {
  readonly status: number;
  readonly allow: string | undefined;
  readonly authenticate: string | undefined;
  readonly code: string | null;
}

const CODES: Readonly<Record<number, string>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
};

export function matrixCases(start: Start): void {
  let gateway: Gateway;

  beforeAll(async () => {
    gateway = await start({ anonymous: 'none', tokens: TOKENS });
  });

  afterAll(() => gateway.close());

  /** Reads the body of an error only: that of the live updates has no end. */
  function ask(method: string, path: string, headers: Readonly<Record<string, string>>): Promise<Seen> {
    const { hostname, port } = new URL(gateway.url);
    return new Promise((resolve, reject) => {
      const request = httpRequest({ host: hostname, port, method, path, headers, agent: false }, (response) => {
        const { statusCode: status = 0, headers: answered } = response;
        const { allow, 'www-authenticate': authenticate } = answered;
        const finish = (code: string | null) => resolve({ status, allow, authenticate, code });
        if (status < 400 || method === 'HEAD') {
          response.destroy();
          return finish(null);
        }
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => finish(JSON.parse(text).error.code));
        response.on('error', reject);
      });
      request.on('upgrade', (_, socket) => {
        socket.destroy();
        resolve({ status: 101, allow: undefined, authenticate: undefined, code: null });
      });
      request.on('error', reject);
      request.end();
    });
  }

  function situation(host: string, origin: string): Record<string, string> {
    const own = `127.0.0.1:${gateway.port}`;
    const headers: Record<string, string> = { host: host === 'own' ? own : `mesh.example:${gateway.port}` };
    if (origin !== 'none') headers.origin = origin === 'own' ? `http://${headers.host}` : 'http://evil.example';
    return headers;
  }

  describe.each(ROUTES.map((row) => [row.path, row] as const))('%s', (_, row) => {
    it.each(KINDS)('%s token', async (kind) => {
      const wrong: unknown[] = [];
      for (const [spelling, spell] of SPELLINGS) {
        const [path, reached] = spell(row);
        const asked = METHODS.flatMap((method) =>
          HOSTS.flatMap((host) =>
            ORIGINS.map(async (origin) => {
              const want = expected(reached, kind, host, origin, method, row.level);
              const got = await ask(method, path, { ...situation(host, origin), ...authorize(kind, row.level) });
              const code = method === 'HEAD' || want.status < 400 ? null : (CODES[want.status] ?? got.code);
              const authenticate = want.status === 401 ? 'Bearer realm="meshscope"' : undefined;
              const is = [got.status, got.allow, got.authenticate, got.code];
              const be = [want.status, want.allow, authenticate, code];
              if (JSON.stringify(is) !== JSON.stringify(be))
                wrong.push({ spelling, method, path, host, origin, is, be });
            }),
          ),
        );
        await Promise.all(asked);
      }
      expect(wrong).toEqual([]);
    });
  });

  describe('the upgrade to a link', () => {
    const UPGRADE = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-protocol': 'meshscope.link.1',
    };

    it.each(KINDS)('%s token', async (kind) => {
      for (const host of HOSTS) {
        for (const origin of ORIGINS) {
          const headers = { ...UPGRADE, ...situation(host, origin), ...authorize(kind, 'publish') };
          const { status } = await ask('GET', '/v1/link?host=gpu-7', headers);
          const refused = kind === 'wrong-role' ? 403 : 401;
          const want = host === 'foreign' || origin === 'foreign' ? 403 : kind === 'good' ? 101 : refused;
          expect([host, origin, status]).toEqual([host, origin, want]);
        }
      }
    });
  });
}
