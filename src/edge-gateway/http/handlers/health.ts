/** `GET /healthz` and `GET /metrics`: what the gateway counts. */
import type { Mesh, Observer, Telemetry } from '../../ports.ts';
import { failureResponse, jsonResponse, textResponse } from '../respond.ts';
import type { Handler } from '../router.ts';

export function checkHealth(mesh: Mesh, telemetry: Telemetry | null): Handler {
  return async (c) => {
    const counts = await mesh.health();
    if (!counts.ok) return failureResponse(c.req.raw, counts.failure);
    const hasStore = telemetry !== null && ((await telemetry.absent?.()) ?? null) === null;
    const about = { ok: true, service: 'meshscope-gateway', ...counts.value, telemetry: hasStore };
    return jsonResponse(c.req.raw, JSON.stringify(about));
  };
}

export function exposeMetrics(observer: Observer): Handler {
  return async (c) => textResponse(c.req.raw, await observer.text(), 'text/plain; version=0.0.4');
}
