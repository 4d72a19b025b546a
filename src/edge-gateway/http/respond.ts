/** Answers: JSON text as it is, and the error envelope for everything that is not a success. */
import type { Failure } from '../../base/index.ts';
import { ERROR_STATUS } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';

export const JSON_TYPE = 'application/json';

/** @param extra headers beside the content type. */
export function textResponse(
  request: Request,
  body: string,
  type: string,
  status = 200,
  extra: Readonly<Record<string, string>> = {},
): Response {
  const headers: Record<string, string> = { 'content-type': type, ...extra };
  // The body of a HEAD is dropped on the way out, its length is not known there.
  if (request.method === 'HEAD') headers['content-length'] = String(new TextEncoder().encode(body).length);
  return new Response(body.length > LIMITS.whole_body_max_chars ? inPieces(body) : body, { status, headers });
}

/** The bytes of a long text, piece by piece as they are read, so that no other request waits until all of it is encoded. */
function inPieces(text: string): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      let end = Math.min(at + LIMITS.body_piece_chars, text.length);
      // A pair of surrogates is one character, and must not be parted.
      if (isHighSurrogate(text.charCodeAt(end - 1))) end += 1;
      controller.enqueue(encoder.encode(text.slice(at, end)));
      at = end;
      if (at >= text.length) controller.close();
    },
  });
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

export function jsonResponse(request: Request, json: string): Response {
  return textResponse(request, json, JSON_TYPE);
}

export function envelope({ code, message, details }: Failure): string {
  return JSON.stringify({ error: details === undefined ? { code, message } : { code, message, details } });
}

/** The envelope with the code's status, and the headers that go with it. */
export function failureResponse(
  request: Request,
  failure: Failure,
  extra: Readonly<Record<string, string>> = {},
): Response {
  const headers: Record<string, string> = { ...extra };
  if (failure.code === 'unauthorized') headers['www-authenticate'] = 'Bearer realm="meshscope"';
  const retry_after_s = retryAfter(failure.details);
  if (retry_after_s !== null) headers['retry-after'] = String(retry_after_s);
  return textResponse(request, envelope(failure), JSON_TYPE, ERROR_STATUS[failure.code], headers);
}

function retryAfter(details: unknown): number | null {
  if (typeof details !== 'object' || details === null || !('retry_after_s' in details)) return null;
  return typeof details.retry_after_s === 'number' ? details.retry_after_s : null;
}
