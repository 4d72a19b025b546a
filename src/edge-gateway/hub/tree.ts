/**
 * `GET /v1/tree`: the mesh as indented text with a link on every line. Three levels: host, proc, actor; a blank line
 * ends each host. The text is for people, its format is that of the mesh admin API.
 */
import { encodeRef } from '../../contract/index.ts';
import type { HostView } from '../ports.ts';

const COLLATOR = new Intl.Collator('en', { numeric: true });

/** The order of hosts, here and in the root: `gpu-9` before `gpu-10`. */
export function byHostName(a: { readonly name: string }, b: { readonly name: string }): number {
  return COLLATOR.compare(a.name, b.name);
}

/** @param base URL that links begin with, without a trailing slash. */
export function renderTree(hosts: readonly HostView[], base: string): string {
  return hosts.map((host) => renderHost(host, base)).join('');
}

/** The lines of one host, the blank one after it included. */
export function renderHost(host: HostView, base: string): string {
  if (!host.isLinked) return `${host.identity} (unreachable)\n\n`;
  const line = (prefix: string, label: string, reference: string) =>
    `${prefix}${label}  ->  ${base}/v1/${encodeRef(reference)}\n`;
  let text = line('', host.addr ?? 'host_agent', host.identity);
  const procs = host.node(host.identity)?.children ?? [];
  for (const [p, proc] of procs.entries()) {
    const isLastProc = p === procs.length - 1;
    text += line(isLastProc ? '└── ' : '├── ', procLabel(proc), proc);
    const actors = host.node(proc)?.children ?? [];
    for (const [a, actor] of actors.entries()) {
      const connector = a === actors.length - 1 ? '└── ' : '├── ';
      text += line((isLastProc ? '    ' : '│   ') + connector, actorLabel(actor), actor);
    }
  }
  return `${text}\n`;
}

/** Published references are canonical, so what stands in front of `@` is the rendered id. */
function procLabel(reference: string): string {
  return reference.slice(0, reference.indexOf('@'));
}

function actorLabel(reference: string): string {
  const uid = reference.slice(0, reference.indexOf('.'));
  const bracket = uid.indexOf('<');
  const label = bracket < 0 ? uid : uid.slice(0, bracket);
  return `${label === '' ? '?' : label}[${uid}]`;
}
