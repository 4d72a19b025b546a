/** The telemetry service's link to a gateway that it dials: the service on one side, the dialler of agents on the other. */

import { readFileSync } from 'node:fs';
import { VERSION } from '../contract/index.ts';
import { dialStoreLink, type StoreDialler } from '../node-agents/index.ts';
import { type Requests, serveStoreLink } from '../telemetry/index.ts';
import { requireToken } from './data-dir.ts';
import { usageError } from './exit.ts';
import type { CliLog } from './log.ts';
import type { DialTls } from './tls-options.ts';

/** Where a store dials, and what it shows there. */
export interface StoreDial {
  readonly url: string;
  readonly token: string;
  readonly tls: DialTls | null;
}

/** The token for the gateway: that of the file, else MESHSCOPE_TOKEN, else the data folder's. */
export function readDialToken(file: string | undefined, dir: string): string {
  if (file === undefined) return requireToken(dir);
  let token: string;
  try {
    token = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw usageError(`--token-file: cannot use ${file}: ${(error as Error).message}`);
  }
  // What a gateway takes, and a header can carry.
  if (!/^[\x21-\x7e]{1,1024}$/.test(token))
    throw usageError(`--token-file ${file}: must hold one token and nothing else`);
  return token;
}

/** Dials until it is stopped, and serves every link that comes about. */
export function dialGateway({ url, token, tls }: StoreDial, requests: Requests, log: CliLog): StoreDialler {
  return dialStoreLink({
    url,
    token,
    ...(tls === null ? {} : { tls }),
    version: VERSION,
    onOpen(connection) {
      log.info(`linked to ${url}`);
      serveStoreLink(requests, connection);
    },
    onTrouble(message, refused) {
      const what = refused ? 'the gateway refused this store' : 'no link to the gateway';
      log.warn(`${what} (${url}): ${message}; ${refused ? 'asking again within 15 s' : 'trying again'}`);
    },
  });
}
