/**
 * The two kinds of link, as far as they differ on the wire: the agents' (contract/link.ts) and the store's
 * (contract/store-link.ts). They begin, live and end in the same way.
 */
import type * as v from 'valibot';
import {
  AgentFrame,
  GatewayFrame,
  LINK_PATH,
  LINK_SUBPROTOCOL,
  LINK_VERSION,
  STORE_PATH,
  STORE_SUBPROTOCOL,
  STORE_VERSION,
  StoreFrame,
  StoreGatewayFrame,
} from '../contract/index.ts';

/** `Dialled` are the frames of the side that dials, `Accepted` those of the gateway. */
export interface Grammar<Dialled, Accepted> {
  /** Path below the gateway's base URL. */
  readonly path: string;
  readonly subprotocol: string;
  readonly version: number;
  readonly dialled: v.GenericSchema<unknown, Dialled>;
  readonly accepted: v.GenericSchema<unknown, Accepted>;
  /** What the kind of link, and the side that dials, are called in messages. */
  readonly link: string;
  readonly dialler: string;
}

export const AGENT_LINK: Grammar<AgentFrame, GatewayFrame> = {
  path: LINK_PATH,
  subprotocol: LINK_SUBPROTOCOL,
  version: LINK_VERSION,
  dialled: AgentFrame,
  accepted: GatewayFrame,
  link: 'link',
  dialler: 'agent',
};

export const STORE_LINK: Grammar<StoreFrame, StoreGatewayFrame> = {
  path: STORE_PATH,
  subprotocol: STORE_SUBPROTOCOL,
  version: STORE_VERSION,
  dialled: StoreFrame,
  accepted: StoreGatewayFrame,
  link: 'store link',
  dialler: 'telemetry service',
};
