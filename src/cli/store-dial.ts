/** The telemetry service's link to a gateway that it dials: the service on one side, the dialler of agents on the other. */

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { STORE_VERSION, VERSION } from '../contract/index.ts';
import { keepDialling } from '../link/dialling/index.ts';
import { STORE_LINK } from '../link/index.ts';
import { type Requests, serveStoreLink } from '../telemetry/index.ts';
import { requireToken } from './data-dir.ts';
import { usageError } from './exit.ts';
import type { CliLog } from './log.ts';
import type { DialTls } from './tls-options.ts';

/** Where a store dials, and what it shows there. */
export interface StoreDial {
  readonly url: string;
  /** Asked at every dial. */
  readonly token: () => string;
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

/** A store's end of its link. */
export interface StoreDialler {
  /** Says `bye` and ends the link; settles when nothing is dialled any more. */
  stop(reason: string): Promise<void>;
}

/** Dials until it is stopped, and serves every link that comes about. */
export function dialGateway({ url, token, tls }: StoreDial, requests: Requests, log: CliLog): StoreDialler {
  const hello = {
    type: 'hello' as const,
    version: STORE_VERSION,
    incarnation: randomUUID(),
    service_version: VERSION,
  };
  const dialler = keepDialling(
    { url, token, ...(tls === null ? {} : { tls }), grammar: STORE_LINK, hello },
    {
      onOpen(connection) {
        log.info(`linked to ${url}`);
        serveStoreLink(requests, connection);
      },
      onTrouble(message, refused) {
        const what = refused ? 'the gateway refused this store' : 'no link to the gateway';
        log.warn(`${what} (${url}): ${message}; ${refused ? 'asking again within 15 s' : 'trying again'}`);
      },
    },
  );
  return { stop: (reason) => dialler.stop({ type: 'bye', reason }, reason) };
}
