/** `GET /v1/config/{proc}`. An unknown proc is a timeout here, as the contract has it, only without the wait. */
import type { Failure } from '../../../base/index.ts';
import { ConfigDumpResult, renderRef } from '../../../contract/index.ts';
import type { GatewayLimits } from '../../limits.ts';
import type { Mesh } from '../../ports.ts';
import { failureResponse, jsonResponse } from '../respond.ts';
import type { Handler } from '../router.ts';
import { askProc, readAs, readTarget } from './ask-proc.ts';

export function readConfig(mesh: Mesh, { config_wait_ms }: GatewayLimits): Handler {
  return async (c, rest) => {
    const request = c.req.raw;
    const target = readTarget(rest);
    if (!target.ok) return failureResponse(request, target.failure);
    const { proc, captured } = target.value;
    const what = 'config dump';
    const unknown: Failure = {
      code: 'gateway_timeout',
      message: `timed out waiting for ${what}: no host of this mesh has the proc ${captured}`,
    };
    const expected = { read: readAs(ConfigDumpResult, 'ConfigDumpResult'), what, deadline_ms: config_wait_ms, unknown };
    const call = { method: 'config_dump', reference: renderRef(proc) } as const;
    const config = await askProc(mesh, target.value, call, request.signal, expected);
    return config.ok ? jsonResponse(request, JSON.stringify(config.value)) : failureResponse(request, config.failure);
  };
}
