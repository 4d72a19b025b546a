/** One change of a node in words: `trainer-3 failed: process killed by SIGKILL`. Null for what people need not be told. */
import type { NodePayload, ProcessInfo } from '../../contract/index.ts';
import { LIMITS } from '../limits.ts';
import { actorLabel, procName } from '../names.ts';
import { oneLine } from '../render/format.ts';

export interface Context {
  /** The proc of an actor. */
  readonly proc: NodePayload | undefined;
  /** Infrastructure is told as well, and actors that come and go. */
  readonly showsAll: boolean;
}

export function describeChange(
  before: NodePayload | undefined,
  after: NodePayload | undefined,
  context: Context,
): string | null {
  const { properties, identity } = after ??
    before ?? { properties: { Error: { code: '', message: '' } }, identity: '' };
  if ('Proc' in properties) {
    const { proc_name, process } = properties.Proc;
    if (proc_name === 'service' && !context.showsAll) return null;
    if (after === undefined) return `${proc_name} removed`;
    return before === undefined ? `${proc_name} ${describeStart(process)}` : null;
  }
  if (!('Actor' in properties)) {
    return after !== undefined && 'Error' in properties && describeError(before) !== describeError(after)
      ? `${procName(identity)} ${describeError(after)}`
      : null;
  }
  const { is_system } = properties.Actor;
  if (is_system && !context.showsAll) return null;
  const name = nameOf(identity, is_system, context.proc);
  if (after === undefined) return context.showsAll ? `${name} removed` : null;
  const status = statusOf(after);
  if (status === statusOf(before)) return null;
  // A start is told by its proc; an end that came before we looked is news.
  if (before === undefined && !context.showsAll && !/^(failed|stopped)\b/.test(status)) return null;
  return `${name} ${status}`;
}

/** The name of the proc stands for the actor that is its command, as in the tree. */
function nameOf(identity: string, is_system: boolean, proc: NodePayload | undefined): string {
  const isCommand = !is_system && proc !== undefined && 'Proc' in proc.properties && proc.properties.Proc.process;
  const owner = proc === undefined ? identity.slice(identity.indexOf('.') + 1) : proc.identity;
  return isCommand ? procName(owner) : `${procName(owner)}/${actorLabel(identity)}`;
}

function statusOf(node: NodePayload | undefined): string {
  if (node === undefined || !('Actor' in node.properties)) return '';
  const [line = ''] = node.properties.Actor.actor_status.split('\n', 1);
  return oneLine(line.replace(/\bprocessing for \d+ms$/, 'processing'), 4 * LIMITS.cell_max_chars);
}

function describeError(node: NodePayload | undefined): string {
  if (node === undefined || !('Error' in node.properties)) return '';
  const { code, message } = node.properties.Error;
  return oneLine(`error ${code}: ${message}`, 4 * LIMITS.cell_max_chars);
}

function describeStart(process: ProcessInfo | undefined): string {
  if (process === undefined) return 'started';
  const command = oneLine(process.command.join(' '), LIMITS.cell_max_chars);
  return `${process.origin === 'started' ? 'started' : 'found'}: pid ${process.pid}, ${command}`;
}
