/** A Hono app with nothing in it but one route that sends ready bodies, as the gateway's rival. */
import { Hono } from 'hono';

/** @param bodies by path, JSON */
export function bareHono(bodies: ReadonlyMap<string, string>): Hono {
  const app = new Hono();
  app.get('/v1/:reference', (c) => {
    const body = bodies.get(c.req.path) ?? '';
    return new Response(body, { headers: { 'content-type': 'application/json' } });
  });
  return app;
}
