/** A version 7 UUID, as instance ids are: 48 bits of milliseconds, so that they sort by time, then random. */
export function uuidV7(now_ms: number = Date.now()): string {
  const time = now_ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}
