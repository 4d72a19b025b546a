/** The judge of answers (test/support/answers.ts) itself: what fits passes, and every way of not fitting is told. */
import { describe, expect, it } from 'vitest';
import { answerError, type SeenAnswer } from '../support/answers.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const ENVELOPE = '{"error":{"code":"not_found","message":"gone"}}';
const ADMIN = '{"actor_id":"a","proc_id":"p","host":"h","url":"u"}';

function judge(request: string, status: number, headers: Record<string, string>, body: string): string | null {
  const [method = '', path = ''] = request.split(' ');
  const header: SeenAnswer['header'] = (name) => headers[name.toLowerCase()] ?? null;
  return answerError({ method, path, status, header, body });
}

describe('an answer fits', () => {
  it.each<[string, number, Record<string, string>, string]>([
    ['GET /v1/admin', 200, JSON_TYPE, ADMIN],
    ['GET /v1/admin?x=1', 200, { 'content-type': 'application/json; charset=utf-8' }, ADMIN],
    ['HEAD /v1/admin', 200, JSON_TYPE, ''],
    ['GET /v1/xyzzy', 404, JSON_TYPE, ENVELOPE],
    ['GET /v1/pyspy/', 404, JSON_TYPE, ENVELOPE],
    ['GET /nowhere', 404, JSON_TYPE, ENVELOPE],
    ['PUT /v1/query', 405, { ...JSON_TYPE, allow: 'POST' }, ENVELOPE],
    ['GET /v1/root', 401, { ...JSON_TYPE, 'www-authenticate': 'Bearer' }, ENVELOPE],
    ['GET /v1/root', 503, { ...JSON_TYPE, 'retry-after': '1' }, ENVELOPE],
    ['GET /v1/tree', 200, { 'content-type': 'text/plain; charset=utf-8' }, 'x'],
    ['POST /v1/query', 200, JSON_TYPE, '{"rows":[{"n":18446744073709551615}]}'],
    ['GET /v1/link', 101, {}, ''],
    [`GET /v1/${'x'.repeat(60_000)}`, 431, {}, ''],
  ])('%s %i', (request, status, headers, body) => {
    expect(judge(request, status, headers, body)).toBeNull();
  });
});

describe('an answer does not fit', () => {
  it.each<[string, string, number, Record<string, string>, string, RegExp]>([
    ['a status that is not listed', 'GET /v1/admin', 404, JSON_TYPE, ENVELOPE, /lists 200, 400/],
    ['success of a path that is not listed', 'GET /nowhere', 200, JSON_TYPE, ENVELOPE, /no path/],
    ['a refusal without an envelope', 'GET /nowhere', 404, JSON_TYPE, '{"oops":1}', /does not fit/],
    ['a refusal in plain text', 'GET /v1/root', 404, { 'content-type': 'text/plain' }, 'x', /lists/],
    ['another content type', 'GET /v1/admin', 200, { 'content-type': 'text/html' }, ADMIN, /content type/],
    ['no content type', 'GET /v1/xyzzy', 404, {}, ENVELOPE, /content type is ''/],
    ['a body of another shape', 'GET /v1/admin', 200, JSON_TYPE, '{"actor_id":1}', /does not fit/],
    ['a body that is no JSON', 'GET /v1/admin', 200, JSON_TYPE, 'nope', /no JSON/],
    ['401 without its header', 'GET /v1/root', 401, JSON_TYPE, ENVELOPE, /WWW-Authenticate is missing/],
    ['405 without its header', 'PUT /v1/root', 405, JSON_TYPE, ENVELOPE, /Allow is missing/],
    ['405 of the right method', 'GET /v1/root', 405, { ...JSON_TYPE, allow: 'GET' }, ENVELOPE, /has that method/],
    ['success of the wrong method', 'PUT /v1/admin', 200, JSON_TYPE, ADMIN, /has no PUT/],
    ['a wait of nothing', 'GET /v1/root', 503, { ...JSON_TYPE, 'retry-after': '0' }, ENVELOPE, /Retry-After/],
    ['a HEAD with a body', 'HEAD /v1/admin', 200, JSON_TYPE, ADMIN, /HEAD has a body/],
    ['a bare refusal of a small head', 'GET /v1/x', 400, {}, '', /content type/],
    ['a literal path taken for a node', 'GET /v1/schema', 404, JSON_TYPE, ENVELOPE, /lists/],
  ])('with %s', (_, request, status, headers, body, message) => {
    expect(judge(request, status, headers, body)).toMatch(message);
  });
});
