/**
 * The telemetry service by HTTP: `POST {url}/query`, `/dumps` and `/ingest`, JSON both ways, `Authorization: Bearer`.
 *
 * A success is any 2xx. The answer to a query that announces its length is passed on as it comes, in the form that it has;
 * every other answer is read to its end first. Anything else carries the error envelope. Refusals of the caller's input keep their code; what
 * only the gateway can be blamed for (its token, an unknown path, a broken answer, no answer) is `proxy_error`.
 */

import * as v from 'valibot';
import { failure, type Outcome, readBounded, success } from '../../base/index.ts';
import { ApiErrorEnvelope } from '../../contract/index.ts';
import { JSON_TYPE } from '../http/respond.ts';
import { type GatewayLimits, LIMITS } from '../limits.ts';
import type { Telemetry } from '../ports.ts';
import { telemetryFailure } from './store-failure.ts';

export interface TelemetryOptions {
  /** Base URL of the service, `http` or `https`, without a trailing slash. */
  readonly url: string;
  readonly token: string;
  /**
   * Deadline of one call, milliseconds, at least 1. Default 10,000. An answer that is passed on as it comes must have begun
   * by then; the service itself sees to it that it also ends.
   */
  readonly timeout_ms?: number;
  /** Default: LIMITS. */
  readonly limits?: GatewayLimits;
}

/** @throws RangeError when the URL is not one of http or https, or the timeout is not positive. */
export function telemetryOverHttp(options: TelemetryOptions): Telemetry {
  const { url, token, limits = LIMITS } = options;
  const { timeout_ms = limits.telemetry_wait_ms } = options;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new RangeError(`url must be http(s), got '${url}'`);
  if (!(timeout_ms >= 1)) throw new RangeError(`timeout_ms must be at least 1, got ${timeout_ms}`);
  const base = url.replace(/\/+$/, '');
  const post = (path: string, body: string, accept: string | null = null, signal?: AbortSignal) =>
    exchange(`${base}${path}`, token, body, timeout_ms, limits, accept, signal);
  const ignoring = async (answer: Promise<Outcome<Response>>): Promise<Outcome<void>> => {
    const outcome = await answer;
    return outcome.ok ? success(undefined) : outcome;
  };
  return {
    query: (sql, accept = null, signal) => post('/query', JSON.stringify({ sql }), accept ?? '*/*', signal),
    storeDump: (request) => ignoring(post('/dumps', request)),
    ingest: (batch) => ignoring(post('/ingest', JSON.stringify(batch))),
  };
}

async function exchange(
  url: string,
  token: string,
  body: string,
  timeout_ms: number,
  { telemetry_answer_max_bytes }: GatewayLimits,
  accept: string | null,
  signal: AbortSignal | undefined,
): Promise<Outcome<Response>> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeout_ms);
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${token}`,
        ...(accept === null ? {} : { accept }),
      },
      body,
      redirect: 'manual',
      signal: signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, signal]),
    });
    const headers = { 'content-type': response.headers.get('content-type') ?? JSON_TYPE };
    const size_bytes = Number(response.headers.get('content-length') ?? Number.NaN);
    if (response.ok && accept !== null && size_bytes <= telemetry_answer_max_bytes) {
      return success(new Response(response.body, { headers }));
    }
    const whole = await readBounded(response.body, telemetry_answer_max_bytes);
    switch (whole.kind) {
      case 'whole':
        if (response.ok) return success(new Response(whole.bytes, { headers }));
        return refused(response.status, new TextDecoder().decode(whole.bytes));
      case 'too_large':
        return failure('proxy_error', `telemetry answered more than ${telemetry_answer_max_bytes} bytes`);
      case 'broken':
        throw whole.error;
    }
  } catch (error) {
    if (signal?.aborted === true) return failure('gateway_timeout', 'the request was cancelled before its answer came');
    if (deadline.signal.aborted) {
      return failure('gateway_timeout', `the telemetry service did not answer within ${timeout_ms / 1_000} s`);
    }
    return failure('proxy_error', `the telemetry service could not be reached: ${reasonOf(error)}; is it running?`);
  } finally {
    clearTimeout(timer);
  }
}

function refused(status: number, text: string): Outcome<never> {
  let json: unknown = null;
  try {
    json = JSON.parse(text);
  } catch {
    // Without an envelope, only the status is reported.
  }
  const answer = v.safeParse(ApiErrorEnvelope, json);
  if (!answer.success)
    return failure('proxy_error', `the telemetry service answered HTTP ${status} without an error envelope`);
  return { ok: false, failure: telemetryFailure(answer.output.error, `the telemetry service answered HTTP ${status}`) };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || String(error.cause) : error.message;
}
