/**
 * Which route a path belongs to. Matching is done on the raw path, before any decoding, and before the method:
 *
 *  - a literal path wins over every catch-all (SC-5), so `GET /v1/query` is 405 while `GET /v1/query/x` is a reference
 *  - a catch-all takes the rest of the path, slashes included, if at least one character is left; of several the one with
 *    the longest prefix wins, so `/v1/pyspy/` is the reference `pyspy/` and `/v1/pyspy/x` a dump
 */
import type { Context } from 'hono';
import type { Result, Router } from 'hono/router';
import type { AccessLevel, Principal } from '../ports.ts';

/** @param rest what the catch-all took, still encoded; empty for a literal path */
export type Handler = (c: Context, rest: string, principal: Principal) => Response | Promise<Response>;

/** What an audit line calls a request. */
export type Audited = 'dump' | 'stored_dump' | 'profile' | 'config' | 'query' | 'link' | 'store';

export interface Route {
  readonly method: 'GET' | 'POST';
  /** A literal path, or a prefix followed by `{*name}`. */
  readonly path: string;
  readonly level: AccessLevel;
  /** What its audit line calls it. Default: it has none. */
  readonly audit?: Audited;
  readonly handler: Handler;
}

export interface MatchedRoute {
  readonly route: Route;
  readonly rest: string;
}

export function createMatcher(routes: readonly Route[]): (path: string) => MatchedRoute | null {
  const isCatchAll = ({ path }: Route) => path.includes('{*');
  const literals = new Map(
    routes.filter((route) => !isCatchAll(route)).map((route) => [route.path, { route, rest: '' }]),
  );
  const catchAlls = routes
    .filter(isCatchAll)
    .map((route) => ({ route, prefix: route.path.slice(0, route.path.indexOf('{*')) }))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  return (path) => {
    const literal = literals.get(path);
    if (literal !== undefined) return literal;
    const found = catchAlls.find(({ prefix }) => path.length > prefix.length && path.startsWith(prefix));
    return found === undefined ? null : { route: found.route, rest: path.slice(found.prefix.length) };
  };
}

/** Hono's router where one handler takes every request, and which route a path belongs to is found as above. */
export class OneHandler<T> implements Router<T> {
  readonly name = 'OneHandler';
  #result: Result<T> | null = null;

  /** @throws Error when there is a handler already: it would never be called again */
  add(method: string, path: string, handler: T): void {
    if (this.#result !== null) throw new Error(`${method} ${path} cannot be added: one handler takes every request`);
    this.#result = [[[handler, {}]]];
  }

  match(): Result<T> {
    return this.#result ?? [[]];
  }
}
