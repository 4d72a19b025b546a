/** What a request is answered that came at a bound. */
import type { Failure } from '../base/index.ts';
import type { GatewayLimits } from './limits.ts';

/** @param what says in words what is full. `details.retry_after_s` becomes `Retry-After` */
export function retryLater(what: string, { retry_after_s }: Pick<GatewayLimits, 'retry_after_s'>): Failure {
  return {
    code: 'service_unavailable',
    message: `${what}; try again in ${retry_after_s} s`,
    details: { retry_after_s },
  };
}
