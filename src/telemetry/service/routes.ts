/**
 * The telemetry service's HTTP interface.
 *
 *     GET  /healthz  counts and losses; the only route without a token
 *     GET  /metrics  the service's own metrics, for Prometheus
 *     POST /ingest   an event batch → 200 {"acked": seq}, after the commit
 *     POST /dumps    a captured stack dump → 200 {"dump_id": …}, after the commit
 *     POST /query    {"sql"} → 200 {"rows": […], "columns": […]}, or CSV or an Arrow stream where Accept asks for it
 *
 * Everything that fails answers the error envelope of the contract, with its status.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import { type Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Failure } from '../../base/index.ts';
import { type ApiErrorEnvelope, ERROR_STATUS, type StoreMethod } from '../../contract/index.ts';
import type { TelemetryStore } from '../port.ts';
import type { Requests } from './requests.ts';

export interface RoutePorts {
  readonly store: TelemetryStore;
  readonly requests: Requests;
  readonly metrics: () => Promise<string>;
  readonly token: string;
  readonly log: { warn(message: string, fields?: Readonly<Record<string, unknown>>): void };
}

const METHODS: Readonly<Record<string, string>> = {
  '/healthz': 'GET, HEAD',
  '/metrics': 'GET, HEAD',
  '/ingest': 'POST',
  '/dumps': 'POST',
  '/query': 'POST',
};

const POSTS: readonly (readonly [path: string, method: StoreMethod])[] = [
  ['/ingest', 'ingest'],
  ['/dumps', 'store_dump'],
];

export function createRoutes({ store, requests, metrics, token, log }: RoutePorts): Hono {
  const app = new Hono();
  const isToken = tokenCheck(token);

  app.get('/healthz', async (c) => {
    const health = await store.health();
    return c.json({ service: 'meshscope-telemetry', ...health, ...store.load }, health.ok ? 200 : 503);
  });

  // Before routing, so that a client without a token learns nothing about the routes.
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

  app.get('/metrics', async (c) => c.text(await metrics(), 200, { 'Content-Type': 'text/plain; version=0.0.4' }));

  for (const [path, method] of POSTS) {
    app.post(path, async (c) => {
      const work = (json: unknown) => requests.answer(method, json, c.req.raw.signal);
      const answer = await requests.bodies.withJson(c.req.raw, requests.max_bytes[method], work);
      if (!answer.ok) return errorResponse(c, answer.failure);
      return c.body(answer.value, 200, { 'Content-Type': 'application/json' });
    });
  }

  app.post('/query', async (c) => {
    const accept = c.req.header('accept') ?? null;
    const work = (json: unknown) => requests.query(json, accept, c.req.raw.signal);
    const answer = await requests.bodies.withJson(c.req.raw, requests.max_bytes.query, work);
    if (!answer.ok) return errorResponse(c, answer.failure);
    const { type, size_bytes, body } = answer.value;
    return c.body(body as ReadableStream, 200, { 'Content-Type': type, 'Content-Length': String(size_bytes) });
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

function errorResponse(c: Context, { code, message, details }: Failure): Response {
  const envelope: ApiErrorEnvelope = { error: details === undefined ? { code, message } : { code, message, details } };
  // The rest of a refused body would otherwise be read as the next request.
  if (code === 'payload_too_large' || code === 'unsupported_media_type') c.header('Connection', 'close');
  return c.json(envelope, ERROR_STATUS[code] as ContentfulStatusCode);
}
