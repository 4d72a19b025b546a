/**
 * Request bodies, checked in the contract's order: content type (415), size (413), JSON (400), shape (422). Every
 * message says what was expected; a shape message names the field and the value.
 */

import * as v from 'valibot';
import { failure, messageOf, type Outcome, success } from '../../base/index.ts';
import { describeIssues } from '../../contract/index.ts';
import { BODIES_MAX_BYTES, BODY_MAX_BYTES, RETRY_AFTER_S } from '../limits.ts';

let bodies_bytes = 0;

export async function readJsonBody<const S extends v.GenericSchema>(
  request: Request,
  schema: S,
): Promise<Outcome<v.InferOutput<S>>> {
  if (!isJson(request.headers.get('content-type'))) {
    return failure('unsupported_media_type', 'Expected request with `Content-Type: application/json`');
  }
  const body = await readBody(request);
  if (!body.ok) return body;
  let json: unknown;
  try {
    json = JSON.parse(body.value);
  } catch (error) {
    return failure('bad_request', `Failed to parse the request body as JSON: ${messageOf(error)}`);
  }
  const parsed = v.safeParse(schema, json);
  if (parsed.success) return success(parsed.output);
  return failure('unprocessable', `the JSON body has the wrong shape: ${describeIssues(parsed.issues)}`);
}

function isJson(contentType: string | null): boolean {
  const type = (contentType ?? '').split(';')[0]?.trim() ?? '';
  return /^application\/([^\s/]+\+)?json$/i.test(type);
}

async function readBody(request: Request): Promise<Outcome<string>> {
  const tooLarge = failure('payload_too_large', `the request body is larger than ${BODY_MAX_BYTES} bytes`);
  if (Number(request.headers.get('content-length') ?? 0) > BODY_MAX_BYTES) return tooLarge;
  const chunks: Uint8Array[] = [];
  let size_bytes = 0;
  try {
    const reader = request.body?.getReader();
    for (let read = await reader?.read(); read !== undefined && !read.done; read = await reader?.read()) {
      const chunk: Uint8Array = read.value;
      size_bytes += chunk.byteLength;
      bodies_bytes += chunk.byteLength;
      if (size_bytes > BODY_MAX_BYTES) return tooLarge;
      if (bodies_bytes > BODIES_MAX_BYTES) return tooBusy();
      chunks.push(chunk);
    }
    return decode(chunks, size_bytes);
  } catch (error) {
    return failure('bad_request', `Failed to buffer the request body: ${messageOf(error)}`);
  } finally {
    bodies_bytes -= size_bytes;
  }
}

function decode(chunks: readonly Uint8Array[], size_bytes: number): Outcome<string> {
  const bytes = new Uint8Array(size_bytes);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  try {
    return success(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return failure('bad_request', 'Failed to parse the request body as JSON: it is not UTF-8');
  }
}

function tooBusy(): Outcome<never> {
  const details = { retry_after_s: RETRY_AFTER_S };
  return failure('service_unavailable', `too many request bodies at once; try again in ${RETRY_AFTER_S} s`, details);
}
