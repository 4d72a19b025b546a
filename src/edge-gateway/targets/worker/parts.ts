/** What the Worker and its Durable Objects are made of, out of the same environment. */
import type { Log } from '../../../base/index.ts';
import { VERSION } from '../../../contract/index.ts';
import { createAccess } from '../../access/access.ts';
import type { AccessPolicy, Dialler, Telemetry } from '../../ports.ts';
import { DIALLER_HEADER, type Peer } from '../../shards/peer.ts';
import { telemetryOfPeer } from '../../shards/peer-telemetry.ts';
import { shardOf } from '../../shards/place.ts';
import { telemetryOverHttp } from '../../store/http-store.ts';
import { sha256 } from '../sha256.ts';
import type { DurableObjectNamespace, DurableObjectState } from './api.ts';
import { readWorkerOptions, type WorkerOptions, type WorkerVariables } from './options.ts';

export interface ObjectEnvironment extends WorkerVariables {
  readonly SHARD: DurableObjectNamespace;
  readonly DIRECTORY: DurableObjectNamespace;
}

export const log: Log = {
  info: (message, fields = {}) => console.log(JSON.stringify({ level: 'info', message, ...fields })),
  warn: (message, fields = {}) => console.warn(JSON.stringify({ level: 'warn', message, ...fields })),
};

export function accessOf({ token, tokens, anonymous, allowed_hosts }: WorkerOptions): AccessPolicy {
  const tokenSource = 'the secret MESHSCOPE_TOKEN';
  return createAccess({
    token,
    sha256,
    tokenSource,
    tokens: { tokens: () => tokens },
    anonymous,
    hosts: allowed_hosts,
  });
}

const shardName = (n: number) => `shard-${n}`;

export function peersOf({ shards, telemetry_url, token }: WorkerOptions, env: ObjectEnvironment) {
  const service = telemetry_url === null ? null : telemetryOverHttp({ url: telemetry_url, token });
  const peer = (objects: DurableObjectNamespace, name: string): Peer => ({
    // The stub is made anew for each request, as it belongs to the request that made it.
    fetch: (request) => objects.get(objects.idFromName(name)).fetch(request),
  });
  const directory = peer(env.DIRECTORY, 'directory');
  const telemetry: Telemetry = service ?? telemetryOfPeer(directory);
  return {
    directory,
    service,
    telemetry,
    shards: Array.from({ length: shards }, (_, n) => peer(env.SHARD, shardName(n))),
  };
}

/** What both kinds of objects are made of. */
export function partOf(state: DurableObjectState, env: ObjectEnvironment) {
  const read = readWorkerOptions(env);
  if (!read.ok) throw new Error(read.failure.message);
  const { storage } = state;
  const sql = {
    exec: storage.sql.exec.bind(storage.sql),
    transaction: <T>(run: () => T) => storage.transactionSync(run),
  };
  const { heartbeat_ms, shards } = read.value;
  /** The id of the shard that a host of this location key belongs to, now that there are so many. */
  const homeOf = (key: string) => env.SHARD.idFromName(shardName(shardOf(key, shards))).toString();
  const part = { sql, version: VERSION, log, heartbeat_ms };
  return { ...peersOf(read.value, env), options: read.value, homeOf, part };
}

export function diallerOf(request: Request): Dialler {
  return JSON.parse(request.headers.get(DIALLER_HEADER) ?? 'null');
}
