/**
 * Request heads that are refused, for runtimes whose server accepts any: a `Host` that is missing or is no authority, and a
 * backslash in the path, which some readers take for a slash. They are answered 400 before anything is matched.
 */
import type { Failure } from '../../base/index.ts';

const PLAIN_HOST = /^[a-z0-9._-]+(?::\d{1,5})?$/;

/**
 * The request target as it was sent, for runtimes that put scheme and authority in front of it. Even a slash in `Host` then
 * does not change the path.
 */
export function targetOf({ url, headers }: Request): string {
  const origin = `${url.slice(0, url.indexOf(':'))}://${headers.get('host')}`;
  return url.startsWith(`${origin}/`) ? url.slice(origin.length) : url;
}

/** @param path the raw path, without the query. Null when the head can be read. */
export function headError(headers: Headers, path: string): Failure | null {
  const host = headers.get('host');
  if (host === null || host === '') return refuse('Missing host header');
  if (!isAuthority(host)) return refuse('Invalid host header');
  return path.includes('\\') ? refuse('Backslash in request path') : null;
}

function isAuthority(host: string): boolean {
  if (PLAIN_HOST.test(host)) return true;
  const url = `http://${host}`;
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return hostname === host.replace(/:\d+$/, '').toLowerCase();
}

function refuse(message: string): Failure {
  return { code: 'bad_request', message };
}
