/**
 * The gateway on Cloudflare Workers: the Worker checks who asks and finds the route; Durable Objects (worker-objects.ts)
 * hold the mesh. wrangler.toml names them, worker-options.ts what can be set.
 */
import { timestamp } from '../../../base/index.ts';
import { VERSION } from '../../../contract/index.ts';
import type { Gateway } from '../../http/gateway.ts';
import { headError, targetOf } from '../../http/request-head.ts';
import { failureResponse } from '../../http/respond.ts';
import { LIMITS } from '../../limits.ts';
import type { DocumentName } from '../../ports.ts';
import { GatewaySelf } from '../../self.ts';
import { composeSharded } from '../../shards/compose.ts';
import type { Peer } from '../../shards/peer.ts';
import { ShardedMesh } from '../../shards/sharded-mesh.ts';
import { OwnTelemetry } from '../../store/own-telemetry.ts';
import { sha256 } from '../sha256.ts';
import type { ExecutionContext } from './api.ts';
import { readWorkerOptions, type WorkerOptions } from './options.ts';
import { accessOf, log, type ObjectEnvironment, peersOf } from './parts.ts';

export { HubDirectory, HubShard } from './objects.ts';

interface Environment extends ObjectEnvironment {
  /** The files of `assets/`. */
  readonly ASSETS: Peer;
}

/** What lives as long as the isolate does. */
interface Composed {
  readonly app: Gateway;
  readonly own: OwnTelemetry;
}

let composed: Composed | null = null;

const handler = {
  async fetch(request: Request, env: Environment, context: ExecutionContext): Promise<Response> {
    const rawPath = targetOf(request);
    const error = headError(request.headers, rawPath.split('?', 1)[0] ?? '');
    if (error !== null) return failureResponse(request, error);
    if (composed === null) {
      const options = readWorkerOptions(env);
      if (!options.ok) return failureResponse(request, options.failure);
      composed = compose(options.value, env, new URL(request.url).origin);
    }
    const { app, own } = composed;
    const response = await app.fetch(request, { rawPath });
    // A Worker has no time of its own: what it reports about itself goes out behind an answer.
    const sending = own.tick();
    if (sending !== null) context.waitUntil(sending);
    return response;
  },
};
export default handler;

function compose(options: WorkerOptions, env: Environment, url: string): Composed {
  const { directory, shards, telemetry } = peersOf(options, env);
  const { started_by } = options;
  const identity = { url: () => url, started_at: timestamp(Date.now()), started_by, version: VERSION };
  const texts = new Map<DocumentName, string>();
  const documents = async (name: DocumentName) => {
    const known = texts.get(name);
    if (known !== undefined) return known;
    const response = await env.ASSETS.fetch(new Request(`http://assets/${name}`));
    const text = await response.text();
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    texts.set(name, text);
    return text;
  };
  const mesh = new ShardedMesh(shards, directory);
  const counts = async () => {
    const health = await mesh.health();
    return health.ok ? health.value : null;
  };
  const own = new OwnTelemetry({ version: VERSION, log, counts, sha256, limits: LIMITS });
  own.start({ telemetry, actor: new GatewaySelf(identity).adminInfo().actor_id, timer: 'external' });
  const access = accessOf(options);
  const ports = { mesh, directory, shards, identity, documents, telemetry, access, observer: own, log: own.log };
  return { app: composeSharded(ports), own };
}
