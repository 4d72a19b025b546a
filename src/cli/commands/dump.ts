import { PyspyDumpAndStoreResponse } from '../../contract/index.ts';
import { CLIENT_HELP, CLIENT_OPTIONS, type Client, createClient, readAnswer } from '../client.ts';
import { type Command, flag, type Invocation } from '../command.ts';
import { diffDumps } from '../dumps/diff.ts';
import { findDumpId, readDump, type StoredDump } from '../dumps/read.ts';
import { stringifyExact } from '../exact-json.ts';
import { CommandError, EXIT, usageError } from '../exit.ts';
import { findProc } from '../names.ts';
import { renderDumpDiff, renderStoredDump } from '../render/dumps.ts';

export const command: Command = {
  arguments: ['PROC', 'ID?', 'ID?'],
  options: {
    ...CLIENT_OPTIONS,
    locals: { type: 'boolean' },
    quiet: { type: 'boolean', short: 'q' },
    json: { type: 'boolean' },
  },
  help: `meshscope dump: stack dumps that are kept, to look at later and to compare.

Usage: meshscope dump PROC [--locals] [--quiet] [OPTIONS]
       meshscope dump show ID [OPTIONS]
       meshscope dump diff ID ID [OPTIONS]

"dump PROC" takes the stacks of a proc, stores them, and prints the id and the stacks. "show" prints a stored dump as
"meshscope stack" prints a live one. "diff" tells which threads moved between two dumps and which did not. Of an ID a
unique beginning will do; "meshscope dumps" lists them. A proc whose name is "show" or "diff" is known by its reference.

  --locals           take and store the values of local variables too. They may hold secrets, and whoever may run SQL
                     can read them
  -q, --quiet        print the id alone
  --json             PROC: {"dump_id"}; show: as "meshscope stack --json"; diff: what differs, thread by thread
${CLIENT_HELP}
Examples
  meshscope dump trainer-3
  meshscope dump show 1c9f0a3e
  meshscope dump diff 1c9f0a3e 77b1d2aa
`,
  async run(invocation) {
    const [first = '', ...ids] = invocation.positionals;
    const [one, other] = ids;
    if (first === 'diff') {
      if (one === undefined || other === undefined) throw usageError('ID is missing: meshscope dump diff ID ID');
      rejectTaking(invocation, 'diff');
      return diff(invocation, one, other);
    }
    if (other !== undefined || (one !== undefined && first !== 'show')) {
      throw usageError(`"${other ?? one}" is one argument too many ("meshscope dump --help" tells more)`);
    }
    if (first !== 'show') return take(invocation, first);
    if (one === undefined) throw usageError('ID is missing: meshscope dump show ID');
    rejectTaking(invocation, 'show');
    return show(invocation, one);
  },
};

function rejectTaking(invocation: Invocation, action: string): void {
  for (const name of ['locals', 'quiet']) {
    if (flag(invocation, name)) throw usageError(`--${name} goes with "meshscope dump PROC", not with "${action}"`);
  }
}

async function take(invocation: Invocation, typed: string) {
  const client = createClient(invocation);
  const reference = await findProc(client, typed);
  let answer: string;
  try {
    answer = await client.dump(reference, flag(invocation, 'locals'));
  } catch (error) {
    if (!(error instanceof CommandError) || !error.message.startsWith('no process to look at')) throw error;
    throw new CommandError(`${error.message}; "meshscope why ${typed}" tells more`, error.exitCode);
  }
  const { dump_id } = readAnswer(PyspyDumpAndStoreResponse, answer, client.url);
  if (flag(invocation, 'json')) process.stdout.write(`${answer}\n`);
  else if (flag(invocation, 'quiet')) process.stdout.write(`${dump_id}\n`);
  else process.stdout.write(renderStoredDump(await readBack(client, dump_id), Date.now()));
  return EXIT.ok;
}

/** What is stored stays stored when it cannot be shown: then its id must not be lost. */
async function readBack(client: Client, dump_id: string): Promise<StoredDump> {
  try {
    return await readDump(client, dump_id);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(`the dump is stored as ${dump_id}, but cannot be shown: ${error.message}`, error.exitCode);
  }
}

async function show(invocation: Invocation, typed: string) {
  const client = createClient(invocation);
  const dump = await find(client, typed);
  const isJson = flag(invocation, 'json');
  process.stdout.write(isJson ? `${stringifyExact({ Ok: dump.result })}\n` : renderStoredDump(dump, Date.now()));
  return EXIT.ok;
}

async function diff(invocation: Invocation, one: string, other: string) {
  const client = createClient(invocation);
  const [before, after] = [await find(client, one), await find(client, other)];
  const found = diffDumps(before, after);
  const shown = flag(invocation, 'json')
    ? `${stringifyExact({ before: about(before), after: about(after), ...found }, 2)}\n`
    : renderDumpDiff(before, after, found);
  process.stdout.write(shown);
  return EXIT.ok;
}

async function find(client: Client, typed: string): Promise<StoredDump> {
  return readDump(client, await findDumpId(client, typed));
}

function about({ dump_id, proc_ref, stored_at_ms, result }: StoredDump) {
  const { pid, capture_mode } = result;
  return { dump_id, proc_ref, stored_at: new Date(stored_at_ms).toISOString(), pid, capture_mode };
}
