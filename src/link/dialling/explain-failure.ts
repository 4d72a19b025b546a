/**
 * A WebSocket that did not come about does not say why. The same request without the upgrade does: it fails with the
 * network's own error, or is answered with an envelope when the token or the address is what is wrong.
 */
import { Agent, fetch } from 'undici';
import * as v from 'valibot';
import { ApiErrorEnvelope } from '../../contract/index.ts';
import type { LinkLimits } from '../limits.ts';
import type { DialTls } from './options.ts';

/** Answers with which the gateway means this token or this address: they stay the same until somebody changes one. */
const REFUSALS: readonly number[] = [401, 403, 404];

export interface FailedDial {
  /** `ws(s)://…`. */
  readonly url: string;
  readonly token: string;
  readonly tls: DialTls;
  readonly limits: LinkLimits;
}

export async function explainFailure(
  { url, token, tls, limits }: FailedDial,
  stopped: AbortSignal,
): Promise<{ readonly kind: 'refused' | 'failed'; readonly message: string }> {
  const dispatcher = new Agent({ connect: { timeout: limits.explain_timeout_ms, ...tls } });
  try {
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(limits.explain_timeout_ms)]);
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(url.replace(/^ws/, 'http'), { dispatcher, signal, headers });
    const body = v.safeParse(ApiErrorEnvelope, await answer.json().catch(() => null));
    const message = body.success ? body.output.error.message : `HTTP ${answer.status}: not a meshscope gateway`;
    return { kind: REFUSALS.includes(answer.status) ? 'refused' : 'failed', message };
  } catch (error) {
    return { kind: 'failed', message: innermostMessage(error) };
  } finally {
    dispatcher.destroy().catch(() => {});
  }
}

/** The innermost message of an error, which is the one that says what happened. */
function innermostMessage(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError) return innermostMessage(inner.errors[0]);
  return inner instanceof Error ? inner.message : String(inner ?? 'the connection failed');
}
