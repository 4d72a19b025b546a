/** The URL under which a client reached the gateway, for links in what it is answered. */
import type { Context } from 'hono';

/** Scheme from `x-forwarded-proto`, where a proxy says one, else of the request; and the authority that the client used. */
export function baseUrl(c: Context): string {
  const forwarded = c.req.header('x-forwarded-proto') ?? '';
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*$/.test(forwarded) ? forwarded : c.req.url.slice(0, c.req.url.indexOf(':'));
  return `${scheme}://${c.req.header('host') ?? 'localhost'}`;
}
