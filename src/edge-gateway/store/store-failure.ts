/** What becomes of the error envelope of the telemetry service, however it came. */
import type { ErrorCode, Failure } from '../../base/index.ts';

export interface ServiceError {
  readonly code: string;
  readonly message: string;
  readonly details?: unknown;
}

/** Codes of the service that are about the caller's request, and the codes that the caller gets. */
const PASSED_ON: ReadonlyMap<string, ErrorCode> = new Map([
  ['bad_request', 'bad_request'],
  ['unprocessable', 'bad_request'],
  ['payload_too_large', 'bad_request'],
  ['gateway_timeout', 'gateway_timeout'],
  ['service_unavailable', 'service_unavailable'],
]);

/**
 * Refusals of the caller's input keep their code; what only the gateway or the service can be blamed for is `proxy_error`.
 *
 * @param how begins the message of the latter, as in `the telemetry service answered HTTP 500`
 */
export function telemetryFailure({ code, message, details }: ServiceError, how: string): Failure {
  const passedOn = PASSED_ON.get(code);
  if (passedOn === undefined) return { code: 'proxy_error', message: `${how} ${code}: ${message}` };
  return details === undefined ? { code: passedOn, message } : { code: passedOn, message, details };
}
