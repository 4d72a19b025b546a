/** The `meshscope` command: reads the command line, runs one subcommand, turns its end into an exit code. */

import { parseArgs } from 'node:util';
import { VERSION } from '../contract/index.ts';
import type { Command, Invocation } from './command.ts';
import { CommandError, EXIT, type ExitCode, usageError } from './exit.ts';

const COMMANDS: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  up: () => import('./commands/up.ts'),
  agent: () => import('./commands/agent.ts'),
  gateway: () => import('./commands/gateway.ts'),
  telemetry: () => import('./commands/telemetry.ts'),
  tree: () => import('./commands/tree.ts'),
  get: () => import('./commands/get.ts'),
  stack: () => import('./commands/stack.ts'),
  dump: () => import('./commands/dump.ts'),
  dumps: () => import('./commands/dumps.ts'),
  why: () => import('./commands/why.ts'),
  profile: () => import('./commands/profile.ts'),
  query: () => import('./commands/query.ts'),
  status: () => import('./commands/status.ts'),
  diagnose: () => import('./commands/diagnose.ts'),
  token: () => import('./commands/token.ts'),
};

const HELP = `meshscope: what is my job doing right now, and why is it stuck?

Usage: meshscope COMMAND [OPTIONS]

Run it
  up [-- CMD...]     everything on this machine: gateway, telemetry, an agent and your command (or a demonstration)
  gateway            the HTTP API that agents dial and clients ask
  telemetry          the store behind "query" and stored dumps
  agent              on each host: starts or finds processes and answers for them
  token              makes, lists and revokes the tokens that a gateway takes

Ask it
  tree               hosts, procs and what each is doing; with --follow, as it changes
  get REF            one node as JSON
  stack PROC         what every thread of a proc is doing right now
  dump PROC          the same, stored; "dump show ID" shows one again, "dump diff ID ID" what moved between two
  dumps              the dumps that are stored
  why PROC           how a proc does, why it failed, and what it said last
  profile PROC       a flame graph of a proc over some seconds
  query [SQL]        rows from the telemetry store; without SQL, a prompt
  status             is telemetry complete: gateway, store, spools, losses
  diagnose           is everything reachable, and does the gateway keep its contract?

A PROC is a name ("trainer-3"), a unique beginning of one ("trai"), or a full reference.

Environment
  MESHSCOPE_URL      the gateway, default http://127.0.0.1:1729
  MESHSCOPE_TOKEN    the token, default: the file "token" in the data folder
  MESHSCOPE_DATA     the data folder, default .meshscope
  MESHSCOPE_TLS_CA, MESHSCOPE_TLS_CERT, MESHSCOPE_TLS_KEY
                     files with which to dial an https gateway: whom to trust, and what to show

Exit codes: 0 fine, 1 failure found, 2 wrong usage, 3 gateway not reachable, 4 token missing, wrong or too small, 5 no such node.
"meshscope COMMAND --help" tells more of each.
`;

const COMMON = {
  help: { type: 'boolean', short: 'h' },
} as const;

async function main(args: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === '--version' || name === '-V') {
    process.stdout.write(`${VERSION}\n`);
    return EXIT.ok;
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(HELP);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) throw usageError(`there is no command "${name}"; "meshscope --help" lists them`);
  const { command } = await load();
  const invocation = readInvocation(name, command, rest);
  if (invocation.values.help === true) {
    process.stdout.write(command.help);
    return EXIT.ok;
  }
  checkPositionals(name, command, invocation);
  return command.run(invocation);
}

function readInvocation(name: string, command: Command, args: readonly string[]): Invocation {
  const separator = args.indexOf('--');
  const own = separator < 0 ? args : args.slice(0, separator);
  const rest = separator < 0 ? null : args.slice(separator + 1);
  if (rest !== null && command.takesCommand !== true)
    throw usageError(`"meshscope ${name}" takes no command after "--"`);
  try {
    const { values, positionals } = parseArgs({
      args: [...own],
      options: { ...command.options, ...COMMON },
      allowPositionals: true,
      strict: true,
    });
    return { values: values as Invocation['values'], positionals, rest };
  } catch (error) {
    throw usageError(`${(error as Error).message.split('\n')[0]} ("meshscope ${name} --help" lists the options)`);
  }
}

function checkPositionals(name: string, command: Command, invocation: Invocation): void {
  const required = command.arguments.filter((argument) => !argument.endsWith('?'));
  const missing = required[invocation.positionals.length];
  if (missing !== undefined) throw usageError(`${missing} is missing ("meshscope ${name} --help" tells more)`);
  const extra = invocation.positionals[command.arguments.length];
  if (extra === undefined) return;
  const hint =
    command.takesCommand === true ? ` (a command to run goes behind "--": meshscope ${name} -- ${extra})` : '';
  throw usageError(`"${extra}" is one argument too many${hint}`);
}

let isOutputLost = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that has seen enough (`| head`) is no reason to fall over; a disk that is full is one not to say "fine".
    if (error.code === 'EPIPE') return;
    isOutputLost = true;
    process.exitCode = EXIT.failure;
  });
}

main(process.argv.slice(2))
  .catch((error: unknown) => {
    // What is not a CommandError is a defect of ours, and its stack is what a report of it needs.
    const text = error instanceof CommandError ? error.message : `unexpected failure: ${(error as Error).stack}`;
    process.stderr.write(`meshscope: ${text}\n`);
    return error instanceof CommandError ? error.exitCode : EXIT.failure;
  })
  .then((code) => {
    process.exitCode = isOutputLost ? EXIT.failure : code;
    // The channel to whoever started this as a part of its own would keep it running for ever.
    if (process.connected) process.disconnect();
  });
