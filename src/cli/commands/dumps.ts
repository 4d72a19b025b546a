import { CLIENT_HELP, CLIENT_OPTIONS, type Client, createClient } from '../client.ts';
import { type Command, flag } from '../command.ts';
import { dumpedProcs, listDumps } from '../dumps/read.ts';
import { CommandError, EXIT } from '../exit.ts';
import { LIMITS } from '../limits.ts';
import { readNumber } from '../listen.ts';
import { listed, procName } from '../names.ts';
import { renderDumpList } from '../render/dumps.ts';

const LIMIT_DEFAULT = 20;

export const command: Command = {
  arguments: ['PROC?'],
  options: { ...CLIENT_OPTIONS, limit: { type: 'string' }, json: { type: 'boolean' } },
  help: `meshscope dumps: the stack dumps that are stored, newest first.

Usage: meshscope dumps [PROC] [OPTIONS]

PROC is a proc's name, a unique beginning of one, or a full reference; it need not run any more. "meshscope dump PROC"
stores a dump, "meshscope dump show ID" shows one; of an ID a unique beginning will do.

  --limit N          how many, 1 to ${LIMITS.dumps_listed_max}, default ${LIMIT_DEFAULT}
  --json             a JSON array, with whole ids
${CLIENT_HELP}
Example
  meshscope dumps trainer-3 --limit 5
`,
  async run(invocation) {
    const limit = readNumber(invocation, 'limit', LIMIT_DEFAULT, 1, LIMITS.dumps_listed_max);
    const [typed] = invocation.positionals;
    const client = createClient(invocation);
    const dumps = await listDumps(client, typed === undefined ? null : await dumpedProcsLike(client, typed), limit);
    if (flag(invocation, 'json')) {
      const shown = dumps.map(({ stored_at_ms, ...dump }) => ({
        ...dump,
        stored_at: new Date(stored_at_ms).toISOString(),
      }));
      process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
    } else if (dumps.length === 0) {
      process.stdout.write('there are no stored dumps; "meshscope dump PROC" stores one\n');
    } else {
      process.stdout.write(renderDumpList(dumps, Date.now()));
    }
    return EXIT.ok;
  },
};

/** A proc that has ended is in no host's list any more, so names are looked up among the procs that have dumps. */
async function dumpedProcsLike(client: Client, typed: string): Promise<string[]> {
  const references = await dumpedProcs(client);
  const exact = references.filter((reference) => reference === typed || procName(reference) === typed);
  if (exact.length > 0) return exact;
  const begun = references.filter((reference) => procName(reference).startsWith(typed));
  const names = [...new Set(begun.map(procName))].sort();
  if (names.length === 1) return begun;
  if (names.length > 1) {
    throw new CommandError(`"${typed}" could be any of: ${listed(names)}; type more of it`, EXIT.not_found);
  }
  const known = [...new Set(references.map(procName))].sort();
  throw new CommandError(
    `there is no stored dump of a proc "${typed}"; there are of: ${listed(known)}`,
    EXIT.not_found,
  );
}
