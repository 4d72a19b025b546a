#!/usr/bin/env node
/** The `meshscope` command: built JavaScript in the published package, the sources themselves in a clone. */
import { existsSync, readFileSync } from 'node:fs';

const at = (path) => new URL(path, import.meta.url);

if (existsSync(at('../src/cli/main.ts'))) {
  const { runCli } = await import('../scripts/cli.mjs');
  process.exitCode = await runCli(process.argv.slice(2));
} else if (isSupported()) {
  await import('../dist/cli/main.js');
}

// Asked of the running Node before anything of ours is loaded: a newer syntax or API would fail with a riddle instead.
function isSupported() {
  const wanted = JSON.parse(readFileSync(at('../package.json'), 'utf8')).engines.node;
  const [wantedMajor, wantedMinor] = wanted.replace('>=', '').split('.').map(Number);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return true;
  process.stderr.write(`meshscope needs Node ${wanted}, and this is Node ${process.versions.node}\n`);
  process.exitCode = 1;
  return false;
}
