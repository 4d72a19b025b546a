/**
 * The error envelope and its codes. Clients decide on `error.code`; the HTTP status is derived from it.
 *
 * The first nine are the mesh admin API's own; the rest name refusals that it answers as plain text or not at all.
 */
import * as v from 'valibot';
import { type ErrorCode, failure, type Outcome, success } from '../base/index.ts';

export const ERROR_STATUS = {
  not_found: 404,
  bad_request: 400,
  gateway_timeout: 504,
  service_unavailable: 503,
  internal_error: 500,
  proxy_error: 500,
  pyspy_failed: 500,
  profile_failed: 500,
  profile_output_unusable: 500,
  unauthorized: 401,
  forbidden: 403,
  method_not_allowed: 405,
  payload_too_large: 413,
  unsupported_media_type: 415,
  unprocessable: 422,
} as const satisfies Record<ErrorCode, number>;

export const ApiError = v.object({
  code: v.string(),
  message: v.string(),
  details: v.optional(v.unknown()),
});

export const ApiErrorEnvelope = v.object({ error: ApiError });
export type ApiErrorEnvelope = v.InferOutput<typeof ApiErrorEnvelope>;

/** One line for a person from what valibot found: the first issue, with the path of the field and the value given. */
export function describeIssues(issues: readonly v.BaseIssue<unknown>[]): string {
  const [issue] = issues;
  if (issue === undefined) return 'invalid value';
  const path = v.getDotPath(issue);
  return path === null ? issue.message : `${path}: ${issue.message}`;
}

/** Checks a value against a schema: the value as the schema gives it, or `bad_request` naming the field. */
export function parseSafely<const S extends v.GenericSchema>(schema: S, value: unknown): Outcome<v.InferOutput<S>> {
  const result = v.safeParse(schema, value);
  return result.success ? success(result.output) : failure('bad_request', describeIssues(result.issues));
}
