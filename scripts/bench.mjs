/** `npm run bench:NAME [-- ARGS]`: installs what is missing, then runs bench/NAME.ts under the project's Node. */
import { join } from 'node:path';
import { ensure } from './ensure.mjs';
import { launch } from './launch.mjs';
import { cloneEnvironment, findNode, noNodeMessage, root } from './runtime.mjs';

const [name = '', ...args] = process.argv.slice(2);

try {
  await ensure();
  const node = findNode();
  if (!node) throw new Error(noNodeMessage());
  const options = { cwd: root, env: cloneEnvironment() };
  process.exitCode = await launch(node, [join(root, 'bench', `${name}.ts`), ...args], options);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode ?? 1;
}
