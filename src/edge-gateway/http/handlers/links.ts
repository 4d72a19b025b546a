/** The paths where host agents and telemetry services dial in by WebSocket. */
import type { Context } from 'hono';
import { LINK_PATH, STORE_PATH } from '../../../contract/index.ts';
import type { OpenLink, OpenStore } from '../../ports.ts';
import { failureResponse } from '../respond.ts';
import type { Handler } from '../router.ts';

/** `GET /v1/link`, `?host=` naming the host that the link is for. */
export function acceptAgent(openLink: OpenLink): Handler {
  return (c, _, principal) => {
    const host = c.req.query('host') ?? null;
    if (host !== null && principal.hosts?.includes(host) === false) {
      const message = `the token '${principal.name}' may publish ${principal.hosts.join(', ')}, not '${host}'`;
      return failureResponse(c.req.raw, { code: 'forbidden', message });
    }
    // What is kept of a link names the host that it is for, not all that its token may publish.
    const hosts = host === null || principal.hosts === null ? principal.hosts : [host];
    if (asksForWebSocket(c)) return openLink(c, { ...principal, hosts }, host);
    const message = `${LINK_PATH} is where host agents dial in by WebSocket; start one with 'meshscope agent'`;
    return failureResponse(c.req.raw, { code: 'bad_request', message });
  };
}

/** `GET /v1/store`. */
export function acceptStore(openStore: OpenStore): Handler {
  return (c, _, principal) => {
    if (asksForWebSocket(c)) return openStore(c, principal);
    const message = `${STORE_PATH} is where a telemetry service dials in by WebSocket; start one with 'meshscope telemetry --dial'`;
    return failureResponse(c.req.raw, { code: 'bad_request', message });
  };
}

function asksForWebSocket(c: Context): boolean {
  return c.req.header('upgrade')?.toLowerCase() === 'websocket';
}
