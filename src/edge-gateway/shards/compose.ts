/** The gateway over shards, put together out of one set of options: the app that a runtime hands its requests to. */
import type { Log } from '../../base/index.ts';
import { HOST_NAME_MAX_CHARS, hostLocation, locationKey } from '../../contract/index.ts';
import { createGateway, type Gateway } from '../http/gateway.ts';
import { failureResponse } from '../http/respond.ts';
import type { GatewayLimits } from '../limits.ts';
import type {
  AccessPolicy,
  Dialler,
  Documents,
  GatewayIdentity,
  Mesh,
  Observer,
  OpenLink,
  Telemetry,
} from '../ports.ts';
import { DIALLER_HEADER, type Peer } from './peer.ts';
import { shardOf } from './place.ts';

export interface ShardedOptions {
  readonly identity: GatewayIdentity;
  readonly documents: Documents;
  readonly access: AccessPolicy;
  readonly telemetry: Telemetry;
  readonly mesh: Mesh;
  readonly shards: readonly Peer[];
  readonly directory: Peer;
  readonly observer: Observer;
  readonly log: Log;
  /** Default: LIMITS. */
  readonly limits?: GatewayLimits;
}

export function composeSharded(options: ShardedOptions): Gateway {
  const { shards, directory, ...ports } = options;
  const open = (peer: Peer, path: string, request: Request, dialler: Dialler) => {
    const headers = new Headers(request.headers);
    headers.set(DIALLER_HEADER, JSON.stringify(dialler));
    return peer.fetch(new Request(`http://peer${path}`, { headers }));
  };
  const openLink: OpenLink = (c, principal, host) => {
    const [only] = shards;
    const isAnywhere = host === null && shards.length === 1;
    const shard = isAnywhere ? only : shards[shardOf(locationKey(hostLocation(host ?? '')), shards.length)];
    if (shard === undefined || (host === null && !isAnywhere)) {
      const message = 'this gateway is spread over shards: name the host in the query, as in /v1/link?host=gpu-7';
      return failureResponse(c.req.raw, { code: 'bad_request', message });
    }
    // It is kept with the link: one that is too long to be a name need not be whole to be none.
    return open(shard, '/link', c.req.raw, { principal, host: host?.slice(0, HOST_NAME_MAX_CHARS + 1) ?? null });
  };
  return createGateway({
    ...ports,
    openLink,
    openStore: (c, principal) => open(directory, '/store', c.req.raw, { principal, host: null }),
  });
}
