import { CLIENT_HELP, CLIENT_OPTIONS, type Client, createClient } from '../client.ts';
import { type Command, flag } from '../command.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { follow, type View } from '../follow/follow.ts';
import { jsonView, linesView, screenView } from '../follow/views.ts';
import { watchLifecycle } from '../lifecycle.ts';
import { renderTree, type TreeNode } from '../render/tree.ts';
import { walkHosts } from '../walk.ts';

export const command: Command = {
  arguments: [],
  options: {
    ...CLIENT_OPTIONS,
    actors: { type: 'boolean', short: 'a' },
    follow: { type: 'boolean', short: 'f' },
    json: { type: 'boolean' },
  },
  help: `meshscope tree: hosts, procs and what each is doing.

Usage: meshscope tree [OPTIONS]

  -a, --actors       the actors of each proc too, infrastructure included
  -f, --follow       stay and show what changes, until Ctrl-C: on a terminal the tree is drawn again in place, elsewhere
                     one line follows per change ("12:03:04 trainer-3 failed: process killed by SIGKILL", local time)
  --json             a list of hosts, each {"reference", "node", "children"}; "node" is a payload, or a text saying why not;
                     with --follow one event of GET /v1/events per line
${CLIENT_HELP}`,
  async run(invocation) {
    const client = createClient(invocation);
    const [actors, json] = [flag(invocation, 'actors'), flag(invocation, 'json')];
    if (flag(invocation, 'follow')) return followTree(client, actors, json);
    const hosts = await walkHosts(client, 3);
    if (json) {
      process.stdout.write(`${JSON.stringify(hosts, null, 2)}\n`);
    } else {
      process.stdout.write(renderTree(hosts, { actors, now_ms: Date.now() }));
    }
    return hosts.every(isWhole) ? EXIT.ok : EXIT.failure;
  },
};

/** Until Ctrl-C, or until nobody reads what is written any more. */
async function followTree(client: Client, actors: boolean, json: boolean): Promise<ExitCode> {
  const lifecycle = watchLifecycle();
  const ending = new AbortController();
  void lifecycle.stopping.then(() => ending.abort());
  lifecycle.onHurry(() => process.exit(EXIT.failure));
  process.stdout.on('error', () => ending.abort());
  const screen = !json && process.stdout.isTTY ? screenView(client, actors) : null;
  const view: View = screen ?? (json ? jsonView() : linesView(client, actors));
  try {
    await follow(client, view, ending.signal);
  } finally {
    screen?.close();
  }
  return EXIT.ok;
}

/** False when something in the tree could not be had, so that a script notices a host that is gone. */
function isWhole(tree: TreeNode): boolean {
  return typeof tree.node !== 'string' && tree.children.every(isWhole);
}
