/**
 * Every answer that a test sees is held against the committed OpenAPI document: the path, the method, the status, the
 * headers that go with it, the content type and the body. One that the document does not tell of fails the test.
 *
 *  1. A path is matched as it was sent. One that the document does not list is answered by refusals alone.
 *  2. `HEAD` is what `GET` is, without a body. Any other method than a path's own is refused, with 405 once admitted.
 *  3. A head that cannot be read is refused before there is a path; some runtimes do that with a status and no body.
 */
import { OPENAPI_DOCUMENT } from '../../src/contract/generated/schemas.ts';
import { createJudge, type Judge } from './json-schema.ts';

export interface SeenAnswer {
  readonly method: string;
  /** As it was sent, query included. */
  readonly path: string;
  readonly status: number;
  /** A header's value, null when there is none. */
  readonly header: (name: string) => string | null;
  /** Null when it was not read. */
  readonly body: string | null;
}

interface Described {
  readonly headers?: Record<string, { readonly $ref: string }>;
  readonly content?: Record<string, { readonly schema?: object }>;
}

type Responses = Readonly<Record<string, Described & { readonly $ref?: string }>>;

interface Document {
  readonly paths: Record<string, Record<string, { readonly responses: Responses }>>;
  readonly components: Readonly<
    Record<'responses' | 'headers', Readonly<Record<string, Described & { required?: boolean }>>>
  >;
}

const DOCUMENT = OPENAPI_DOCUMENT as unknown as Document;
const BASE = 'mesh://openapi';
/** Statuses of an answer that is none of a path's: no token, a name or page that is not allowed, no such path; no head. */
const NO_PATH = [400, 401, 403, 404, 408, 431, 500];
/** What a runtime may say, without a word, of a head that it did not read, and from which size on, characters. */
const UNREAD = [400, 431];
const LARGE_HEAD_CHARS = 48 * 1024;

const judge = createJudge();
judge.addSchema({ $id: BASE, components: OPENAPI_DOCUMENT.components });
const judges = new Map<object, Judge>();
const ENVELOPE = { $ref: '#/components/schemas/ApiErrorEnvelope' };

/** What is wrong with an answer, in a line; null when the document tells of it. */
export function answerError(answer: SeenAnswer): string | null {
  const error = findError(answer);
  if (error === null) return null;
  const { method, path, status, body } = answer;
  return `${method} ${path.slice(0, 200)} was answered ${status}, but ${error}: ${(body ?? '').slice(0, 500)}`;
}

function findError(answer: SeenAnswer): string | null {
  const { method, status } = answer;
  if (isUnread(answer)) return null;
  const path = pathOf(answer.path);
  const operations = path === null ? undefined : DOCUMENT.paths[path];
  if (operations === undefined) {
    if (!NO_PATH.includes(status)) return 'no path of the OpenAPI document matches';
    return bodyError(answer, { content: { 'application/json': { schema: ENVELOPE } } });
  }
  const operation = operations[method === 'HEAD' ? 'get' : method.toLowerCase()];
  const [other] = Object.values(operations);
  const { responses } = operation ?? other ?? { responses: {} };
  if (operation === undefined && !isRefusal(status)) return `the path has no ${method}`;
  if (operation !== undefined && status === 405) return 'the path has that method';
  const named = responses[String(status)];
  if (named === undefined) return `${path} lists ${Object.keys(responses).join(', ')}`;
  const described = named.$ref === undefined ? named : DOCUMENT.components.responses[lastOf(named.$ref)];
  if (described === undefined) return `${named.$ref} is missing`;
  return headerError(answer, described) ?? bodyError(answer, described);
}

/** What a request can get whose method its path does not have. */
function isRefusal(status: number): boolean {
  return [400, 401, 403, 405, 408, 431].includes(status);
}

function isUnread({ path, status, header, body }: SeenAnswer): boolean {
  return path.length > LARGE_HEAD_CHARS && UNREAD.includes(status) && header('content-type') === null && body === '';
}

/** The path of the document that matches: a literal one, else the one with the longest prefix before its parameter. */
function pathOf(sent: string): string | null {
  const [raw = ''] = sent.split('?');
  if (DOCUMENT.paths[raw] !== undefined && !raw.includes('{')) return raw;
  const matching = Object.keys(DOCUMENT.paths)
    .map((path) => [path, path.slice(0, path.indexOf('{'))] as const)
    .filter(([path, prefix]) => path.includes('{') && raw.startsWith(prefix) && raw.length > prefix.length)
    .sort(([, a], [, b]) => b.length - a.length);
  return matching[0]?.[0] ?? null;
}

function headerError({ header }: SeenAnswer, { headers = {} }: Described): string | null {
  for (const [name, { $ref }] of Object.entries(headers)) {
    const value = header(name);
    if (value === null && DOCUMENT.components.headers[lastOf($ref)]?.required === true) return `${name} is missing`;
    if (name === 'Retry-After' && value !== null && !/^[1-9]\d*$/.test(value)) return `Retry-After is '${value}'`;
  }
  return null;
}

function bodyError(answer: SeenAnswer, { content }: Described): string | null {
  const { method, body, header } = answer;
  if (content === undefined) return null;
  const type = (header('content-type') ?? '').split(';')[0] ?? '';
  const media = content[type];
  if (media === undefined) return `its content type is '${type}', not ${Object.keys(content).join(', ')}`;
  if (method === 'HEAD') return body === null || body === '' ? null : 'a HEAD has a body';
  if (body === null || media.schema === undefined || type !== 'application/json') return null;
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (error) {
    return `the body is no JSON (${String(error)})`;
  }
  const validate = judgeOf(media.schema);
  return validate(json) ? null : `the body does not fit: ${judge.errorsText(validate.errors)}`;
}

function judgeOf(schema: object): Judge {
  const known = judges.get(schema);
  if (known !== undefined) return known;
  const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', `"${BASE}#/`));
  const compiled = judge.compile(absolute);
  judges.set(schema, compiled);
  return compiled;
}

function lastOf(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1);
}

/** `fetch` whose answer is held against the document, on the URL of a gateway; the body of a stream is left alone. */
export async function checkedFetch(url: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, init);
  const isStream = response.headers.get('content-type') === 'text/event-stream';
  const { pathname, search } = new URL(url);
  const error = answerError({
    method: init.method ?? 'GET',
    path: pathname + search,
    status: response.status,
    header: (name) => response.headers.get(name),
    body: isStream ? null : await response.clone().text(),
  });
  if (error !== null) throw new Error(error);
  return response;
}
