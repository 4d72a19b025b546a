/**
 * Reading JSON bodies within bounds: of one body, and of all bodies held at a time. A body counts from its first byte until
 * its request is answered.
 */
import { failure, type Outcome, success } from '../contract/index.ts';

export class Bodies {
  readonly #maxBytes: number;
  #heldBytes = 0;

  /** @param max_bytes bound of all bodies together, bytes */
  constructor(max_bytes: number) {
    this.#maxBytes = max_bytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Reads a request's body as JSON and hands it to `work`; the body counts as held until `work` is done.
   * @param max_bytes bound of this body, bytes
   * @returns what `work` returns; `unsupported_media_type`, `payload_too_large`, `bad_request` (not JSON), or
   *          `service_unavailable` when too much is held already
   */
  async withJson<T>(
    request: Request,
    max_bytes: number,
    work: (json: unknown) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    const type = request.headers.get('content-type') ?? '';
    if (!/^application\/json\s*(;|$)/i.test(type)) {
      return failure('unsupported_media_type', 'expected a body with Content-Type: application/json');
    }
    let held = 0;
    try {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request.body ?? []) {
        held += chunk.length;
        this.#heldBytes += chunk.length;
        if (held > max_bytes) return failure('payload_too_large', `body is larger than ${max_bytes} bytes`);
        if (this.#heldBytes > this.#maxBytes) {
          return failure('service_unavailable', `more than ${this.#maxBytes} bytes of requests at a time; try again`);
        }
        chunks.push(chunk);
      }
      const json = parseJson(chunks);
      return json.ok ? await work(json.value) : json;
    } finally {
      this.#heldBytes -= held;
    }
  }
}

function parseJson(chunks: readonly Uint8Array[]): Outcome<unknown> {
  try {
    return success(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))));
  } catch (error) {
    return failure('bad_request', `body is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
