/**
 * The routes that ask the agent of a proc: stack dump, stored dump, profile, configuration.
 *
 * Order of the checks is the contract's: (telemetry, for a stored dump) then (options, for a profile) then the
 * reference, then (`locals`, for a dump) then whether any host knows the proc (PS-13, PS-14), then the call. The agent
 * alone decides which process that is (PS-1).
 */

import * as v from 'valibot';
import { type Failure, failure, type Outcome, success } from '../../../base/index.ts';
import {
  type CallRequest,
  ConfigDumpResult,
  describeIssues,
  PROFILE_MAX_S,
  type ProcRef,
  PySpyProfileOpts,
  type PySpyProfileOutcome,
  PySpyProfileOutcome as PySpyProfileOutcomeSchema,
  PySpyResult,
  parseProcRef,
  profileOptsError,
  renderRef,
} from '../../../contract/index.ts';
import { CONFIG_WAIT_MS, DUMP_WAIT_MS, PROFILE_EXTRA_WAIT_MS } from '../../limits.ts';
import { type Mesh, NO_TELEMETRY, type Telemetry } from '../../ports.ts';
import { readJsonBody } from '../body.ts';
import { type CapturedReference, captureReference } from '../decode.ts';
import { failureResponse, jsonResponse, textResponse } from '../respond.ts';

/** A flame graph holds script: in a browser it gets an origin of its own and may load nothing. */
const SVG_HEADERS = {
  'content-security-policy':
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'",
  'x-content-type-options': 'nosniff',
};

interface Target extends CapturedReference {
  readonly proc: ProcRef;
}

function readTarget(raw: string): Outcome<Target> {
  const captured = captureReference(raw, 'proc_reference');
  if (!captured.ok) return captured;
  const proc = parseProcRef(captured.value.reference);
  if (!proc.ok) return failure('bad_request', `invalid proc reference: ${proc.error}`);
  return success({ ...captured.value, proc: proc.value });
}

/** Calls and validates the answer, once, against its schema. */
async function ask<const S extends v.GenericSchema>(
  mesh: Mesh,
  { proc, captured }: Target,
  request: CallRequest,
  signal: AbortSignal,
  expect: { schema: S; name: string; what: string; deadline_ms: number; unknown?: Failure },
): Promise<Outcome<v.InferOutput<S>>> {
  const answer = await mesh.call(proc, request, {
    deadline_ms: expect.deadline_ms,
    signal,
    unknown: expect.unknown ?? {
      code: 'not_found',
      message: `proc does not have a reachable handler (${captured})`,
    },
    late: { code: 'gateway_timeout', message: `timed out waiting for ${expect.what}` },
  });
  if (!answer.ok) return answer;
  let json: unknown;
  try {
    json = JSON.parse(answer.value);
  } catch {
    return failure('internal_error', `failed to receive ${expect.name}: the answer is not JSON`);
  }
  const parsed = v.safeParse(expect.schema, json);
  if (parsed.success) return success(parsed.output);
  return failure('internal_error', `failed to receive ${expect.name}: ${describeIssues(parsed.issues)}`);
}

/** A dump; `?locals=true` asks for the values of local variables, which may be secrets. */
async function askDump(mesh: Mesh, request: Request, target: Target): Promise<Outcome<PySpyResult>> {
  const locals = new URL(request.url).searchParams.get('locals') ?? 'false';
  if (!/^(true|false)$/.test(locals)) return failure('bad_request', `locals: must be true or false, got ${locals}`);
  const call: CallRequest = {
    method: 'pyspy_dump',
    reference: renderRef(target.proc),
    locals: locals === 'true' || undefined,
  };
  const expect = { schema: PySpyResult, name: 'PySpyResult', what: 'py-spy dump', deadline_ms: DUMP_WAIT_MS };
  return ask(mesh, target, call, request.signal, expect);
}

/** `GET /v1/pyspy/{proc}`: 200 with whatever became of the dump (PS-2). */
export async function handleDump(mesh: Mesh, request: Request, raw: string): Promise<Response> {
  const target = readTarget(raw);
  if (!target.ok) return failureResponse(request, target.failure);
  const result = await askDump(mesh, request, target.value);
  return result.ok ? jsonResponse(request, JSON.stringify(result.value)) : failureResponse(request, result.failure);
}

/** `POST /v1/pyspy_dump/{proc}`: a dump that goes into the store. Only what was captured is stored. */
export async function handleStoredDump(
  mesh: Mesh,
  telemetry: Telemetry | null,
  request: Request,
  raw: string,
): Promise<Response> {
  if (telemetry === null) return failureResponse(request, NO_TELEMETRY);
  const absent = (await telemetry.absent?.()) ?? null;
  if (absent !== null) return failureResponse(request, absent);
  const target = readTarget(raw);
  if (!target.ok) return failureResponse(request, target.failure);
  const result = await askDump(mesh, request, target.value);
  if (!result.ok) return failureResponse(request, result.failure);
  if (!('Ok' in result.value)) return failureResponse(request, dumpFailure(result.value));
  const dump_id = crypto.randomUUID();
  const stored = await telemetry.storeDump({ dump_id, proc_ref: target.value.captured, result: result.value.Ok });
  if (stored.ok) return jsonResponse(request, JSON.stringify({ dump_id }));
  const { code, message } = stored.failure;
  const isOurs = code === 'service_unavailable' || code === 'gateway_timeout';
  return failureResponse(request, {
    ...stored.failure,
    code: isOurs ? code : 'proxy_error',
    message: `the stack was captured but not stored, as far as is known: ${message}`,
  });
}

function dumpFailure(result: Exclude<PySpyResult, { Ok: unknown }>): Failure {
  if ('BinaryNotFound' in result) return binaryNotFound(result.BinaryNotFound.searched);
  const { exit_code, stderr, pid, binary } = result.Failed;
  // Nothing was run: there was nothing to look at.
  if (binary === '') return { code: 'pyspy_failed', message: stderr.trim() };
  const how = exit_code === null ? 'did not finish' : `exited with code ${exit_code}`;
  return { code: 'pyspy_failed', message: `py-spy ${how} on process ${pid}: ${stderr.trim()}` };
}

function binaryNotFound(searched: readonly string[]): Failure {
  return {
    code: 'service_unavailable',
    message: `py-spy not available on target host; searched: ${searched.join(', ')}`,
  };
}

/** `POST /v1/pyspy_profile_svg/{proc}`. Options are checked before anything is sent (PP-1). */
export async function handleProfile(mesh: Mesh, request: Request, raw: string): Promise<Response> {
  const captured = captureReference(raw, 'proc_reference');
  // Text that cannot be decoded is refused before the body is read; what it says is looked at after it.
  if (!captured.ok && captured.failure.message.startsWith('Invalid URL'))
    return failureResponse(request, captured.failure);
  const opts = await readJsonBody(request, PySpyProfileOpts);
  if (!opts.ok) return failureResponse(request, opts.failure);
  const error = profileOptsError(opts.value, PROFILE_MAX_S);
  if (error !== null) return failureResponse(request, { code: 'bad_request', message: error });
  const target = readTarget(raw);
  if (!target.ok) return failureResponse(request, target.failure);
  const outcome = await ask(
    mesh,
    target.value,
    { method: 'pyspy_profile', reference: renderRef(target.value.proc), opts: opts.value },
    request.signal,
    {
      schema: PySpyProfileOutcomeSchema,
      name: 'PySpyProfileResult',
      what: 'py-spy profile',
      deadline_ms: opts.value.duration_s * 1_000 + PROFILE_EXTRA_WAIT_MS,
    },
  );
  if (!outcome.ok) return failureResponse(request, outcome.failure);
  if (outcome.value.kind === 'ok') return textResponse(request, outcome.value.svg, 'image/svg+xml', 200, SVG_HEADERS);
  return failureResponse(request, profileFailure(outcome.value));
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

/** `GET /v1/config/{proc}`. An unknown proc is a timeout here, as the contract has it, only without the wait. */
export async function handleConfig(mesh: Mesh, request: Request, raw: string): Promise<Response> {
  const target = readTarget(raw);
  if (!target.ok) return failureResponse(request, target.failure);
  const what = 'config dump';
  const unknown: Failure = {
    code: 'gateway_timeout',
    message: `timed out waiting for ${what}: no host of this mesh has the proc ${target.value.captured}`,
  };
  const call: CallRequest = { method: 'config_dump', reference: renderRef(target.value.proc) };
  const expect = { schema: ConfigDumpResult, name: 'ConfigDumpResult', what, deadline_ms: CONFIG_WAIT_MS, unknown };
  const result = await ask(mesh, target.value, call, request.signal, expect);
  return result.ok ? jsonResponse(request, JSON.stringify(result.value)) : failureResponse(request, result.failure);
}
