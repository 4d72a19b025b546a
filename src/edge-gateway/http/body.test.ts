import { describe, expect, it } from 'vitest';
import { sleep } from '../../base/index.ts';
import { QueryRequest } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import { BodyReader } from './body.ts';

/** A body that sends one chunk and then waits to be ended. */
function slowRequest(chunk: Uint8Array) {
  let end: () => void = () => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(chunk);
      end = () => controller.error(new Error('gone'));
    },
  });
  const headers = { 'content-type': 'application/json' };
  const init: RequestInit & { duplex: 'half' } = { method: 'POST', headers, body, duplex: 'half' };
  return { request: new Request('http://localhost/', init), end: () => end() };
}

describe('bodies being read', () => {
  it('take so many bytes in all; the one too many is answered 503, and what has ended makes room', async () => {
    const bodies = new BodyReader(LIMITS);
    const chunk = new Uint8Array(LIMITS.body_max_bytes);
    const slow = Array.from({ length: LIMITS.bodies_max_bytes / chunk.length }, () => slowRequest(chunk));
    const reading = slow.map(({ request }) => bodies.readJson(request, QueryRequest));
    await sleep(0);
    const one = () => {
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"sql":"x"}' };
      return bodies.readJson(new Request('http://localhost/', init), QueryRequest);
    };
    expect(await one()).toMatchObject({
      ok: false,
      failure: { code: 'service_unavailable', details: { retry_after_s: 1 } },
    });
    for (const { end } of slow) end();
    for (const outcome of await Promise.all(reading)) {
      expect(outcome).toMatchObject({ ok: false, failure: { code: 'bad_request' } });
    }
    expect(await one()).toMatchObject({ ok: true });
  });
});
