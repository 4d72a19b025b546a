/**
 * `POST /v1/pyspy_profile_svg/{proc}`: a flame graph. Options are checked before anything is sent (PP-1), and before what
 * the reference says is looked at; only text that cannot be decoded is refused before the body is read.
 */
import type { Failure } from '../../../base/index.ts';
import {
  PROFILE_MAX_S,
  PySpyProfileOpts,
  PySpyProfileOutcome,
  profileOptsError,
  renderRef,
} from '../../../contract/index.ts';
import type { GatewayLimits } from '../../limits.ts';
import type { Mesh } from '../../ports.ts';
import type { BodyReader } from '../body.ts';
import { undecodable } from '../path.ts';
import { failureResponse, textResponse } from '../respond.ts';
import type { Handler } from '../router.ts';
import { askProc, readAs, readTarget } from './ask-proc.ts';
import { binaryNotFound } from './pyspy-failure.ts';

/** A flame graph holds script: in a browser it gets an origin of its own and may load nothing. */
const SVG_HEADERS = {
  'content-security-policy':
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'",
  'x-content-type-options': 'nosniff',
};

export function takeProfile(mesh: Mesh, bodies: BodyReader, { profile_extra_wait_ms }: GatewayLimits): Handler {
  return async (c, rest) => {
    const request = c.req.raw;
    const unreadable = undecodable(rest, 'proc_reference');
    if (unreadable !== null) return failureResponse(request, unreadable);
    const opts = await bodies.readJson(request, PySpyProfileOpts);
    if (!opts.ok) return failureResponse(request, opts.failure);
    const error = profileOptsError(opts.value, PROFILE_MAX_S);
    if (error !== null) return failureResponse(request, { code: 'bad_request', message: error });
    const target = readTarget(rest);
    if (!target.ok) return failureResponse(request, target.failure);
    const call = { method: 'pyspy_profile', reference: renderRef(target.value.proc), opts: opts.value } as const;
    const outcome = await askProc(mesh, target.value, call, request.signal, {
      read: readAs(PySpyProfileOutcome, 'PySpyProfileResult'),
      what: 'py-spy profile',
      deadline_ms: opts.value.duration_s * 1_000 + profile_extra_wait_ms,
    });
    if (!outcome.ok) return failureResponse(request, outcome.failure);
    if (outcome.value.kind === 'ok') return textResponse(request, outcome.value.svg, 'image/svg+xml', 200, SVG_HEADERS);
    return failureResponse(request, profileFailure(outcome.value));
  };
}

/** One answer for each way a profile can end (PP-6). */
function profileFailure(outcome: Exclude<PySpyProfileOutcome, { kind: 'ok' }>): Failure {
  switch (outcome.kind) {
    case 'binary_not_found':
      return binaryNotFound(outcome.searched);
    case 'timed_out':
      return {
        code: 'gateway_timeout',
        message: `py-spy record subprocess timed out after ${outcome.timeout_s}s: ${outcome.stderr.trim()}`,
      };
    case 'exit_failure':
      return { code: 'profile_failed', message: outcome.stderr };
    case 'no_samples':
      return {
        code: 'profile_failed',
        message:
          `no samples were taken: every thread was idle for the whole ${outcome.duration_s} s. ` +
          'A dump (GET /v1/pyspy/{proc_reference}) shows idle threads too; or profile for longer, while there is work',
      };
    case 'output_missing':
      return unusable(`py-spy exited 0 but SVG file is missing (pid ${outcome.pid}, ${outcome.binary})`);
    case 'output_empty':
      return unusable(`py-spy exited 0 but SVG output is empty (pid ${outcome.pid}, ${outcome.binary})`);
    case 'output_too_large':
      return unusable(
        `the SVG has ${outcome.size_bytes} bytes, the limit is ${outcome.limit_bytes}: profile for a shorter time or at a lower rate`,
      );
    case 'output_read_failure':
      return { code: 'internal_error', message: `failed to read SVG output: ${outcome.error}` };
    case 'subprocess_spawn_failure':
      return { code: 'internal_error', message: `failed to execute py-spy: ${outcome.error}` };
    case 'temp_dir_failure':
      return { code: 'internal_error', message: `failed to create temp dir: ${outcome.error}` };
  }
}

function unusable(message: string): Failure {
  return { code: 'profile_output_unusable', message };
}
