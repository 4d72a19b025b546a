/** Every route of the API. A new one is a line here, and its handler in the file of its resource under handlers/. */
import { EVENTS_PATH, LINK_PATH, STORE_PATH } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import type { GatewayPorts } from '../ports.ts';
import { GatewaySelf } from '../self.ts';
import { BodyReader } from './body.ts';
import { describeAdmin } from './handlers/admin.ts';
import { readConfig } from './handlers/config.ts';
import { serveDocument, serveSkill } from './handlers/documents.ts';
import { followEvents } from './handlers/events.ts';
import { checkHealth, exposeMetrics } from './handlers/health.ts';
import { acceptAgent, acceptStore } from './handlers/links.ts';
import { readNode } from './handlers/nodes.ts';
import { takeProfile } from './handlers/profiles.ts';
import { runQuery } from './handlers/query.ts';
import { storeDump, takeDump } from './handlers/stacks.ts';
import { showTree } from './handlers/tree.ts';
import type { Route } from './router.ts';

export function listRoutes(ports: GatewayPorts): readonly Route[] {
  const { identity, documents, mesh, telemetry, openLink, openStore, observer, limits = LIMITS } = ports;
  const bodies = new BodyReader(limits);
  const self = new GatewaySelf(identity);
  const document = (path: string, name: Parameters<typeof serveDocument>[1]): Route => ({
    method: 'GET',
    path,
    level: 'topology',
    handler: serveDocument(documents, name),
  });
  return [
    { method: 'GET', path: '/healthz', level: 'open', handler: checkHealth(mesh, telemetry) },
    { method: 'GET', path: '/metrics', level: 'topology', handler: exposeMetrics(observer) },

    { method: 'GET', path: '/SKILL.md', level: 'topology', handler: serveSkill(documents) },
    document('/v1/schema', 'schema.json'),
    document('/v1/schema/admin', 'schema-admin.json'),
    document('/v1/schema/error', 'schema-error.json'),
    document('/v1/openapi.json', 'openapi.json'),

    { method: 'GET', path: '/v1/admin', level: 'topology', handler: describeAdmin(self) },
    { method: 'GET', path: '/v1/tree', level: 'topology', handler: showTree(mesh) },
    { method: 'GET', path: EVENTS_PATH, level: 'topology', handler: followEvents(mesh) },
    { method: 'GET', path: '/v1/{*reference}', level: 'topology', handler: readNode(mesh, self) },

    {
      method: 'GET',
      path: '/v1/pyspy/{*proc_reference}',
      level: 'inspect',
      audit: 'dump',
      handler: takeDump(mesh, limits),
    },
    {
      method: 'POST',
      path: '/v1/pyspy_dump/{*proc_reference}',
      level: 'inspect',
      audit: 'stored_dump',
      handler: storeDump(mesh, telemetry, limits),
    },
    {
      method: 'POST',
      path: '/v1/pyspy_profile_svg/{*proc_reference}',
      level: 'inspect',
      audit: 'profile',
      handler: takeProfile(mesh, bodies, limits),
    },
    {
      method: 'GET',
      path: '/v1/config/{*proc_reference}',
      level: 'inspect',
      audit: 'config',
      handler: readConfig(mesh, limits),
    },
    { method: 'POST', path: '/v1/query', level: 'inspect', audit: 'query', handler: runQuery(telemetry, bodies) },

    { method: 'GET', path: LINK_PATH, level: 'publish', audit: 'link', handler: acceptAgent(openLink) },
    { method: 'GET', path: STORE_PATH, level: 'store', audit: 'store', handler: acceptStore(openStore) },
  ];
}
