/** Calls to an agent over its link, and the failures that they end in. */
import type { ErrorCode, Failure } from '../../base/index.ts';
import { ANSWER_MAX_CHARS, type CallRequest, type GatewayFrame } from '../../contract/index.ts';
import { Asker, CallBudget, type CallEnd } from '../../link/index.ts';
import type { GatewayLimits } from '../limits.ts';

/** Codes that an agent may answer a call with; the others are about requests to this gateway, which the agent does not know. */
const AGENT_CODES: readonly ErrorCode[] = [
  'not_found',
  'bad_request',
  'gateway_timeout',
  'service_unavailable',
  'internal_error',
  'pyspy_failed',
  'profile_failed',
  'profile_output_unusable',
];

export type AgentCalls = Asker<CallRequest>;

/** The budget that all links of a hub share. */
export function hubBudget({ calls_max, answers_max_chars }: GatewayLimits): CallBudget {
  return new CallBudget({ calls_max, answers_max_chars });
}

/** @param lastNumber calls are numbered from the one after it. Default 0 */
export function agentCalls(
  send: (frame: GatewayFrame) => void,
  budget: CallBudget,
  { calls_per_host_max, answer_parts_max }: GatewayLimits,
  lastNumber = 0,
): AgentCalls {
  const questions = {
    ask: (call: number, request: CallRequest, deadline_ms: number) =>
      send({ type: 'call', call, deadline_ms, request }),
    cancel: (call: number) => send({ type: 'cancel', call }),
  };
  const limits = { calls_max: calls_per_host_max, answer_max_chars: ANSWER_MAX_CHARS, answer_parts_max };
  return new Asker(questions, budget, limits, lastNumber);
}

/** The failure of a call that the agent answered with a fault, or with too much. */
export function agentFailure(end: Extract<CallEnd, { kind: 'fault' | 'too_large' }>): Failure {
  if (end.kind === 'too_large') {
    return { code: 'internal_error', message: `the host agent sent an answer of more than ${end.bounds}` };
  }
  const { code, message, details } = end.fault;
  const known = AGENT_CODES.find((each) => each === code) ?? 'internal_error';
  return details === undefined ? { code: known, message } : { code: known, message, details };
}
