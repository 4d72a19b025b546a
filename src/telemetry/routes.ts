/**
 * The telemetry service's HTTP interface.
 *
 *     GET  /healthz  counts and losses; the only route without a token
 *     POST /ingest   an event batch → 200 {"acked": seq}, after the commit
 *     POST /dumps    a captured stack dump → 200 {"dump_id": …}, after the commit
 *     POST /query    {"sql"} → 200 {"rows": […], "columns": […]}
 *
 * Everything that fails answers the error envelope of the contract, with its status.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import * as v from 'valibot';
import {
  type ApiErrorEnvelope,
  describeIssues,
  ERROR_STATUS,
  type Failure,
  failure,
  type Outcome,
  QueryRequest,
} from '../contract/index.ts';
import { Bodies } from './bodies.ts';
import type { TelemetryLimits } from './limits.ts';
import type { SqlSandbox } from './sql/sandbox.ts';
import type { Store } from './store.ts';

export interface RoutePorts {
  readonly store: Store;
  readonly sandbox: SqlSandbox;
  readonly limits: TelemetryLimits;
  readonly token: string;
  readonly log: { warn(message: string, fields?: Readonly<Record<string, unknown>>): void };
}

const METHODS: Readonly<Record<string, string>> = {
  '/healthz': 'GET, HEAD',
  '/ingest': 'POST',
  '/dumps': 'POST',
  '/query': 'POST',
};

export function createRoutes({ store, sandbox, limits, token, log }: RoutePorts): Hono {
  const app = new Hono();
  const bodies = new Bodies(limits.bodies_in_flight_max_bytes);
  const isToken = tokenCheck(token);

  app.get('/healthz', async (c) => {
    const health = await store.health();
    return c.json({ service: 'meshscope-telemetry', ...health, ...sandbox.load }, health.ok ? 200 : 503);
  });

  // Before routing: whoever has no token learns nothing about the routes.
  app.use(async (c, next) => {
    const [, given] = /^Bearer (.+)$/i.exec(c.req.header('authorization') ?? '') ?? [];
    if (given === undefined || !isToken(given)) {
      c.header('WWW-Authenticate', 'Bearer');
      return errorResponse(c, {
        code: 'unauthorized',
        message: given === undefined ? 'expected Authorization: Bearer <token>' : 'wrong token',
      });
    }
    return await next();
  });

  app.post('/ingest', async (c) => {
    const work = (json: unknown) => store.ingest(json);
    return jsonResponse(c, await bodies.withJson(c.req.raw, limits.ingest_body_max_bytes, work));
  });

  app.post('/dumps', async (c) => {
    const work = (json: unknown) => store.storeDump(json);
    return jsonResponse(c, await bodies.withJson(c.req.raw, limits.dump_body_max_bytes, work));
  });

  app.post('/query', async (c) => {
    const answer = await bodies.withJson(c.req.raw, limits.query_body_max_bytes, async (json) => {
      const parsed = v.safeParse(QueryRequest, json);
      if (!parsed.success) return failure('unprocessable', `query: ${describeIssues(parsed.issues)}`);
      return await sandbox.query(parsed.output.sql, c.req.raw.signal);
    });
    if (!answer.ok) return errorResponse(c, answer.failure);
    return c.body(answer.value, 200, { 'Content-Type': 'application/json' });
  });

  app.notFound((c) => {
    const allow = METHODS[c.req.path];
    if (allow === undefined) return errorResponse(c, { code: 'not_found', message: `no route ${c.req.path}` });
    c.header('Allow', allow);
    return errorResponse(c, { code: 'method_not_allowed', message: `${c.req.path} answers ${allow}` });
  });

  app.onError((error, c) => {
    log.warn(`${c.req.method} ${c.req.path} failed: ${error.message}`, { stack: error.stack });
    return errorResponse(c, { code: 'internal_error', message: 'telemetry failed; its log says why' });
  });

  return app;
}

/** Compares digests, so that neither the length nor the first difference shows in the time it takes. */
function tokenCheck(token: string): (given: string) => boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(token);
  return (given) => timingSafeEqual(digest(given), expected);
}

function jsonResponse<T>(c: Context, outcome: Outcome<T>): Response {
  return outcome.ok ? c.json(outcome.value as object) : errorResponse(c, outcome.failure);
}

function errorResponse(c: Context, { code, message, details }: Failure): Response {
  const envelope: ApiErrorEnvelope = { error: details === undefined ? { code, message } : { code, message, details } };
  // A body that was refused half-way would otherwise be read on as the next request.
  if (code === 'payload_too_large' || code === 'unsupported_media_type') c.header('Connection', 'close');
  return c.json(envelope, ERROR_STATUS[code] as ContentfulStatusCode);
}
