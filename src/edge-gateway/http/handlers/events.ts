/**
 * `GET /v1/events`: live updates as server-sent events. A proxy in between must neither keep nor gather them, and a
 * connection that has carried a stream ends with it, so that a gateway that stops need not wait for it.
 */
import type { Mesh } from '../../ports.ts';
import { failureResponse } from '../respond.ts';
import type { Handler } from '../router.ts';

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  connection: 'close',
  'x-accel-buffering': 'no',
};

export function followEvents(mesh: Mesh): Handler {
  return async (c) => {
    const request = c.req.raw;
    if (request.method === 'HEAD') return new Response(null, { headers: HEADERS });
    const opened = await mesh.follow(request.headers.get('last-event-id'));
    return opened.ok ? new Response(opened.value, { headers: HEADERS }) : failureResponse(request, opened.failure);
  };
}
