/**
 * Reads JSON bodies within two bounds: of one body, and of all bodies at a time. A body counts from its first byte until its
 * request is answered.
 */
import { type Failure, failure, messageOf, type Outcome, readBounded, success } from '../../base/index.ts';
import type { TelemetryLimits } from '../limits.ts';

/** One body that is being received. */
export interface HeldBody {
  /** Counts bytes that arrived. @returns `payload_too_large` or `service_unavailable` when they are more than may be held */
  take(size_bytes: number): Failure | null;
  /** To be called once, when the request is answered. */
  release(): void;
}

export class Bodies {
  readonly #maxBytes: number;
  /**
   * A body that announces no more bytes than this is read at once, which takes half the time of reading it as a stream. It
   * counts whole from its first byte, so all connections together must not reach the bound by announcing lengths alone.
   */
  readonly #atOnceMaxBytes: number;
  #heldBytes = 0;

  constructor({ bodies_in_flight_max_bytes, connections_max }: TelemetryLimits) {
    this.#maxBytes = bodies_in_flight_max_bytes;
    this.#atOnceMaxBytes = Math.floor(bodies_in_flight_max_bytes / connections_max);
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** @param max_bytes bound of this body, bytes */
  hold(max_bytes: number): HeldBody {
    let held = 0;
    return {
      take: (size_bytes) => {
        held += size_bytes;
        this.#heldBytes += size_bytes;
        if (held > max_bytes) return { code: 'payload_too_large', message: `body is larger than ${max_bytes} bytes` };
        if (this.#heldBytes <= this.#maxBytes) return null;
        return {
          code: 'service_unavailable',
          message: `more than ${this.#maxBytes} bytes of requests at a time; try again`,
        };
      },
      release: () => {
        this.#heldBytes -= held;
        held = 0;
      },
    };
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
    const body = this.hold(max_bytes);
    try {
      const bytes = await this.#read(request, body);
      if (!bytes.ok) return bytes;
      const json = readJson(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes.value));
      return json.ok ? await work(json.value) : json;
    } finally {
      body.release();
    }
  }

  async #read(request: Request, body: HeldBody): Promise<Outcome<Uint8Array>> {
    const announced = request.headers.get('content-length');
    const size = announced === null ? Number.NaN : Number(announced);
    if (size <= this.#atOnceMaxBytes) {
      const refused = body.take(size);
      return refused === null ? success(new Uint8Array(await request.arrayBuffer())) : { ok: false, failure: refused };
    }
    let refused: Failure | null = null;
    // Both bounds, of this body and of all, are kept by `take`.
    const read = await readBounded(request.body, Number.POSITIVE_INFINITY, (bytes) => {
      refused = body.take(bytes);
      return refused === null;
    });
    if (refused !== null) return { ok: false, failure: refused };
    if (read.kind === 'whole') return success(read.bytes);
    return failure('bad_request', 'the body broke off before its end');
  }
}

/** @returns `bad_request` when the text cannot be had, or is not JSON */
export function readJson(text: () => string): Outcome<unknown> {
  try {
    return success(JSON.parse(text()));
  } catch (error) {
    return failure('bad_request', `body is not JSON: ${messageOf(error)}`);
  }
}
