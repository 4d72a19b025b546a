import { PySpyResult } from '../../contract/index.ts';
import { CLIENT_HELP, CLIENT_OPTIONS, createClient, readAnswer } from '../client.ts';
import { type Command, flag } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { findProc } from '../names.ts';
import { renderStack } from '../render/stack.ts';

export const command: Command = {
  arguments: ['PROC'],
  options: { ...CLIENT_OPTIONS, locals: { type: 'boolean' }, json: { type: 'boolean' } },
  help: `meshscope stack: what every thread of a proc is doing right now, by py-spy.

Usage: meshscope stack PROC [OPTIONS]

  --locals           the values of local variables too, shortened; they may hold secrets
  --json             the result as the gateway gives it
${CLIENT_HELP}
Examples
  meshscope stack trainer-3
  meshscope stack trainer-3 --json | jq '.Ok.stack_traces[].frames[0].name'
`,
  async run(invocation) {
    const [typed = ''] = invocation.positionals;
    const client = createClient(invocation);
    const answer = await client.stack(await findProc(client, typed), flag(invocation, 'locals'));
    const result = readAnswer(PySpyResult, answer, client.url);
    if (flag(invocation, 'json')) {
      process.stdout.write(`${answer}\n`);
      return 'Ok' in result ? EXIT.ok : EXIT.failure;
    }
    if ('BinaryNotFound' in result) {
      throw new CommandError(
        `py-spy was not found on the proc's host (searched: ${result.BinaryNotFound.searched.join(', ')}); ` +
          'install it there ("pip install py-spy") or set PYSPY_BIN for the agent',
      );
    }
    if ('Failed' in result) {
      const { pid, binary, exit_code, stderr } = result.Failed;
      if (binary === '') throw new CommandError(`${stderr.trimEnd()}; "meshscope why ${typed}" tells more`);
      const how = exit_code === null ? '' : ` (exit code ${exit_code})`;
      throw new CommandError(`py-spy failed on pid ${pid}${how}:\n${stderr.trimEnd()}`);
    }
    process.stdout.write(renderStack(result.Ok));
    return EXIT.ok;
  },
};
