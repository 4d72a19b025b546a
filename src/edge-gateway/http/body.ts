/**
 * Request bodies, checked in the contract's order: content type (415), size (413), JSON (400), shape (422). Every
 * message says what was expected; a shape message names the field and the value.
 */
import * as v from 'valibot';
import { failure, messageOf, type Outcome, readBounded, success } from '../../base/index.ts';
import { describeIssues } from '../../contract/index.ts';
import type { GatewayLimits } from '../limits.ts';
import { retryLater } from '../retry-later.ts';

/** Reads the bodies of one gateway, of which so many bytes may be read at a time. */
export class BodyReader {
  readonly #limits: GatewayLimits;
  #held_bytes = 0;

  constructor(limits: GatewayLimits) {
    this.#limits = limits;
  }

  async readJson<const S extends v.GenericSchema>(request: Request, schema: S): Promise<Outcome<v.InferOutput<S>>> {
    if (!isJson(request.headers.get('content-type'))) {
      return failure('unsupported_media_type', 'Expected request with `Content-Type: application/json`');
    }
    const body = await this.#read(request);
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

  async #read(request: Request): Promise<Outcome<string>> {
    const { body_max_bytes, bodies_max_bytes } = this.#limits;
    const tooLarge = failure('payload_too_large', `the request body is larger than ${body_max_bytes} bytes`);
    if (Number(request.headers.get('content-length') ?? 0) > body_max_bytes) return tooLarge;
    let held_bytes = 0;
    let isFull = false;
    const body = await readBounded(request.body, body_max_bytes, (bytes) => {
      held_bytes += bytes;
      this.#held_bytes += bytes;
      isFull = this.#held_bytes > bodies_max_bytes;
      return !isFull;
    });
    this.#held_bytes -= held_bytes;
    switch (body.kind) {
      case 'whole':
        return decode(body.bytes);
      case 'too_large':
        return isFull ? { ok: false, failure: retryLater('too many request bodies at once', this.#limits) } : tooLarge;
      case 'broken':
        return failure('bad_request', `Failed to buffer the request body: ${messageOf(body.error)}`);
    }
  }
}

function isJson(contentType: string | null): boolean {
  const type = (contentType ?? '').split(';')[0]?.trim() ?? '';
  return /^application\/([^\s/]+\+)?json$/i.test(type);
}

function decode(bytes: Uint8Array): Outcome<string> {
  try {
    return success(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return failure('bad_request', 'Failed to parse the request body as JSON: it is not UTF-8');
  }
}
