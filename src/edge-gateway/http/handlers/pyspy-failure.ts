/** What a dump and a profile have in common when there is no py-spy. */
import type { Failure } from '../../../base/index.ts';

export function binaryNotFound(searched: readonly string[]): Failure {
  return {
    code: 'service_unavailable',
    message: `py-spy not available on target host; searched: ${searched.join(', ')}`,
  };
}
