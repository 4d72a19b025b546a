/** What both kinds of link look at in the text of a frame, beside its grammar. */
import { FRAME_MAX_BYTES } from '../../contract/index.ts';

/** The version that a hello announces, whatever else is wrong with it: a peer of a later release still learns why it is refused. */
export function announcedVersion(text: string): number | null {
  try {
    const frame: unknown = JSON.parse(text);
    if (typeof frame !== 'object' || frame === null) return null;
    if (!('type' in frame) || frame.type !== 'hello' || !('version' in frame)) return null;
    return typeof frame.version === 'number' ? frame.version : null;
  } catch {
    return null;
  }
}

export function isTooLarge(text: string): boolean {
  // A UTF-16 unit becomes at most three bytes of UTF-8.
  if (text.length * 3 <= FRAME_MAX_BYTES) return false;
  return text.length > FRAME_MAX_BYTES || new TextEncoder().encode(text).length > FRAME_MAX_BYTES;
}
