/** What both kinds of link look at in the text of a frame, beside its grammar. */
import { CLOSE, closeReason, FRAME_MAX_BYTES } from '../../contract/index.ts';
import type { Link } from '../ports.ts';

/** The version that a hello announces, whatever else is wrong with it: a peer from the future still gets told. */
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
  if (text.length * 3 <= FRAME_MAX_BYTES) return false;
  return text.length > FRAME_MAX_BYTES || new TextEncoder().encode(text).length > FRAME_MAX_BYTES;
}

/** Closes with as much of the reason as has room. */
export function closeLink(link: Link, code: number, reason: string): void {
  link.close(code, closeReason(reason));
}

/** Sends the last frame of a link that is not taken, and closes it. `retry`: see contract/link.ts. */
export function refuseLink(link: Link, code: string, message: string, retry: boolean): void {
  link.send(JSON.stringify({ type: 'refuse', code, message, retry }));
  closeLink(link, CLOSE.protocol, code);
}
