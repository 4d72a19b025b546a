/** SHA-256 of `node:crypto`, which Node, Deno and Workers all have, and which makes nobody wait as that of the web does. */
import { hash } from 'node:crypto';

export function sha256(text: string): string {
  return hash('sha256', text, 'hex');
}
