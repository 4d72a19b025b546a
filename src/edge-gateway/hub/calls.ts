/** The gateway's questions to an agent: the calls of its link, and what their ends mean for whoever asked. */
import type { ErrorCode, Failure } from '../../base/index.ts';
import { ANSWER_MAX_CHARS, type CallRequest, type GatewayFrame } from '../../contract/index.ts';
import { Asker, CallBudget, type CallEnd } from '../../link/index.ts';
import type { GatewayLimits } from '../limits.ts';

/** What an agent may say of a call; the other codes are about a request to this gateway, which it knows nothing of. */
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

/** What all links of a hub have together. */
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

/** What the agent itself has to say of a call that it did not answer. */
export function agentFailure(end: Extract<CallEnd, { kind: 'fault' | 'too_large' }>): Failure {
  if (end.kind === 'too_large') {
    return { code: 'internal_error', message: `the host agent sent an answer of more than ${end.bounds}` };
  }
  const { code, message, details } = end.fault;
  const known = AGENT_CODES.find((each) => each === code) ?? 'internal_error';
  return details === undefined ? { code: known, message } : { code: known, message, details };
}
