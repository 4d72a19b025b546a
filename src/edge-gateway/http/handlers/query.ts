/** `POST /v1/query`: one read-only SQL query of the telemetry store. */
import { QueryRequest } from '../../../contract/index.ts';
import { NO_TELEMETRY, type Telemetry } from '../../ports.ts';
import { noteTarget } from '../audit.ts';
import type { BodyReader } from '../body.ts';
import { failureResponse } from '../respond.ts';
import type { Handler } from '../router.ts';

export function runQuery(telemetry: Telemetry | null, bodies: BodyReader): Handler {
  return async (c) => {
    const request = c.req.raw;
    const body = await bodies.readJson(request, QueryRequest);
    if (!body.ok) return failureResponse(request, body.failure);
    noteTarget(c, body.value.sql);
    if (telemetry === null) return failureResponse(request, NO_TELEMETRY);
    const answer = await telemetry.query(body.value.sql, request.headers.get('accept'), request.signal);
    return answer.ok ? answer.value : failureResponse(request, answer.failure);
  };
}
