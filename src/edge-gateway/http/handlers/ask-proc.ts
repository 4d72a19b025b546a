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
export interface Expected<T> {
  /** Reads the text of the answer, and checks it. */
  readonly read: (text: string) => Outcome<T>;
  /** What is waited for, for messages. */
  readonly what: string;
  readonly deadline_ms: number;
  /** What is answered when no host knows the proc. Default: `not_found` */
  readonly unknown?: Failure;
}

/** Calls, and reads the answer. */
export async function askProc<T>(
  mesh: Mesh,
  { proc, captured }: ProcTarget,
  request: CallRequest,
  signal: AbortSignal,
  { read, what, deadline_ms, unknown }: Expected<T>,
): Promise<Outcome<T>> {
  const answer = await mesh.call(proc, request, {
    deadline_ms,
    signal,
    unknown: unknown ?? { code: 'not_found', message: `proc does not have a reachable handler (${captured})` },
    late: { code: 'gateway_timeout', message: `timed out waiting for ${what}` },
  });
  return answer.ok ? read(answer.value) : answer;
}

/** @param name the schema's, for messages */
export function readAs<const S extends v.GenericSchema>(schema: S, name: string) {
  return (text: string): Outcome<v.InferOutput<S>> => {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return failure('internal_error', `failed to receive ${name}: the answer is not JSON`);
    }
    const parsed = v.safeParse(schema, json);
    if (parsed.success) return success(parsed.output);
    return failure('internal_error', `failed to receive ${name}: ${describeIssues(parsed.issues)}`);
  };
}
