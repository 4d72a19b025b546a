/**
 * Asking the agent of a proc on behalf of a request. The reference is read first, then the agent of the host is called; it
 * alone decides which process that is (PS-1).
 */
import * as v from 'valibot';
import { type Failure, failure, type Outcome, success } from '../../../base/index.ts';
import { type CallRequest, describeIssues, type ProcRef, parseProcRef } from '../../../contract/index.ts';
import type { Mesh } from '../../ports.ts';
import { type CapturedReference, captureReference } from '../path.ts';

export interface ProcTarget extends CapturedReference {
  readonly proc: ProcRef;
}

/** @param rest the path behind the route's prefix, still encoded */
export function readTarget(rest: string): Outcome<ProcTarget> {
  const captured = captureReference(rest, 'proc_reference');
  if (!captured.ok) return captured;
  const proc = parseProcRef(captured.value.reference);
  if (!proc.ok) return failure('bad_request', `invalid proc reference: ${proc.error}`);
  return success({ ...captured.value, proc: proc.value });
}

/** What an answer has to be, and how long it may take. */
export interface Expected<S extends v.GenericSchema> {
  readonly schema: S;
  /** The schema's name, for messages. */
  readonly name: string;
  /** What is waited for, for messages. */
  readonly what: string;
  readonly deadline_ms: number;
  /** What is answered when no host knows the proc. Default: `not_found` */
  readonly unknown?: Failure;
}

/** Calls, and validates the answer once. */
export async function askProc<const S extends v.GenericSchema>(
  mesh: Mesh,
  { proc, captured }: ProcTarget,
  request: CallRequest,
  signal: AbortSignal,
  expected: Expected<S>,
): Promise<Outcome<v.InferOutput<S>>> {
  const answer = await mesh.call(proc, request, {
    deadline_ms: expected.deadline_ms,
    signal,
    unknown: expected.unknown ?? {
      code: 'not_found',
      message: `proc does not have a reachable handler (${captured})`,
    },
    late: { code: 'gateway_timeout', message: `timed out waiting for ${expected.what}` },
  });
  if (!answer.ok) return answer;
  let json: unknown;
  try {
    json = JSON.parse(answer.value);
  } catch {
    return failure('internal_error', `failed to receive ${expected.name}: the answer is not JSON`);
  }
  const parsed = v.safeParse(expected.schema, json);
  if (parsed.success) return success(parsed.output);
  return failure('internal_error', `failed to receive ${expected.name}: ${describeIssues(parsed.issues)}`);
}
