/** Runs the command line of a clone from its sources, under the project's Node. Shared by `npm start` and bin/. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from './launch.mjs';
import { cloneEnvironment, findNode, noNodeMessage, root } from './runtime.mjs';

/** Resolves with the exit code. `cwd` is where relative paths in `args` are meant from. */
export async function runCli(args, { cwd = process.cwd() } = {}) {
  if (!existsSync(join(root, 'node_modules'))) return fail('dependencies are missing: run npm start or npm ci first');
  const node = findNode();
  if (!node) return fail(noNodeMessage());
  return launch(node, [join(root, 'src', 'cli', 'main.ts'), ...args], { cwd, env: cloneEnvironment() });
}

function fail(message) {
  process.stderr.write(`meshscope: ${message}\n`);
  return 1;
}
