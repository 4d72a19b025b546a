/**
 * What live updates tell of a node, and therefore what makes it "changed": names, whether it failed, its process and how
 * that ended, the status of an actor. Not in it, since it moves without news: `as_of`, memory, queues, counters, recorders,
 * and the milliseconds in a status.
 */
import type { LiveProcess, LiveStatus, NodePayload, ProcessInfo } from '../../contract/index.ts';
import type { GatewayLimits } from '../limits.ts';

export function statusOf({ properties }: NodePayload, { live_text_max_chars }: GatewayLimits): LiveStatus | null {
  const cut = (text: string) => cutTo(text, live_text_max_chars);
  if ('Host' in properties) return { Host: { addr: properties.Host.addr } };
  if ('Proc' in properties) {
    const { proc_name, is_poisoned, failed_actor_count, process } = properties.Proc;
    return {
      Proc: { name: proc_name, is_poisoned, failed_actor_count, process: process ? processOf(process, cut) : null },
    };
  }
  if ('Actor' in properties) {
    const { actor_type, actor_status, is_system, failure_info, process } = properties.Actor;
    return {
      Actor: {
        type: actor_type,
        status: cut(withoutRunningTime(actor_status)),
        is_system,
        failure: failure_info === null ? null : cut(failure_info.error_message.split('\n', 1)[0] ?? ''),
        ended_at: process?.ended_at ?? null,
      },
    };
  }
  if ('Error' in properties) return { Error: { code: properties.Error.code, message: cut(properties.Error.message) } };
  return null;
}

/** When the handler that has run longest began; null when none runs. */
export function sinceOf({ properties }: NodePayload): string | null {
  const handlers = 'Actor' in properties ? (properties.Actor.execution?.active_handlers ?? []) : [];
  return handlers.reduce<string | null>(
    (oldest, { oldest_since }) => (oldest === null || oldest_since < oldest ? oldest_since : oldest),
    null,
  );
}

function processOf(process: ProcessInfo, cut: (text: string) => string): LiveProcess {
  const { pid, parent_proc, origin, rank, local_rank, started_at, ended_at, exit_code, signal } = process;
  const command = cut(process.command.join(' '));
  return { pid, parent_proc, origin, command, rank, local_rank, started_at, ended_at, exit_code, signal };
}

function withoutRunningTime(status: string): string {
  return status.replace(/ for \d+ms$/, '');
}

function cutTo(text: string, max_chars: number): string {
  return text.length > max_chars ? `${text.slice(0, max_chars - 1)}…` : text;
}
