/** The outcome of anything that can fail across a module or process boundary: a value, or a code with a message. */

/** What kinds of failure there are. What each means for an HTTP client stands in contract/errors.ts. */
export type ErrorCode =
  | 'not_found'
  | 'bad_request'
  | 'gateway_timeout'
  | 'service_unavailable'
  | 'internal_error'
  | 'proxy_error'
  | 'pyspy_failed'
  | 'profile_failed'
  | 'profile_output_unusable'
  | 'unauthorized'
  | 'forbidden'
  | 'method_not_allowed'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'unprocessable';

export interface Failure {
  /** What callers decide by. */
  readonly code: ErrorCode;
  /** One line for people: what went wrong, and what to do about it. Nobody decides by it. */
  readonly message: string;
  readonly details?: unknown;
}

/** @returns `details.reason`, by which callers decide where the code alone does not do; null when the failure has none */
export function reasonOf({ details }: Failure): string | null {
  if (typeof details !== 'object' || details === null || !('reason' in details)) return null;
  return typeof details.reason === 'string' ? details.reason : null;
}

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: Failure };

export function success<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

export function failure(code: ErrorCode, message: string, details?: unknown): Outcome<never> {
  return { ok: false, failure: details === undefined ? { code, message } : { code, message, details } };
}
