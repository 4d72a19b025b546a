/**
 * The HTTP API: one Hono app over the ports.
 *
 * A request goes: raw path (path) → route (routes, by way of router) → access (access/) → a handler of a few lines
 * (handlers/) → the mesh or telemetry → respond. Every failure anywhere leaves as the error envelope. `HEAD` is accepted
 * wherever `GET` is. There is no CORS.
 */
import { HonoBase } from 'hono/hono-base';
import { type Failure, SILENT } from '../../base/index.ts';
import { LIMITS } from '../limits.ts';
import type { GatewayPorts, RequestEnv } from '../ports.ts';
import { Audit } from './audit.ts';
import { rawPath } from './path.ts';
import { failureResponse } from './respond.ts';
import { createMatcher, OneHandler, type Route } from './router.ts';
import { listRoutes } from './routes.ts';

export type Gateway = HonoBase;

export function createGateway(ports: GatewayPorts): Gateway {
  const { access, observer } = ports;
  const log = ports.log ?? SILENT;
  const audit = new Audit(log, ports.limits ?? LIMITS);
  const match = createMatcher(listRoutes(ports));
  const app = new HonoBase({ router: new OneHandler(), getPath: (request, options) => rawPath(request, options?.env) });
  // One handler, so that an answer that is at hand leaves without waiting for anything.
  app.all('*', (c) => {
    const request = c.req.raw;
    const matched = match(c.req.path);
    const { peer = null, headers = request.headers } = (c.env ?? {}) as RequestEnv;
    const admitted = access.admit(matched?.route.level ?? 'topology', headers, peer);
    if (!admitted.ok) {
      const response = failureResponse(request, admitted.failure);
      if (matched !== null) audit.refused(c, matched, admitted.failure, headers, response.status);
      return response;
    }
    if (matched === null) return failureResponse(request, noSuchPath(c.req.path));
    const { route } = matched;
    if (!takesMethod(route, request.method)) return methodNotAllowed(request, route);
    const report = observer.requestStarted(route);
    const answer = audit.answer(c, matched, admitted.value);
    reportStatus(answer, report);
    return answer;
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

function takesMethod(route: Route, method: string): boolean {
  return method === route.method || (method === 'HEAD' && route.method === 'GET');
}

function methodNotAllowed(request: Request, route: Route): Response {
  const allow = route.method === 'GET' ? 'GET,HEAD' : route.method;
  const message = `${request.method} is not allowed on this path, use ${allow.replace(',', ' or ')}`;
  return failureResponse(request, { code: 'method_not_allowed', message }, { allow });
}

function noSuchPath(path: string): Failure {
  return { code: 'not_found', message: `no such path: ${path}; GET /SKILL.md lists the paths there are` };
}

/** An answer that is at hand is not waited for. */
function reportStatus(answer: Response | Promise<Response>, report: (status: number) => void): void {
  if (answer instanceof Promise) answer.then(({ status }) => report(status)).catch(() => report(500));
  else report(answer.status);
}
