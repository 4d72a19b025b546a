/**
 * The gateway on Cloudflare Workers: the Worker checks who asks and finds the route; Durable Objects (worker-objects.ts)
 * hold the mesh. wrangler.toml names them, worker-options.ts what can be set.
 */
import { timestamp } from '../../../base/index.ts';
import { VERSION } from '../../../contract/index.ts';
import type { Gateway } from '../../http/gateway.ts';
import { headError, targetOf } from '../../http/request-head.ts';
import { failureResponse } from '../../http/respond.ts';
import type { DocumentName } from '../../ports.ts';
import { composeSharded } from '../../shards/compose.ts';
import type { Peer } from '../../shards/peer.ts';
import { readWorkerOptions, type WorkerOptions } from './options.ts';
import { accessOf, log, type ObjectEnvironment, peersOf } from './parts.ts';

export { HubDirectory, HubShard } from './objects.ts';

interface Environment extends ObjectEnvironment {
  /** The files of `assets/`. */
  readonly ASSETS: Peer;
}

let app: Gateway | null = null;

const handler = {
  fetch(request: Request, env: Environment): Response | Promise<Response> {
    const rawPath = targetOf(request);
    const error = headError(request.headers, rawPath.split('?', 1)[0] ?? '');
    if (error !== null) return failureResponse(request, error);
    if (app === null) {
      const options = readWorkerOptions(env);
      if (!options.ok) return failureResponse(request, options.failure);
      app = compose(options.value, env, new URL(request.url).origin);
    }
    return app.fetch(request, { rawPath });
  },
};
export default handler;

function compose(options: WorkerOptions, env: Environment, url: string): Gateway {
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
  return composeSharded({ directory, shards, identity, documents, telemetry, log, access: accessOf(options) });
}
