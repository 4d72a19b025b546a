/** What is needed to dial a gateway, resolved once into one total type. */
import type { GatewayFrame, StoreGatewayFrame } from '../../contract/index.ts';
import type { Grammar } from '../grammar.ts';
import { LINK_LIMITS, type LinkLimits } from '../limits.ts';

/** PEM texts. Default of each: the CAs of the runtime, and no certificate to show. */
export interface DialTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Where to dial and what to show there: the same for every kind of link. */
export interface DialTarget {
  /** The gateway's base URL, `http(s)://…`. */
  readonly url: string;
  /** The token, or what gives it: asked at every dial, so that one that was replaced meanwhile is the one that is shown. */
  readonly token: string | (() => string);
  readonly tls?: DialTls;
  /** Replaces single limits. */
  readonly limits?: Partial<LinkLimits>;
}

export interface DialOptions<Out, In extends GatewayFrame | StoreGatewayFrame> extends DialTarget {
  readonly grammar: Grammar<Out, In>;
  /** The first frame. */
  readonly hello: Out;
  /** Query parameters of the link's URL. Default: none. */
  readonly query?: Readonly<Record<string, string>>;
}

export interface ResolvedDial<Out, In extends GatewayFrame | StoreGatewayFrame> {
  /** `ws(s)://…`, whole. */
  readonly url: string;
  readonly token: () => string;
  readonly tls: DialTls;
  readonly grammar: Grammar<Out, In>;
  readonly hello: Out;
  readonly limits: LinkLimits;
}

/** @throws TypeError when the URL is none */
export function resolveDial<Out, In extends GatewayFrame | StoreGatewayFrame>(
  options: DialOptions<Out, In>,
): ResolvedDial<Out, In> {
  const { url, token, tls = {}, grammar, hello, query = {}, limits = {} } = options;
  return {
    url: linkUrl(url, grammar.path, query),
    token: typeof token === 'string' ? () => token : token,
    tls,
    grammar,
    hello,
    limits: { ...LINK_LIMITS, ...limits },
  };
}

/** The WebSocket URL of a link, below whatever path the gateway's base URL has. */
export function linkUrl(base: string, path: string, query: Readonly<Record<string, string>> = {}): string {
  const url = new URL(base);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.pathname = url.pathname.replace(/\/+$/, '') + path;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}
