import { createHash } from 'node:crypto';

/** The first 64 bits of a SHA-256 over the parts: stable over runs, and different for different things. */
export function hashUid(...parts: readonly (string | number)[]): bigint {
  const digest = createHash('sha256').update(parts.join('\0')).digest();
  return digest.readBigUInt64BE(0);
}
