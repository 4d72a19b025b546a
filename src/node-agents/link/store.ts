/** The link of a telemetry service that dials a gateway (contract/store-link.ts). What is served on it is given. */
import { randomUUID } from 'node:crypto';
import {
  STORE_PATH,
  STORE_SUBPROTOCOL,
  STORE_VERSION,
  type StoreFrame,
  StoreGatewayFrame,
} from '../../contract/index.ts';
import type { Connection, DialTls } from './connection.ts';
import { keepDialling } from './redial.ts';

export interface StoreDialOptions {
  /** The gateway's base URL, `http(s)://…`. */
  readonly url: string;
  readonly token: string;
  readonly tls?: DialTls;
  readonly version: string;
  /** Told when a link is open, which is then to be served. */
  readonly onOpen: (connection: Connection<StoreFrame, StoreGatewayFrame>) => void;
  /** Told why a link ended or a dial failed; each different reason once. */
  readonly onTrouble: (message: string, refused: boolean) => void;
}

export interface StoreDialler {
  /** Says `bye` and ends the link; settles when nothing is dialled any more. */
  stop(reason: string): Promise<void>;
}

/** Keeps dialling until it is stopped. */
export function dialStoreLink({ version, ...options }: StoreDialOptions): StoreDialler {
  const dialler = keepDialling<StoreFrame, StoreGatewayFrame>({
    ...options,
    grammar: {
      path: STORE_PATH,
      query: {},
      subprotocol: STORE_SUBPROTOCOL,
      version: STORE_VERSION,
      hello: { type: 'hello', version: STORE_VERSION, incarnation: randomUUID(), service_version: version },
      incoming: StoreGatewayFrame,
    },
    onClosed: () => {},
  });
  return { stop: (reason) => dialler.stop({ type: 'bye', reason }, reason) };
}
