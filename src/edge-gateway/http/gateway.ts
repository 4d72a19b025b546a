/**
 * The HTTP API: one Hono app over the ports.
 *
 * A request goes: raw path (http/decode) → route (routes) → access (access) → a handler of a few lines, in the table
 * below → the mesh or telemetry → http/respond. Every failure anywhere leaves as the error envelope. `HEAD` is accepted
 * wherever `GET` is. There is no CORS.
 */

import type { Context } from 'hono';
import { HonoBase } from 'hono/hono-base';
import { type Failure, type Log, type Outcome, SILENT } from '../../base/index.ts';
import { EVENTS_PATH, LINK_PATH, QueryRequest, STORE_PATH } from '../../contract/index.ts';
import {
  type AccessPolicy,
  type DocumentName,
  type Documents,
  type GatewayIdentity,
  type Mesh,
  NO_TELEMETRY,
  type Observer,
  type Principal,
  type RequestEnv,
  type Telemetry,
} from '../ports.ts';
import { GatewaySelf } from '../self.ts';
import { audit, noteTarget, refusedName } from './audit.ts';
import { readJsonBody } from './body.ts';
import { captureReference, rawPath } from './decode.ts';
import { handleConfig, handleDump, handleProfile, handleStoredDump } from './handlers/proc-calls.ts';
import { failureResponse, jsonResponse, textResponse } from './respond.ts';
import { createMatcher, OneHandler, type Route } from './routes.ts';

/**
 * Answers a request that asks for a WebSocket on the agents' path by opening a link.
 *
 * @param host the host that the request names in its query; null when it names none
 */
export type OpenLink = (c: Context, principal: Principal, host: string | null) => Response | Promise<Response>;

/** The same on the path of a telemetry service that dials in. */
export type OpenStore = (c: Context, principal: Principal) => Response | Promise<Response>;

export interface GatewayPorts {
  readonly identity: GatewayIdentity;
  readonly documents: Documents;
  readonly mesh: Mesh;
  readonly access: AccessPolicy;
  readonly openLink: OpenLink;
  readonly openStore: OpenStore;
  /** Null: there is no store and never will be. Then queries and stored dumps are `not_found`. */
  readonly telemetry: Telemetry | null;
  /** Default: nothing is logged. */
  readonly log?: Log;
  /** Default: `/metrics` has the counts of the mesh, and nobody is told of requests. */
  readonly observer?: Observer;
}

export type Gateway = HonoBase;

/** What names of the counts in `/metrics` begin with. */
const METRIC = 'meshscope_gateway_';

export function createGateway(ports: GatewayPorts): Gateway {
  const { access } = ports;
  const log = ports.log ?? SILENT;
  const match = createMatcher(listRoutes(ports));
  const app = new HonoBase({ router: new OneHandler(), getPath: (request, options) => rawPath(request, options?.env) });
  // One handler, so that an answer that is at hand leaves without waiting for anything.
  app.all('*', (c) => {
    const request = c.req.raw;
    const { path } = c.req;
    const matched = match(path);
    const { peer = null, headers = request.headers } = (c.env ?? {}) as RequestEnv;
    const admitted = access.admit(matched?.route.level ?? 'topology', headers, peer);
    if (!admitted.ok) {
      const response = failureResponse(request, admitted.failure);
      if (matched?.route.audit === undefined) return response;
      audit(log, c, matched.route.audit, refusedName(admitted.failure, headers), matched.rest)(response.status);
      return response;
    }
    if (matched === null) return failureResponse(request, noSuchPath(path));
    const { route, rest } = matched;
    if (request.method === route.method || (request.method === 'HEAD' && route.method === 'GET')) {
      const told = ports.observer?.asked(route);
      const answer = handle(log, route, c, rest, admitted.value);
      if (told !== undefined) tellStatus(answer, told);
      return answer;
    }
    const allow = route.method === 'GET' ? 'GET,HEAD' : route.method;
    const message = `${request.method} is not allowed on this path, use ${allow.replace(',', ' or ')}`;
    return failureResponse(request, { code: 'method_not_allowed', message }, { allow });
  });
  app.onError((error, c) => {
    // What went wrong inside is for the log; the caller gets a name for it.
    const incident = crypto.randomUUID();
    log.warn(`request failed: ${error.message}`, { incident, path: c.req.path, stack: error.stack });
    const message = `internal error ${incident}; the log has more`;
    return failureResponse(c.req.raw, { code: 'internal_error', message });
  });
  return app;
}

/** Lets the route answer, and tells of it in the log where the route says so. */
function handle(log: Log, route: Route, c: Context, rest: string, principal: Principal): Response | Promise<Response> {
  if (route.audit === undefined) return route.handler(c, rest, principal);
  const tell = audit(log, c, route.audit, principal.name, rest);
  return Promise.resolve(route.handler(c, rest, principal)).then(
    (response) => {
      tell(response.status);
      return response;
    },
    (error: unknown) => {
      tell(500);
      throw error;
    },
  );
}

/** An answer that is at hand is not waited for. */
function tellStatus(answer: Response | Promise<Response>, told: (status: number) => void): void {
  if (answer instanceof Promise) answer.then(({ status }) => told(status)).catch(() => told(500));
  else told(answer.status);
}

function noSuchPath(path: string): Failure {
  return { code: 'not_found', message: `no such path: ${path}; GET /SKILL.md lists the paths there are` };
}

function listRoutes(ports: GatewayPorts): Route[] {
  const { identity, documents, mesh, telemetry, openLink, openStore, observer } = ports;
  const self = new GatewaySelf(identity);
  const document = (path: string, name: DocumentName): Route => ({
    method: 'GET',
    path,
    level: 'topology',
    handler: async (c) => jsonResponse(c.req.raw, await documents(name)),
  });
  return [
    {
      method: 'GET',
      path: '/healthz',
      level: 'open',
      handler: (c) => health(c, mesh, telemetry),
    },
    {
      method: 'GET',
      path: '/metrics',
      level: 'topology',
      handler: (c) => metrics(c, mesh, observer),
    },
    {
      method: 'GET',
      path: '/SKILL.md',
      level: 'topology',
      handler: (c) => skill(c, documents),
    },
    {
      method: 'GET',
      path: '/v1/admin',
      level: 'topology',
      handler: (c) => jsonResponse(c.req.raw, JSON.stringify(self.adminInfo())),
    },
    document('/v1/schema', 'schema.json'),
    document('/v1/schema/admin', 'schema-admin.json'),
    document('/v1/schema/error', 'schema-error.json'),
    document('/v1/openapi.json', 'openapi.json'),
    {
      method: 'GET',
      path: '/v1/tree',
      level: 'topology',
      handler: (c) => tree(c, mesh),
    },
    { method: 'GET', path: EVENTS_PATH, level: 'topology', handler: (c) => follow(c, mesh) },
    {
      method: 'GET',
      path: LINK_PATH,
      level: 'publish',
      audit: 'link',
      handler: (c, _, principal) => link(c, principal, openLink),
    },
    {
      method: 'GET',
      path: STORE_PATH,
      level: 'store',
      audit: 'store',
      handler: (c, _, principal) => store(c, principal, openStore),
    },
    { method: 'POST', path: '/v1/query', level: 'inspect', audit: 'query', handler: (c) => query(c, telemetry) },
    {
      method: 'GET',
      path: '/v1/pyspy/{*proc_reference}',
      level: 'inspect',
      audit: 'dump',
      handler: (c, raw) => handleDump(mesh, c.req.raw, raw),
    },
    {
      method: 'POST',
      path: '/v1/pyspy_dump/{*proc_reference}',
      level: 'inspect',
      audit: 'stored_dump',
      handler: (c, raw) => handleStoredDump(mesh, telemetry, c.req.raw, raw),
    },
    {
      method: 'POST',
      path: '/v1/pyspy_profile_svg/{*proc_reference}',
      level: 'inspect',
      audit: 'profile',
      handler: (c, raw) => handleProfile(mesh, c.req.raw, raw),
    },
    {
      method: 'GET',
      path: '/v1/config/{*proc_reference}',
      level: 'inspect',
      audit: 'config',
      handler: (c, raw) => handleConfig(mesh, c.req.raw, raw),
    },
    { method: 'GET', path: '/v1/{*reference}', level: 'topology', handler: (c, raw) => node(c, raw, mesh, self) },
  ];
}

async function skill(c: Context, documents: Documents): Promise<Response> {
  const base = baseUrl(c);
  const text = (await documents('SKILL.md')).replaceAll('{base}', () => base);
  return textResponse(c.req.raw, text, 'text/markdown; charset=utf-8');
}

/** Not async: most nodes are at hand, and then so is the answer. */
function node(c: Context, raw: string, mesh: Mesh, self: GatewaySelf): Response | Promise<Response> {
  const request = c.req.raw;
  const captured = captureReference(raw, 'reference');
  if (!captured.ok) return failureResponse(request, captured.failure);
  const { reference } = captured.value;
  const respond = (outcome: Outcome<string>) => {
    if (outcome.ok) return jsonResponse(request, outcome.value);
    const own = outcome.failure.code === 'not_found' ? self.read(reference) : null;
    return own === null ? failureResponse(request, outcome.failure) : jsonResponse(request, own);
  };
  const read = mesh.read(reference, request);
  return read instanceof Promise ? read.then(respond) : respond(read);
}

/**
 * Live updates. A proxy in between must neither keep nor gather them, and a connection that has carried a stream ends with
 * it, so that a gateway that stops need not wait for it.
 */
async function follow(c: Context, mesh: Mesh): Promise<Response> {
  const request = c.req.raw;
  const headers = {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    connection: 'close',
    'x-accel-buffering': 'no',
  };
  if (request.method === 'HEAD') return new Response(null, { headers });
  const opened = await mesh.follow(request.headers.get('last-event-id'));
  return opened.ok ? new Response(opened.value, { headers }) : failureResponse(request, opened.failure);
}

async function query(c: Context, telemetry: Telemetry | null): Promise<Response> {
  const request = c.req.raw;
  const body = await readJsonBody(request, QueryRequest);
  if (!body.ok) return failureResponse(request, body.failure);
  noteTarget(c, body.value.sql);
  if (telemetry === null) return failureResponse(request, NO_TELEMETRY);
  const answer = await telemetry.query(body.value.sql, request.headers.get('accept'), request.signal);
  return answer.ok ? answer.value : failureResponse(request, answer.failure);
}

function link(c: Context, principal: Principal, openLink: OpenLink): Response | Promise<Response> {
  const host = c.req.query('host') ?? null;
  if (host !== null && principal.hosts?.includes(host) === false) {
    const message = `the token '${principal.name}' may publish ${principal.hosts.join(', ')}, not '${host}'`;
    return failureResponse(c.req.raw, { code: 'forbidden', message });
  }
  // What is kept of a link names the host that it is for, not all that its token may publish.
  const hosts = host === null || principal.hosts === null ? principal.hosts : [host];
  if (asksForWebSocket(c)) return openLink(c, { ...principal, hosts }, host);
  const message = `${LINK_PATH} is where host agents dial in by WebSocket; start one with 'meshscope agent'`;
  return failureResponse(c.req.raw, { code: 'bad_request', message });
}

function store(c: Context, principal: Principal, openStore: OpenStore): Response | Promise<Response> {
  if (asksForWebSocket(c)) return openStore(c, principal);
  const message = `${STORE_PATH} is where a telemetry service dials in by WebSocket; start one with 'meshscope telemetry --dial'`;
  return failureResponse(c.req.raw, { code: 'bad_request', message });
}

function asksForWebSocket(c: Context): boolean {
  return c.req.header('upgrade')?.toLowerCase() === 'websocket';
}

async function tree(c: Context, mesh: Mesh): Promise<Response> {
  const text = await mesh.tree(baseUrl(c));
  if (!text.ok) return failureResponse(c.req.raw, text.failure);
  return textResponse(c.req.raw, text.value, 'text/plain; charset=utf-8');
}

async function health(c: Context, mesh: Mesh, telemetry: Telemetry | null): Promise<Response> {
  const counts = await mesh.health();
  if (!counts.ok) return failureResponse(c.req.raw, counts.failure);
  const hasStore = telemetry !== null && ((await telemetry.absent?.()) ?? null) === null;
  const about = { ok: true, service: 'meshscope-gateway', ...counts.value, telemetry: hasStore };
  return jsonResponse(c.req.raw, JSON.stringify(about));
}

async function metrics(c: Context, mesh: Mesh, observer: Observer | undefined): Promise<Response> {
  let text = observer?.text();
  if (text === undefined) {
    const counts = await mesh.health();
    if (!counts.ok) return failureResponse(c.req.raw, counts.failure);
    text = Object.entries(counts.value)
      .map(([name, count]) => `# TYPE ${METRIC}${name} gauge\n${METRIC}${name} ${count}\n`)
      .join('');
  }
  return textResponse(c.req.raw, text, 'text/plain; version=0.0.4');
}

/** Scheme from `x-forwarded-proto`, where a proxy says one, else of the request; and the authority that the client used. */
function baseUrl(c: Context): string {
  const forwarded = c.req.header('x-forwarded-proto') ?? '';
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*$/.test(forwarded) ? forwarded : c.req.url.slice(0, c.req.url.indexOf(':'));
  return `${scheme}://${c.req.header('host') ?? 'localhost'}`;
}
