/**
 * From what a person types to a reference: a full reference, a proc's name, or a beginning that only one proc has.
 *
 * An exact name beats a beginning, and of several procs with one name the one that still runs beats those that ended.
 */
import { type NodePayload, parseNodeRef, procOf, renderRef, uidLabel } from '../contract/index.ts';
import type { Client } from './client.ts';
import { CommandError, EXIT } from './exit.ts';

const SHOWN_MAX = 8;

/** The procs that can be named now, and the hosts whose procs cannot since they are out of reach. */
interface Known {
  readonly candidates: readonly Candidate[];
  readonly lost: readonly string[];
}

interface Candidate {
  readonly name: string;
  readonly reference: string;
}

/** The reference of the proc that `typed` means; an actor reference means its proc. */
export async function findProc(client: Client, typed: string): Promise<string> {
  const ref = parseNodeRef(typed);
  if (ref.ok && ref.value.kind === 'proc') return typed;
  if (ref.ok && ref.value.kind === 'actor') return renderRef(procOf(ref.value));
  return (await findAmong(client, await procs(client), typed)).reference;
}

/** The reference of the node that `typed` means: any reference, a host's address, or a proc's name. */
export async function findNode(client: Client, typed: string): Promise<string> {
  if (parseNodeRef(typed).ok) return typed;
  const root = await client.node('root');
  const hosts = root.children.map((reference) => ({ name: hostName(reference), reference }));
  const exact = hosts.find((host) => host.name === typed);
  if (exact !== undefined) return exact.reference;
  const known = await procs(client);
  return (await findAmong(client, { ...known, candidates: [...known.candidates, ...hosts] }, typed)).reference;
}

async function procs(client: Client): Promise<Known> {
  const root = await client.node('root');
  const hosts = await Promise.all(root.children.map((reference) => client.tryNode(reference)));
  const procsOf = (host: NodePayload): Candidate[] =>
    host.children.map((reference) => ({ name: procName(reference), reference }));
  return {
    candidates: hosts.flatMap((host) => (host instanceof CommandError ? [] : procsOf(host))),
    lost: root.children.filter((_, index) => hosts[index] instanceof CommandError).map(hostName),
  };
}

async function findAmong(client: Client, { candidates, lost }: Known, typed: string): Promise<Candidate> {
  const exact = candidates.filter((candidate) => candidate.name === typed);
  const matches = exact.length > 0 ? exact : candidates.filter((candidate) => candidate.name.startsWith(typed));
  const [first] = matches;
  if (first === undefined) {
    const names = candidates.map((candidate) => candidate.name).sort();
    const known = names.length === 0 ? 'no linked host has any' : `there are: ${listed(names)}`;
    const missing = `there is no proc "${typed}"; ${known}`;
    if (lost.length === 0) throw new CommandError(missing, EXIT.not_found);
    throw new CommandError(`${missing}; it may be on a host that is out of reach: ${listed(lost)}`, EXIT.unreachable);
  }
  if (matches.length === 1) return first;
  const running = exact.length > 0 ? await stillRunning(client, exact) : [];
  if (running.length === 1 && running[0] !== undefined) return running[0];
  const shown = exact.length > 0 ? matches.map((match) => match.reference) : matches.map((match) => match.name);
  throw new CommandError(`"${typed}" could be any of: ${listed(shown)}; type more of it`, EXIT.not_found);
}

async function stillRunning(client: Client, candidates: readonly Candidate[]): Promise<Candidate[]> {
  const nodes = await Promise.all(candidates.map((candidate) => client.tryNode(candidate.reference)));
  return candidates.filter((_, index) => {
    const node = nodes[index];
    if (node === undefined || node instanceof CommandError || !('Proc' in node.properties)) return false;
    return node.properties.Proc.process?.ended_at === null;
  });
}

/** The name of a proc, out of its reference: asking for it would cost a request each. */
export function procName(reference: string): string {
  const ref = parseNodeRef(reference);
  return ref.ok && ref.value.kind === 'proc' ? uidLabel(ref.value.proc) : reference;
}

/** The label of an actor, out of its reference. */
export function actorLabel(reference: string): string {
  const ref = parseNodeRef(reference);
  return ref.ok && ref.value.kind === 'actor' ? uidLabel(ref.value.actor) : reference;
}

export function hostName(reference: string): string {
  const at = reference.indexOf('://');
  return at < 0 ? reference : reference.slice(at + 3);
}

/** Names in a sentence, up to a bound. */
export function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const rest = names.length > SHOWN_MAX ? `, … (${names.length - SHOWN_MAX} more)` : '';
  return names.slice(0, SHOWN_MAX).join(', ') + rest;
}
