/** The mesh for people: hosts, procs, what each proc is and how it does. */
import type { ActorProperties, NodePayload, ProcProperties } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import { formatBytes, formatDuration, oneLine } from './format.ts';

export interface TreeNode {
  /** What was asked for; shown when there is no answer. */
  readonly reference: string;
  /** The payload, or why there is none. */
  readonly node: NodePayload | string;
  readonly children: readonly TreeNode[];
}

export interface TreeOptions {
  /** Show the actors of each proc, infrastructure included. */
  readonly actors: boolean;
  readonly now_ms: number;
  /** Show the memory of processes, default true. */
  readonly memory?: boolean;
}

export function renderTree(hosts: readonly TreeNode[], options: TreeOptions): string {
  if (hosts.length === 0) return 'no hosts: no agent has dialled this gateway yet ("meshscope agent --gateway URL")\n';
  return hosts.map((host) => `${hostLine(host, options)}\n${renderProcs(host, options)}`).join('\n');
}

function hostLine(host: TreeNode, options: TreeOptions): string {
  if (typeof host.node === 'string') return `${host.reference}  ${host.node}`;
  const { properties } = host.node;
  if (!('Host' in properties)) return host.reference;
  const count = shownProcs(host, options).length;
  return `${properties.Host.addr.replace(/^[a-z]+:/, '')}  ${count} ${count === 1 ? 'proc' : 'procs'}`;
}

/** The agent's own proc is shown only with the rest of the infrastructure. */
function shownProcs(host: TreeNode, options: TreeOptions): readonly TreeNode[] {
  return host.children.filter((child) => options.actors || !isService(child));
}

function renderProcs(host: TreeNode, options: TreeOptions): string {
  const shown = shownProcs(host, options);
  const width = Math.max(0, ...shown.map((child) => procName(child).length));
  return shown
    .map((child, index) => {
      const isLast = index === shown.length - 1;
      const line = `${isLast ? '└── ' : '├── '}${procName(child).padEnd(width)}  ${describeProc(child, options)}\n`;
      return options.actors ? line + renderActors(child, isLast ? '    ' : '│   ', options) : line;
    })
    .join('');
}

function renderActors(proc: TreeNode, prefix: string, options: TreeOptions): string {
  return proc.children
    .map((child, index) => {
      const connector = index === proc.children.length - 1 ? '└── ' : '├── ';
      const actor = actorOf(child);
      const status = typeof child.node === 'string' ? child.node : actor === null ? '' : describeStatus(actor, options);
      return `${prefix}${connector}${child.reference.split('.')[0]}  ${status}\n`;
    })
    .join('');
}

function isService(child: TreeNode): boolean {
  return procOf(child)?.proc_name === 'service';
}

function procName(child: TreeNode): string {
  return procOf(child)?.proc_name ?? child.reference;
}

function describeProc(child: TreeNode, options: TreeOptions): string {
  const proc = procOf(child);
  if (proc === null) return typeof child.node === 'string' ? child.node : '';
  const { process } = proc;
  const actor = child.children.map(actorOf).find((candidate) => candidate !== null && !candidate.is_system) ?? null;
  const status = actor === null ? '' : describeStatus(actor, options);
  const memory = options.memory === false ? null : formatBytes(proc.debug.memory.process_rss_bytes);
  if (process === undefined) return [status, memory].filter(Boolean).join('  ');
  const parts = [
    status,
    `pid ${process.pid}`,
    process.ended_at === null ? memory : null,
    process.rank === null ? null : `rank ${process.rank}`,
    process.parent_proc === null ? null : `child of ${process.parent_proc.split('<')[0]}`,
    process.origin === 'watched' ? 'watched' : null,
    oneLine(process.command.join(' '), LIMITS.cell_max_chars),
  ];
  return parts.filter((part) => part !== null && part !== '').join('  ');
}

/** The status as people say it: how long it runs, or how and how long ago it ended. */
function describeStatus(actor: ActorProperties, options: TreeOptions): string {
  const since = actor.execution?.active_handlers[0]?.oldest_since;
  if (since !== undefined && actor.process !== undefined) {
    return `running ${formatDuration(options.now_ms - Date.parse(since))}`;
  }
  const ended = actor.process?.ended_at;
  const ago = ended == null ? '' : ` (${formatDuration(options.now_ms - Date.parse(ended))} ago)`;
  return `${oneLine(actor.actor_status.split('\n')[0] ?? '')}${ago}`;
}

function procOf(tree: TreeNode): ProcProperties | null {
  return typeof tree.node !== 'string' && 'Proc' in tree.node.properties ? tree.node.properties.Proc : null;
}

function actorOf(tree: TreeNode): ActorProperties | null {
  return typeof tree.node !== 'string' && 'Actor' in tree.node.properties ? tree.node.properties.Actor : null;
}
