/**
 * Answers a request, however it arrived: a method and its JSON body become the text of an answer, or the stream of a query's.
 * HTTP (routes.ts) and the link to a gateway (link.ts) only carry them.
 */

import * as v from 'valibot';
import { failure, type Outcome, success } from '../../base/index.ts';
import { describeIssues, type StoreMethod, StoreQueryRequest } from '../../contract/index.ts';
import type { TelemetryLimits } from '../limits.ts';
import type { TelemetryStore } from '../port.ts';
import { chooseFormat, FORMAT_TYPES } from '../query/formats.ts';
import { answerStream, answerText, type QueryAnswer } from '../query/owner/answer.ts';
import { Bodies } from './bodies.ts';

export interface RequestPorts {
  readonly store: TelemetryStore;
  readonly limits: TelemetryLimits;
}

/** The answer to a query, to be read. */
export interface StreamedAnswer {
  /** Its content type. */
  readonly type: string;
  readonly size_bytes: number;
  readonly body: Uint8Array | ReadableStream<Uint8Array<ArrayBuffer>>;
}

export class Requests {
  /** The bodies of all requests, by HTTP and by link. */
  readonly bodies: Bodies;
  /** Bounds of single bodies, bytes. */
  readonly max_bytes: Readonly<Record<StoreMethod, number>>;
  readonly limits: TelemetryLimits;
  readonly #ports: RequestPorts;
  /** Bytes of streamed answers that clients have not read yet. */
  #unreadBytes = 0;

  constructor(ports: RequestPorts) {
    const { limits } = ports;
    this.#ports = ports;
    this.limits = limits;
    this.bodies = new Bodies(limits);
    this.max_bytes = {
      query: limits.query_body_max_bytes,
      store_dump: limits.dump_body_max_bytes,
      ingest: limits.ingest_body_max_bytes,
    };
  }

  /**
   * Answers one request; writes are answered after their commit.
   * @param signal gives a query up; a write is finished all the same
   * @returns the text, which for a query is that of `answerText`; the failures of `TelemetryStore`, and
   *          `unprocessable` for a body that is no query
   */
  async answer(method: StoreMethod, json: unknown, signal?: AbortSignal): Promise<Outcome<string>> {
    const { store } = this.#ports;
    if (method === 'query') {
      const answered = await this.#query(json, null, signal);
      return answered.ok ? success(answerText(answered.value)) : answered;
    }
    const done: Outcome<object> = method === 'ingest' ? await store.ingest(json) : await store.storeDump(json);
    return done.ok ? success(JSON.stringify(done.value)) : done;
  }

  /**
   * Answers a query by a stream.
   * @param accept the forms that the client takes, by the header of that name; null when it says nothing
   * @param signal gives the query up; to stop reading, the stream is cancelled
   * @returns the failures of `TelemetryStore`; `unprocessable`; `service_unavailable` while too much waits for other readers
   */
  async query(json: unknown, accept: string | null, signal?: AbortSignal): Promise<Outcome<StreamedAnswer>> {
    const answered = await this.#query(json, accept, signal);
    if (!answered.ok) return answered;
    const answer = answered.value;
    const { size_bytes, parts } = answer;
    const type = FORMAT_TYPES[answer.format];
    const [first] = parts;
    // One part is not worth a stream.
    if (parts.length === 1 && first !== undefined) return success({ type, size_bytes, body: first });
    const { sql_answers_max_bytes, sql_answer_timeout_ms } = this.limits;
    if (this.#unreadBytes + size_bytes > sql_answers_max_bytes) {
      const message = `more than ${sql_answers_max_bytes} bytes of answers are not read yet; try again later`;
      return failure('service_unavailable', message);
    }
    this.#unreadBytes += size_bytes;
    const body = answerStream(answer, sql_answer_timeout_ms, () => {
      this.#unreadBytes -= size_bytes;
    });
    return success({ type, size_bytes, body });
  }

  async #query(json: unknown, accept: string | null, signal?: AbortSignal): Promise<Outcome<QueryAnswer>> {
    const parsed = v.safeParse(StoreQueryRequest, json);
    if (!parsed.success) return failure('unprocessable', `query: ${describeIssues(parsed.issues)}`);
    const format = chooseFormat(accept ?? parsed.output.accept ?? null, this.limits.accept_max_chars);
    return await this.#ports.store.query(parsed.output.sql, signal, format);
  }
}
