import type { FlightRecorderEvent, NodePayload } from '../../contract/index.ts';
import { CLIENT_HELP, CLIENT_OPTIONS, createClient } from '../client.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit.ts';
import { findProc } from '../names.ts';
import { formatDuration } from '../render/format.ts';

export const command: Command = {
  arguments: ['PROC'],
  options: { ...CLIENT_OPTIONS },
  help: `meshscope why: how a proc does, why it failed if it did, and what it said last.

Usage: meshscope why PROC [OPTIONS]

Exit code 0 while it runs or when it ended well, 1 when it failed.

${CLIENT_HELP}
Example
  meshscope why trainer-3
`,
  async run(invocation) {
    const client = createClient(invocation);
    const proc = await client.node(await findProc(client, invocation.positionals[0] ?? ''));
    const actors = await Promise.all(proc.children.map((reference) => client.node(reference)));
    const own = actors.filter((actor) => 'Actor' in actor.properties && !actor.properties.Actor.is_system);
    process.stdout.write(
      own.length === 0 ? 'there is no actor but the infrastructure in it\n' : own.map(describe).join('\n'),
    );
    const hasFailed = own.some((actor) => 'Actor' in actor.properties && actor.properties.Actor.failure_info !== null);
    return hasFailed ? EXIT.failure : EXIT.ok;
  },
};

function describe(node: NodePayload): string {
  if (!('Actor' in node.properties)) return '';
  const { actor_status, failure_info, flight_recorder, process: os } = node.properties.Actor;
  const ended = os?.ended_at ?? null;
  const parts = [
    os === undefined ? null : `${os.command.join(' ')}\n`,
    os === undefined
      ? null
      : `pid ${os.pid}, started ${ago(os.started_at)}${ended === null ? '' : `, ended ${ago(ended)}`}\n`,
    failure_info === null ? `${actor_status}\n` : `\n${failure_info.error_message}\n`,
    renderRecorder(flight_recorder),
  ];
  return parts.filter((part) => part !== null).join('');
}

function ago(time: string): string {
  return `${formatDuration(Date.now() - Date.parse(time))} ago`;
}

function renderRecorder(recorder: string | null): string {
  const events: FlightRecorderEvent[] = recorder === null ? [] : JSON.parse(recorder);
  if (events.length === 0) return '';
  const lines = events.map(
    ({ timestamp, target, fields }) => `${timestamp.slice(11, 19)} ${target} ${fields.message ?? ''}\n`,
  );
  return `\nlast output (UTC)\n${lines.join('')}`;
}
