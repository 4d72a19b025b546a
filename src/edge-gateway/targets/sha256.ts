/** SHA-256 of `node:crypto`, which Node, Deno and Workers all have, and which makes nobody wait as that of the web does. */
import { createHash } from 'node:crypto';

export function sha256(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}
