/**
 * Locations: where the thing that a reference names can be reached.
 *
 *     location = *( uid "." ) scheme "://" rest
 *
 * The uids are relay hops, outermost first; the URL is the channel address of the host. A location is only compared
 * and printed here: host names stay opaque, nothing is resolved, no descriptor is adopted.
 */
import { labelError, type Parsed, parsed, parseInstance, renderUid, type Uid, uidKey, unparsed } from './uid.ts';

export type ChannelUrl =
  | { readonly scheme: 'ipc'; readonly name: string }
  | { readonly scheme: 'inproc'; readonly number: bigint }
  | { readonly scheme: HostPortScheme; readonly host: string; readonly port: number };

type HostPortScheme = 'tcp' | 'tls' | 'quic' | 'metatls' | 'metaquic';

export interface Location {
  readonly hops: readonly Uid[];
  readonly url: ChannelUrl;
}

const HOST_PORT_SCHEMES: ReadonlySet<string> = new Set(['tcp', 'tls', 'quic', 'metatls', 'metaquic']);
const PORT_MAX = 65_535;

/** The location of a meshscope host: the host's own name, which is opaque to every client and plain to a reader. */
export function hostLocation(hostName: string): Location {
  return { hops: [], url: { scheme: 'ipc', name: hostName } };
}

export function renderLocation(location: Location): string {
  return location.hops.map((hop) => `${renderUid(hop)}.`).join('') + renderUrl(location.url);
}

export function locationKey(location: Location): string {
  return location.hops.map((hop) => `${uidKey(hop)}.`).join('') + renderUrl(location.url);
}

function renderUrl(url: ChannelUrl): string {
  switch (url.scheme) {
    case 'ipc':
      return `ipc://${url.name}`;
    case 'inproc':
      return `inproc://${url.number}`;
    case 'tcp':
      return `tcp://${url.host.includes(':') ? `[${url.host}]` : url.host}:${url.port}`;
    default:
      return `${url.scheme}://${url.host}:${url.port}`;
  }
}

/** The colon form of a channel address, as host addresses and messages show it: `tcp:10.0.0.5:26600`, `unix:gpu-7`. */
export function renderChannelAddress(url: ChannelUrl): string {
  if (url.scheme === 'ipc') return `unix:${url.name}`;
  if (url.scheme === 'inproc') return `local:${url.number}`;
  return renderUrl(url).replace('://', ':');
}

export function parseLocation(text: string): Parsed<Location> {
  const separator = text.indexOf('://');
  if (separator < 0) return unparsed('invalid location: expected ZMQ URL with `://`');
  let start = separator;
  while (start > 0 && /[A-Za-z]/.test(text.charAt(start - 1))) start -= 1;
  const hops = parseHops(text.slice(0, start));
  if (!hops.ok) return hops;
  const url = parseUrl(text.slice(start, separator), text.slice(separator + 3));
  return url.ok ? parsed({ hops: hops.value, url: url.value }) : url;
}

function parseHops(text: string): Parsed<Uid[]> {
  const hops: Uid[] = [];
  let rest = text;
  while (rest !== '') {
    const head = /^([^.:@!<>]*)(?:<([^.:@!<>]*)(>?))?/.exec(rest);
    const [whole = '', label = '', digits, closing] = head ?? [];
    if (whole === '') return unparsed(`expected "label" or "<", found "${rest.charAt(0)}"`);
    const after = rest.slice(whole.length);
    if (digits !== undefined && closing === '') return unparsed(`expected ">", found ${foundAt(after)}`);
    const hop = digits === undefined ? parseSingleton(label) : parseInstance(label, digits);
    if (!hop.ok) return hop;
    if (!after.startsWith('.')) return unparsed(`expected ".", found ${foundAt(after)}`);
    hops.push(hop.value);
    rest = after.slice(1);
  }
  return parsed(hops);
}

function parseSingleton(label: string): Parsed<Uid> {
  const error = labelError(label);
  return error === null ? parsed({ kind: 'singleton', label }) : unparsed(`invalid label: ${error}`);
}

function foundAt(rest: string): string {
  return rest === '' ? 'end of input' : `"${rest.charAt(0)}"`;
}

function parseUrl(scheme: string, rest: string): Parsed<ChannelUrl> {
  const wrong = (what: string) => unparsed(`invalid location: ${what}`);
  if (scheme === 'ipc') {
    return rest === '' ? wrong('invalid address format: ') : parsed({ scheme: 'ipc', name: rest });
  }
  if (scheme === 'inproc') {
    const number = /^[0-9]{1,20}$/.test(rest) ? BigInt(rest) : null;
    if (number === null || number > 0xffff_ffff_ffff_ffffn) {
      return wrong(`inproc endpoint must be a valid port number: ${rest}`);
    }
    return parsed({ scheme: 'inproc', number });
  }
  if (!HOST_PORT_SCHEMES.has(scheme)) return wrong(`unsupported ZMQ scheme: ${scheme}`);
  const colon = rest.lastIndexOf(':');
  if (colon <= 0) return wrong(`invalid address format: ${rest}`);
  const portText = rest.slice(colon + 1);
  const port = /^[0-9]{1,5}$/.test(portText) ? Number(portText) : Number.NaN;
  if (!(port <= PORT_MAX)) return wrong(`invalid port: ${portText}`);
  const host = normalizeHost(rest.slice(0, colon));
  if (host === null) return wrong(`invalid address format: ${rest}`);
  return parsed({ scheme: scheme as HostPortScheme, host, port });
}

/** Unwraps brackets and writes IPv6 literals in their one canonical form; null when it cannot be a host. */
function normalizeHost(text: string): string | null {
  if (text === '*') return '::';
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!bare.includes(':')) return /^[A-Za-z0-9._-]+$/.test(bare) ? bare : null;
  // Anything else between the brackets could be read as another part of the URL.
  if (!/^[0-9A-Fa-f:.]+$/.test(bare)) return null;
  try {
    return new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  } catch {
    return null;
  }
}
