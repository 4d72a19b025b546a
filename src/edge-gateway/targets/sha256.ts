/** SHA-256 of `node:crypto`: Node, Deno and Workers all have it and, unlike the web's, it answers at once. */
import { hash } from 'node:crypto';

export function sha256(text: string): string {
  return hash('sha256', text, 'hex');
}
