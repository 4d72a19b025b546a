/** The package as a user gets it: packed, installed in an empty folder, and run by a Node that strips no types there. */
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const execute = promisify(execFile);
const root = new URL('..', import.meta.url).pathname.replace(/\/$/, '');
const folder = mkdtempSync(join(tmpdir(), 'meshscope-package-'));
const installed = join(folder, 'installed');
const command = join(installed, 'node_modules', 'meshscope', 'bin', 'meshscope.mjs');
let contents: string[] = [];

beforeAll(async () => {
  const copy = join(folder, 'copy');
  copySources(copy);
  await npm(copy, 'pack', '--pack-destination', folder);
  const tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? 'no tarball');
  const listing = await execute('tar', ['-tzf', tarball]);
  contents = listing.stdout
    .trim()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''));

  mkdirSync(installed);
  writeFileSync(join(installed, 'package.json'), '{ "private": true }');
  await npm(installed, 'install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', tarball);
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('holds what a user runs and reads, and nothing else', () => {
  const expected = /^(package\.json|README\.md|LICENSE|requirements-py-spy\.txt|(bin|deploy|dist|docs|examples)\/.*)$/;
  expect(contents.filter((path) => !expected.test(path))).toEqual([]);
  expect(contents.filter((path) => /(?<!\.d)\.tsx?$|\.test\.|__pycache__/.test(path))).toEqual([]);
  expect(contents).toEqual(
    expect.arrayContaining(['LICENSE', 'bin/meshscope.mjs', 'dist/cli/main.js', 'examples/demo/mesh.json']),
  );
});

test('does not bring the Node that a clone runs with', () => {
  const packages = readdirSync(join(installed, 'node_modules'));
  expect(packages.filter((name) => name.startsWith('node-') || name === 'meshscope-runtime')).toEqual([]);
});

test('meshscope --version prints the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const { stdout } = await execute(process.execPath, [command, '--version'], { cwd: installed });
  expect(stdout.trim()).toBe(version);
});

test('meshscope --help prints its usage', async () => {
  const { stdout } = await execute(process.execPath, [command, '--help'], { cwd: installed });
  expect(stdout).toMatch(/usage/i);
  expect(stdout).toContain('meshscope');
});

/** Packing builds, so it works on a copy: neither a concurrent run nor the user's own dist/ is in its way. */
function copySources(copy: string): void {
  const left = new Set(['.git', '.meshscope', '.tools', 'coverage', 'dist', 'node_modules', 'test']);
  cpSync(root, copy, { recursive: true, filter: (path) => !left.has(basename(path)) });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
}

/** npm, on its own and in `cwd`: what the surrounding `npm test` tells its children about itself is left out. */
async function npm(cwd: string, ...args: string[]): Promise<void> {
  const env = { ...process.env };
  delete env.npm_config_local_prefix;
  const cli = process.env.npm_execpath;
  const [file, first] = cli && existsSync(cli) ? [process.execPath, [cli]] : ['npm', []];
  try {
    await execute(file, [...first, ...args], { cwd, env });
  } catch (error) {
    // The compiler reports on stdout, which the error's own message leaves out.
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`npm ${args[0]} failed\n${stdout}\n${stderr}`, { cause: error });
  }
}
