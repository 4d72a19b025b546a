/** One message of a WebSocket as a frame of the gateway, or what is wrong with it. */
import type * as v from 'valibot';
import { FRAME_MAX_BYTES, type ReadFrame, readFrame } from '../../contract/index.ts';

export function readIncoming<In>(frames: v.GenericSchema<unknown, In>, data: unknown): ReadFrame<In> {
  if (typeof data !== 'string') return { ok: false, error: 'frame is not text', path: null };
  if (data.length > FRAME_MAX_BYTES) return { ok: false, error: 'frame is too large', path: null };
  return readFrame(frames, data);
}
