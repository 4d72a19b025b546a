/** The real py-spy that tests run: the one that `PYSPY_BIN` names, else the project's own. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Its absolute path. Throws when there is none, since a test that cannot run has failed. */
export function pyspyBinary(): string {
  const own = fileURLToPath(new URL('../../.tools/py-spy/bin/py-spy', import.meta.url));
  const path = process.env.PYSPY_BIN || own;
  if (!existsSync(path))
    throw new Error(`no py-spy at ${path}: run npm test once, which installs it, or set PYSPY_BIN`);
  return path;
}
