/**
 * How the parts of a gateway that is spread over several objects speak with each other: HTTP requests with JSON bodies,
 * over whatever carries them. An outcome travels as status 200 with its text, or as the error envelope with its status.
 *
 *   to a shard        POST /read {text}   POST /call {proc, request, deadline_ms, unknown, late}   POST /tree {base}
 *                     GET /health         POST /capture {id, snapshot_ts}         GET /link (WebSocket)
 *   to the directory  GET /root           GET /events   GET /health   POST /changes  GET /store (WebSocket)
 *                     POST /store/query, /store/dumps, /store/ingest
 *
 * They trust each other: no client can reach them, and a client's request was checked before it was passed on.
 */

import * as v from 'valibot';
import { type ErrorCode, type Failure, failure, messageOf, type Outcome, success } from '../../base/index.ts';
import { ApiErrorEnvelope, ERROR_STATUS } from '../../contract/index.ts';
import { envelope } from '../http/respond.ts';
import { LIMITS } from '../limits.ts';
import { retryLater } from '../retry-later.ts';

/** A shard or the directory, as the others reach it. May throw when it cannot be reached. */
export interface Peer {
  fetch(request: Request): Promise<Response>;
}

/** The header that carries, as JSON, who opened a link to the object that accepts it. */
export const DIALLER_HEADER = 'x-meshscope-dialler';

/** Asks a peer, and reads its outcome. A peer that is out of reach is `service_unavailable`. */
export function ask(
  peer: Peer,
  path: string,
  body?: unknown,
  signal: AbortSignal | null = null,
): Promise<Outcome<string>> {
  return askFor(peer, path, body, signal, (response) => response.text());
}

/**
 * The same, for what is read of an answer that is a success.
 *
 * @param body a text is JSON already
 */
export async function askFor<T>(
  peer: Peer,
  path: string,
  body: unknown,
  signal: AbortSignal | null,
  read: (response: Response) => T | Promise<T>,
): Promise<Outcome<T>> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const sent = body === undefined ? {} : { method: 'POST', body: text };
  try {
    const response = await peer.fetch(new Request(`http://peer${path}`, { ...sent, signal }));
    return response.ok ? success(await read(response)) : { ok: false, failure: readFailure(await response.text()) };
  } catch (error) {
    if (signal?.aborted === true) return failure('gateway_timeout', 'the request was cancelled before its answer came');
    return { ok: false, failure: outOfReach(error) };
  }
}

/** The body of a peer's request. Peers are one program, so it is what it is said to be. */
export async function bodyOf<T>(request: Request): Promise<T> {
  return (await request.json()) as T;
}

/** The answer that carries an outcome. */
export function outcomeResponse(outcome: Outcome<string | undefined> | Outcome<void>): Response {
  if (outcome.ok) return new Response(outcome.value ?? '');
  return new Response(envelope(outcome.failure), { status: ERROR_STATUS[outcome.failure.code] });
}

export function outOfReach(error: unknown): Failure {
  return retryLater(`a part of this gateway did not answer (${messageOf(error)})`, LIMITS);
}

function readFailure(text: string): Failure {
  let json: unknown = null;
  try {
    json = JSON.parse(text);
  } catch {
    // Without an envelope, the text itself is reported.
  }
  const read = v.safeParse(ApiErrorEnvelope, json);
  if (!read.success) return { code: 'internal_error', message: `a part of this gateway failed: ${text.slice(0, 200)}` };
  const { code, message, details } = read.output.error;
  const known: ErrorCode = Object.hasOwn(ERROR_STATUS, code) ? (code as ErrorCode) : 'internal_error';
  return { code: known, message, ...(details === undefined ? {} : { details }) };
}
