/**
 * References: the strings by which every node of a mesh is named and asked for.
 *
 *     node-ref  = "root" | "host:" actor-ref | proc-ref | actor-ref
 *     proc-ref  = uid "@" location
 *     actor-ref = uid "." uid "@" location            ; actor, then proc
 *
 * Reading and printing round-trip (NI-1, HB-2): `renderRef(parse(text))` is the canonical text, which is the only text
 * that meshscope emits, since Monarch's clients read every reference and print it again. Two references are the same
 * node when their {@link refKey}s are equal: instances are compared by number alone, locations in full.
 */
import { type Location, locationKey, parseLocation, renderLocation } from './location.ts';
import {
  labelError,
  type Parsed,
  parsed,
  parseInstance,
  parseUid,
  renderUid,
  type Uid,
  uidKey,
  unparsed,
} from './uid.ts';

export interface ProcRef {
  readonly kind: 'proc';
  readonly proc: Uid;
  readonly location: Location;
}

export interface ActorRef {
  readonly kind: 'actor';
  readonly actor: Uid;
  readonly proc: Uid;
  readonly location: Location;
}

export interface HostRef {
  readonly kind: 'host';
  readonly agent: ActorRef;
}

export interface RootRef {
  readonly kind: 'root';
}

export type NodeRef = RootRef | HostRef | ProcRef | ActorRef;

const ROOT: RootRef = { kind: 'root' };

export function renderRef(ref: NodeRef): string {
  return printRef(ref, renderUid, renderLocation);
}

/** Text that is equal for two references exactly when they name the same node. */
export function refKey(ref: NodeRef): string {
  return printRef(ref, uidKey, locationKey);
}

function printRef(ref: NodeRef, uid: (uid: Uid) => string, location: (location: Location) => string): string {
  switch (ref.kind) {
    case 'root':
      return 'root';
    case 'host':
      return `host:${printRef(ref.agent, uid, location)}`;
    case 'proc':
      return `${uid(ref.proc)}@${location(ref.location)}`;
    case 'actor':
      return `${uid(ref.actor)}.${uid(ref.proc)}@${location(ref.location)}`;
  }
}

/** The proc an actor lives in. */
export function procOf(actor: ActorRef): ProcRef {
  return { kind: 'proc', proc: actor.proc, location: actor.location };
}

/** The actor `uid` in a proc. */
export function actorIn(proc: ProcRef, actor: Uid): ActorRef {
  return { kind: 'actor', actor, proc: proc.proc, location: proc.location };
}

/** The channel location of the host that a reference belongs to: its location without relay hops; null for root. */
export function hostLocationOf(ref: NodeRef): Location | null {
  if (ref.kind === 'root') return null;
  const location = ref.kind === 'host' ? ref.agent.location : ref.location;
  return { hops: [], url: location.url };
}

/** Percent-encodes a reference for use in a path: every byte but `A-Z a-z 0-9 - _ . ~`, hex in upper case. */
export function encodeRef(reference: string): string {
  return encodeURIComponent(reference).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Reads any node reference, as `GET /v1/{reference}` takes it. */
export function parseNodeRef(text: string): Parsed<NodeRef> {
  if (text === '') return unparsed('empty reference string');
  if (text === 'root') return parsed(ROOT);
  if (text.startsWith('host:')) {
    const agent = parseAddress(text.slice('host:'.length), parseActorId);
    return agent.ok ? parsed({ kind: 'host', agent: agent.value }) : unparsed(`invalid host reference: ${agent.error}`);
  }
  return parseAddress(text, parseAnyId);
}

/** Reads a proc reference, as the py-spy, profile, dump and config routes take it. */
export function parseProcRef(text: string): Parsed<ProcRef> {
  return parseAddress(text, parseProcId);
}

/** Reads an actor reference. */
export function parseActorRef(text: string): Parsed<ActorRef> {
  return parseAddress(text, parseActorId);
}

const PORT_REFERENCE = 'port references are not valid node references';

function parseAddress<T extends NodeRef>(
  text: string,
  parseId: (id: string) => Parsed<(location: Location) => T>,
): Parsed<T> {
  const at = text.indexOf('@');
  if (at < 0) return unparsed("missing '@' separator between id and location");
  const id = parseId(text.slice(0, at));
  if (!id.ok) return id.error === PORT_REFERENCE ? id : unparsed(`invalid id: ${id.error}`);
  const location = parseLocation(text.slice(at + 1));
  return location.ok ? parsed(id.value(location.value)) : unparsed(`invalid location: ${location.error}`);
}

/** The most specific form that the text has: port, then actor, then proc. */
function parseAnyId(id: string): Parsed<(location: Location) => NodeRef> {
  if (/[:!]/.test(id)) return parsePortId(id);
  return id.includes('.') ? parseActorId(id) : parseProcId(id);
}

/** Port references name something real, but not a node: they are recognized only to be refused. */
function parsePortId(id: string): { readonly ok: false; readonly error: string } {
  const delimiter = id.search(/[:!]/);
  const [actor, port] = [id.slice(0, delimiter), id.slice(delimiter + 1)];
  if (!actor.includes('.')) return unparsed('invalid port id: expected format `<actor>:<port>`');
  const isControl = id.charAt(delimiter) === '!' && /^(introspect|signal|status)$/.test(port);
  const isPort = /^[0-9]+$/.test(port) || (port.endsWith('>') && parseUid(port).ok);
  return unparsed(isControl || isPort ? PORT_REFERENCE : `invalid port: ${port}`);
}

function parseActorId(id: string): Parsed<(location: Location) => ActorRef> {
  const dot = id.indexOf('.');
  if (dot < 0) return unparsed('invalid actor id: expected format `<actor>.<proc>`');
  const actor = parseUid(id.slice(0, dot));
  if (!actor.ok) return unparsed(`invalid actor uid: ${actor.error}`);
  const proc = parseUid(id.slice(dot + 1));
  if (!proc.ok) return unparsed(`invalid proc uid in actor id: ${proc.error}`);
  return parsed((location) => ({ kind: 'actor', actor: actor.value, proc: proc.value, location }));
}

function parseProcId(id: string): Parsed<(location: Location) => ProcRef> {
  const wrong = (what: string) => unparsed(`invalid proc id: invalid uid syntax: ${what}`);
  const [, label = '', open = '', digits = '', close = '', rest = ''] =
    /^([^.:@!<>]*)(<?)([^.:@!<>]*)(>?)(.*)$/su.exec(id) ?? [];
  if (label === '' && open === '') {
    return wrong(`expected "label" or "<", found ${id === '' ? 'end of input' : `"${id.charAt(0)}"`}`);
  }
  if (open === '') {
    const error = labelError(label);
    if (error !== null) return wrong(`invalid label: ${error}`);
    if (close + rest !== '') return wrong(`expected end of input, found "${(close + rest).charAt(0)}"`);
    return parsed((location) => ({ kind: 'proc', proc: { kind: 'singleton', label }, location }));
  }
  if (close === '') return wrong(`expected ">", found ${rest === '' ? 'end of input' : `"${rest.charAt(0)}"`}`);
  if (rest !== '') return wrong(`expected end of input, found "${rest.charAt(0)}"`);
  const proc = parseInstance(label, digits);
  if (!proc.ok) return wrong(proc.error);
  return parsed((location) => ({ kind: 'proc', proc: proc.value, location }));
}
