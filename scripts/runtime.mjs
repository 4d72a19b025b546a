/**
 * Where a clone finds what it runs with: its own Node, its own py-spy, its caches. Runs on Node 20 without dependencies.
 */
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
export const pySpy = join(root, '.tools', 'py-spy', 'bin', 'py-spy');

/** True when `version` ("22.19.1") is at least what `engines.node` of package.json asks for (">=22.19"). */
export function satisfiesEngines(version) {
  const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node;
  const [major, minor] = version.split('.').map(Number);
  const [wantedMajor, wantedMinor] = wanted.replace('>=', '').split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** The pinned Node of this platform, else the Node of the caller when it is new enough, else null. */
export function findNode() {
  const platform = `${process.platform}-${process.arch}`;
  const pinned = [`node-${platform}`, `node-bin-${platform}`]
    .map((name) => join(root, 'node_modules', name, 'bin', 'node'))
    .find(existsSync);
  if (pinned) return pinned;
  return satisfiesEngines(process.versions.node) ? process.execPath : null;
}

export const noNodeMessage = () =>
  `no pinned Node for ${process.platform}-${process.arch}, and this is Node ${process.versions.node}: ` +
  'install Node 24 and run the same command again';

/** PATH without the project's own tools, which npm puts first: what the user typed is to run with the user's PATH. */
export function userPath() {
  const ownTools = join(root, 'node_modules', '.bin');
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((entry) => entry !== ownTools)
    .join(delimiter);
}

/** The caller's environment plus what a clone adds to it. A PYSPY_BIN of the user's wins over ours. */
export function cloneEnvironment() {
  const env = {
    ...process.env,
    PATH: userPath(),
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.cache', 'node-compile'),
  };
  if (!env.PYSPY_BIN && existsSync(pySpy)) env.PYSPY_BIN = pySpy;
  return env;
}
