/**
 * `GET /v1/tree`: the mesh as indented text with a link on every line. Three levels: host, proc, actor; a blank line
 * ends each host. The text is for people, its format is that of the mesh admin API.
 */
import { encodeRef } from '../contract/index.ts';
import type { HostView, Mesh } from './ports.ts';

/** @param base URL that links begin with, without a trailing slash. */
export function renderTree(mesh: Mesh, base: string): string {
  return mesh
    .hosts()
    .map((host) => `${renderHost(host, base)}\n`)
    .join('');
}

function renderHost(host: HostView, base: string): string {
  if (!host.isLinked) return `${host.identity} (unreachable)\n`;
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
  return text;
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
