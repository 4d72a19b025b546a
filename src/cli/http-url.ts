/** Base URLs that options give. */
import { usageError } from './exit.ts';

/**
 * The URL, checked, without slashes at its end.
 *
 * @param option as it is typed, for messages
 * @param whose what is to be found there, as in `a gateway`
 */
export function readHttpUrl(option: string, given: string, whose: string): string {
  const url = URL.canParse(given) ? new URL(given) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usageError(`${option} ${given}: must be the URL of ${whose}, as in https://mesh.example.com`);
  }
  if (url.username !== '' || url.password !== '') {
    throw usageError(`${option}: the URL must not hold a user name or password; a token goes into MESHSCOPE_TOKEN`);
  }
  return given.replace(/\/+$/, '');
}
