import { CLIENT_HELP, CLIENT_OPTIONS, createClient } from '../client.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit.ts';
import { findNode } from '../names.ts';

export const command: Command = {
  arguments: ['REF'],
  options: { ...CLIENT_OPTIONS },
  help: `meshscope get: one node as JSON.

Usage: meshscope get REF [OPTIONS]

REF is "root", a reference as the "children" of a node list them, a proc's name or a host's name.

${CLIENT_HELP}
Examples
  meshscope get root
  meshscope get trainer-3
`,
  async run(invocation) {
    const client = createClient(invocation);
    const node = await client.node(await findNode(client, invocation.positionals[0] ?? ''));
    process.stdout.write(`${JSON.stringify(node, null, 2)}\n`);
    return EXIT.ok;
  },
};
