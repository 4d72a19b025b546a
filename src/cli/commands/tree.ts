import { CLIENT_HELP, CLIENT_OPTIONS, createClient } from '../client.ts';
import { type Command, flag } from '../command.ts';
import { EXIT } from '../exit.ts';
import { renderTree, type TreeNode } from '../render/tree.ts';
import { walkHosts } from '../walk.ts';

export const command: Command = {
  arguments: [],
  options: { ...CLIENT_OPTIONS, actors: { type: 'boolean', short: 'a' }, json: { type: 'boolean' } },
  help: `meshscope tree: hosts, procs and what each is doing.

Usage: meshscope tree [OPTIONS]

  -a, --actors       the actors of each proc too, infrastructure included
  --json             a list of hosts, each {"reference", "node", "children"}; "node" is a payload, or a text saying why not
${CLIENT_HELP}`,
  async run(invocation) {
    const hosts = await walkHosts(createClient(invocation), 3);
    if (flag(invocation, 'json')) {
      process.stdout.write(`${JSON.stringify(hosts, null, 2)}\n`);
    } else {
      process.stdout.write(renderTree(hosts, { actors: flag(invocation, 'actors'), now_ms: Date.now() }));
    }
    return hosts.every(isWhole) ? EXIT.ok : EXIT.failure;
  },
};

/** False when something in the tree could not be had, so that a script notices a host that is gone. */
function isWhole(tree: TreeNode): boolean {
  return typeof tree.node !== 'string' && tree.children.every(isWhole);
}
