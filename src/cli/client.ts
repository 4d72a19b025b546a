/** The client of a gateway: requests with a deadline, and errors that a person can act on. */
import * as v from 'valibot';
import { ApiErrorEnvelope, describeIssues, EVENTS_PATH, encodeRef, NodePayload } from '../contract/index.ts';
import { NO_TELEMETRY } from '../edge-gateway/ports.ts';
import { type Invocation, text } from './command.ts';
import { dataDir, readToken, tokenFile } from './data-dir.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import { readEvents, type StreamEvent } from './follow/event-stream.ts';
import { LIMITS } from './limits.ts';
import { DIAL_TLS_HELP, type DialTls, readDialTls, TLS_OPTIONS } from './tls-options.ts';

/** What a command says where the gateway has no store; the gateway's own words are those of the contract. */
export const NO_STORE =
  'the gateway has no telemetry store: start "meshscope telemetry", and the gateway with --telemetry URL';

export const URL_DEFAULT = 'http://127.0.0.1:1729';

/** The options of every command that asks a gateway. */
export const CLIENT_OPTIONS = {
  url: { type: 'string' },
  data: { type: 'string' },
  ...TLS_OPTIONS,
} as const;

export const CLIENT_HELP = `  --url URL          the gateway (MESHSCOPE_URL, default ${URL_DEFAULT})
  --data DIR         the data folder with the token (MESHSCOPE_DATA, default .meshscope)
${DIAL_TLS_HELP}`;

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Client {
  readonly url: string;
  /** The answer to a request, whatever its status. */
  request(method: string, path: string, wait_ms: number, body?: unknown): Promise<Answer>;
  /** The answer's text; a status that is not 2xx ends the command. */
  text(method: string, path: string, wait_ms: number, body?: unknown): Promise<string>;
  /** A node by its reference. */
  node(reference: string): Promise<NodePayload>;
  /** A node by its reference, or why it cannot be had. */
  tryNode(reference: string): Promise<NodePayload | CommandError>;
  /**
   * Live updates, until the stream ends or the signal does; settles when the gateway has begun to answer.
   *
   * @param after id of the last event that was dealt with, null at first
   */
  follow(after: string | null, signal: AbortSignal): Promise<AsyncGenerator<StreamEvent>>;
  /** @param locals whether the values of local variables are asked for. Default false */
  stack(procReference: string, locals?: boolean): Promise<string>;
  /** Takes a dump and stores it; gives the text of the answer. */
  dump(procReference: string, locals?: boolean): Promise<string>;
  query(sql: string): Promise<string>;
  /** The answer to a query in the form of a content type, as it comes. @param signal gives it up */
  queryAs(sql: string, type: string, signal?: AbortSignal): Promise<Uint8Array>;
  profile(procReference: string, opts: { duration_s: number } & Record<string, unknown>): Promise<string>;
}

export function createClient(invocation: Invocation): Client {
  const url = (text(invocation, 'url') ?? process.env.MESHSCOPE_URL ?? URL_DEFAULT).replace(/\/+$/, '');
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new CommandError(`"${url}" is not a URL of the form http://HOST:PORT`, EXIT.usage);
  }
  if (new URL(url).username !== '' || new URL(url).password !== '') {
    throw new CommandError(
      'the URL must not hold a user name or password: a token goes into MESHSCOPE_TOKEN',
      EXIT.usage,
    );
  }
  const dir = dataDir(text(invocation, 'data'));
  const token = readToken(dir);
  const fetch = fetchOver(readDialTls(invocation));

  const request: Client['request'] = async (method, path, wait_ms, body) => {
    const headers: Record<string, string> = {};
    if (token !== null) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    try {
      const response = await fetch(url + path, {
        method,
        headers,
        signal: AbortSignal.timeout(wait_ms),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, text: await readText(response, url) };
    } catch (error) {
      throw error instanceof CommandError ? error : unreachable(url, error, wait_ms);
    }
  };

  const refused = (status: number, text: string): CommandError =>
    describeRefusal(status, text, token === null ? `no token was found in ${tokenFile(dir)}` : null);

  const follow: Client['follow'] = async (after, signal) => {
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (token !== null) headers.authorization = `Bearer ${token}`;
    if (after !== null) headers['last-event-id'] = after;
    const cutting = new AbortController();
    const cut = () => cutting.abort();
    const late = setTimeout(
      () => cutting.abort(new DOMException('no answer in time', 'TimeoutError')),
      LIMITS.node_wait_ms,
    );
    try {
      const response = await fetch(url + EVENTS_PATH, { headers, signal: AbortSignal.any([signal, cutting.signal]) });
      if (!response.ok) throw refused(response.status, await readText(response, url));
      const { body } = response;
      const type = response.headers.get('content-type') ?? '';
      if (body === null || !type.startsWith('text/event-stream')) {
        cut();
        throw notGateway(url, 'it has no live updates');
      }
      return readEvents(body, url, cut);
    } catch (error) {
      throw error instanceof CommandError ? error : unreachable(url, error, LIMITS.node_wait_ms);
    } finally {
      clearTimeout(late);
    }
  };

  const queryAs: Client['queryAs'] = async (sql, type, signal) => {
    const headers: Record<string, string> = { accept: type, 'content-type': 'application/json' };
    if (token !== null) headers.authorization = `Bearer ${token}`;
    const late = AbortSignal.timeout(LIMITS.query_wait_ms);
    let response: Response;
    let bytes: Buffer;
    try {
      response = await fetch(`${url}/v1/query`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ sql }),
        signal: signal === undefined ? late : AbortSignal.any([late, signal]),
      });
      bytes = await readBytes(response, url);
    } catch (error) {
      throw error instanceof CommandError ? error : unreachable(url, error, LIMITS.query_wait_ms);
    }
    if (!response.ok) throw refused(response.status, bytes.toString('utf8'));
    const given = response.headers.get('content-type') ?? '';
    if (!given.startsWith(type)) throw notGateway(url, `it answers ${given}, not ${type}`);
    return bytes;
  };

  const ask: Client['text'] = async (method, path, wait_ms, body) => {
    const { status, text } = await request(method, path, wait_ms, body);
    if (status >= 200 && status < 300) return text;
    throw refused(status, text);
  };

  return {
    url,
    request,
    text: ask,
    node: async (reference) =>
      readAnswer(NodePayload, await ask('GET', `/v1/${encodeRef(reference)}`, LIMITS.node_wait_ms), url),
    async tryNode(reference) {
      try {
        return await this.node(reference);
      } catch (error) {
        if (error instanceof CommandError && error.exitCode !== EXIT.unauthorized) return error;
        throw error;
      }
    },
    follow,
    stack: (reference, locals) => ask('GET', dumpPath('pyspy', reference, locals), LIMITS.stack_wait_ms),
    dump: (reference, locals) => ask('POST', dumpPath('pyspy_dump', reference, locals), LIMITS.stack_wait_ms),
    queryAs,
    query: (sql) => ask('POST', '/v1/query', LIMITS.query_wait_ms, { sql }),
    profile: (reference, opts) =>
      ask(
        'POST',
        `/v1/pyspy_profile_svg/${encodeRef(reference)}`,
        opts.duration_s * 1000 + LIMITS.profile_extra_wait_ms,
        opts,
      ),
  };
}

function dumpPath(route: string, reference: string, locals = false): string {
  return `/v1/${route}/${encodeRef(reference)}${locals ? '?locals=true' : ''}`;
}

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Requests with certificates of one's own. Without, those of the runtime: nothing more needs to be loaded then. */
function fetchOver(tls: DialTls | null): Fetch {
  if (tls === null) return (url, init) => globalThis.fetch(url, init);
  const library = import('undici').then((undici) => ({
    ...undici,
    dispatcher: new undici.Agent({ connect: { ...tls } }),
  }));
  return async (url, init) => {
    const { fetch, dispatcher } = await library;
    // The same standard twice: its types of the runtime and of the library differ in name only.
    const response = await fetch(url, { ...(init as object), dispatcher });
    return response as unknown as Response;
  };
}

async function readText(response: Response, url: string): Promise<string> {
  return (await readBytes(response, url)).toString('utf8');
}

/** The body, up to the bound. */
async function readBytes(response: Response, url: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > LIMITS.answer_max_bytes) {
      throw new CommandError(
        `the answer of ${url} is larger than ${LIMITS.answer_max_bytes} bytes; it was not read on`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** An answer in the form that it must have; whatever else answered is no gateway. */
export function readAnswer<const S extends v.GenericSchema>(
  schema: S,
  text: string,
  url: string,
  parse: (text: string) => unknown = JSON.parse,
): v.InferOutput<S> {
  let json: unknown;
  try {
    json = parse(text);
  } catch {
    throw notGateway(url, 'its answer is not JSON');
  }
  const read = v.safeParse(schema, json);
  if (!read.success) throw notGateway(url, describeIssues(read.issues));
  return read.output;
}

function notGateway(url: string, why: string): CommandError {
  return new CommandError(`what answers at ${url} is not a meshscope gateway: ${why}`, EXIT.unreachable);
}

function unreachable(url: string, error: unknown, wait_ms: number): CommandError {
  let cause = error;
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause;
  const isLate = cause instanceof Error && cause.name === 'TimeoutError';
  const why = isLate ? `no answer within ${wait_ms / 1000} s` : cause instanceof Error ? cause.message : String(cause);
  return new CommandError(
    `cannot reach the gateway at ${url} (${why}); is it running? "meshscope up" starts one, --url names another`,
    EXIT.unreachable,
  );
}

function describeRefusal(status: number, answer: string, noToken: string | null): CommandError {
  let message = `HTTP ${status}`;
  try {
    const body = v.safeParse(ApiErrorEnvelope, JSON.parse(answer));
    if (body.success) message = body.output.error.message;
  } catch {
    // Not an envelope: something else than a gateway answered, and its status is all there is to tell.
  }
  if (status === 401 || status === 403) {
    return new CommandError(noToken === null ? message : `${message} (${noToken})`, EXIT.unauthorized);
  }
  if (status === 404 && message === NO_TELEMETRY.message) return new CommandError(NO_STORE);
  return new CommandError(message, exitFor(status));
}

function exitFor(status: number): ExitCode {
  if (status === 404) return EXIT.not_found;
  return status === 504 ? EXIT.unreachable : EXIT.failure;
}
