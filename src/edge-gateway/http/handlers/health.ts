/** `GET /healthz` and `GET /metrics`: what the gateway counts. */
import type { Mesh, Observer, Telemetry } from '../../ports.ts';
import { failureResponse, jsonResponse, textResponse } from '../respond.ts';
import type { Handler } from '../router.ts';

/** What names of the counts in `/metrics` begin with. */
const METRIC = 'meshscope_gateway_';

export function checkHealth(mesh: Mesh, telemetry: Telemetry | null): Handler {
  return async (c) => {
    const counts = await mesh.health();
    if (!counts.ok) return failureResponse(c.req.raw, counts.failure);
    const hasStore = telemetry !== null && ((await telemetry.absent?.()) ?? null) === null;
    const about = { ok: true, service: 'meshscope-gateway', ...counts.value, telemetry: hasStore };
    return jsonResponse(c.req.raw, JSON.stringify(about));
  };
}

/** @param observer undefined: only the counts of the mesh are shown */
export function exposeMetrics(mesh: Mesh, observer: Observer | undefined): Handler {
  return async (c) => {
    let text = observer?.text();
    if (text === undefined) {
      const counts = await mesh.health();
      if (!counts.ok) return failureResponse(c.req.raw, counts.failure);
      text = Object.entries(counts.value)
        .map(([name, count]) => `# TYPE ${METRIC}${name} gauge\n${METRIC}${name} ${count}\n`)
        .join('');
    }
    return textResponse(c.req.raw, text, 'text/plain; version=0.0.4');
  };
}
