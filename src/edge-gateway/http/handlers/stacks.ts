/**
 * `GET /v1/pyspy/{proc}` and `POST /v1/pyspy_dump/{proc}`: the stack of a proc, shown or stored.
 *
 * Order of the checks is the contract's: telemetry, for a stored dump; then the reference; then `locals`; then whether any
 * host knows the proc (PS-13, PS-14); then the call.
 */
import { type Failure, failure, type Outcome } from '../../../base/index.ts';
import { type CallRequest, renderRef } from '../../../contract/index.ts';
import type { GatewayLimits } from '../../limits.ts';
import { type Mesh, NO_TELEMETRY, type Telemetry } from '../../ports.ts';
import { failureResponse, jsonResponse } from '../respond.ts';
import type { Handler } from '../router.ts';
import { askProc, type ProcTarget, readTarget } from './ask-proc.ts';
import { type DumpText, type Missed, readDump } from './dump-envelope.ts';
import { binaryNotFound } from './pyspy-failure.ts';

/** `GET /v1/pyspy/{proc}`: 200 with whatever became of the dump (PS-2). */
export function takeDump(mesh: Mesh, limits: GatewayLimits): Handler {
  return async (c, rest) => {
    const request = c.req.raw;
    const target = readTarget(rest);
    if (!target.ok) return failureResponse(request, target.failure);
    const dump = await askDump(mesh, request, target.value, limits);
    return dump.ok ? jsonResponse(request, dump.value.text) : failureResponse(request, dump.failure);
  };
}

/** `POST /v1/pyspy_dump/{proc}`: a dump that goes into the store. Only what was captured is stored. */
export function storeDump(mesh: Mesh, telemetry: Telemetry | null, limits: GatewayLimits): Handler {
  return async (c, rest) => {
    const request = c.req.raw;
    if (telemetry === null) return failureResponse(request, NO_TELEMETRY);
    const absent = (await telemetry.absent?.()) ?? null;
    if (absent !== null) return failureResponse(request, absent);
    const target = readTarget(rest);
    if (!target.ok) return failureResponse(request, target.failure);
    const dump = await askDump(mesh, request, target.value, limits);
    if (!dump.ok) return failureResponse(request, dump.failure);
    if (dump.value.kind === 'missed') return failureResponse(request, dumpFailure(dump.value.why));
    const dump_id = crypto.randomUUID();
    const stored = await telemetry.storeDump(storeRequest(dump_id, target.value.captured, dump.value.result));
    if (stored.ok) return jsonResponse(request, JSON.stringify({ dump_id }));
    const { code, message } = stored.failure;
    const isOurs = code === 'service_unavailable' || code === 'gateway_timeout';
    return failureResponse(request, {
      ...stored.failure,
      code: isOurs ? code : 'proxy_error',
      message: `the stack was captured but not stored, as far as is known: ${message}`,
    });
  };
}

/** `?locals=true` asks for the values of local variables, which may be secrets. */
async function askDump(
  mesh: Mesh,
  request: Request,
  target: ProcTarget,
  limits: GatewayLimits,
): Promise<Outcome<DumpText>> {
  const locals = new URL(request.url).searchParams.get('locals') ?? 'false';
  if (!/^(true|false)$/.test(locals)) return failure('bad_request', `locals: must be true or false, got ${locals}`);
  const call: CallRequest = {
    method: 'pyspy_dump',
    reference: renderRef(target.proc),
    locals: locals === 'true' || undefined,
  };
  const expected = {
    read: (text: string) => readDump(text, limits),
    what: 'py-spy dump',
    deadline_ms: limits.dump_wait_ms,
  };
  return askProc(mesh, target, call, request.signal, expected);
}

/** The text of a StoreDumpRequest, around a result that is text already. */
function storeRequest(dump_id: string, proc_ref: string, result: string): string {
  return `{"dump_id":${JSON.stringify(dump_id)},"proc_ref":${JSON.stringify(proc_ref)},"result":${result}}`;
}

function dumpFailure(result: Missed): Failure {
  if ('BinaryNotFound' in result) return binaryNotFound(result.BinaryNotFound.searched);
  const { exit_code, stderr, pid, binary } = result.Failed;
  // Nothing was run: there was nothing to look at.
  if (binary === '') return { code: 'pyspy_failed', message: stderr.trim() };
  const how = exit_code === null ? 'did not finish' : `exited with code ${exit_code}`;
  return { code: 'pyspy_failed', message: `py-spy ${how} on process ${pid}: ${stderr.trim()}` };
}
