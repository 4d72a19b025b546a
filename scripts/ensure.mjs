/**
 * Makes a clone ready to run, and says nothing when it is.
 *
 *  - npm packages: exactly the lockfile (`npm ci`), again whenever the lockfile changes. The stamp lies inside
 *    node_modules, which `npm ci` removes first, so an installation that was cut off is never taken for a whole one.
 *  - py-spy: the wheel whose hash requirements-py-spy.txt names, into .tools/py-spy and nowhere else, put in place by a
 *    rename. Everything but stacks and profiles works without it, so its absence is one line and no failure.
 *
 * Runs on Node 20 without dependencies. Two at once are kept apart by a lock.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { root, userPath } from './runtime.mjs';

const tools = join(root, '.tools');
const NPM_TIMEOUT_MS = 15 * 60_000;
const PIP_TIMEOUT_MS = 3 * 60_000;
const NPM_ERROR_LINES = 12;
const OUTPUT_MAX_CHARS = 64_000;

const steps = [
  {
    what: 'npm packages',
    source: join(root, 'package-lock.json'),
    stamp: join(root, 'node_modules', '.meshscope-stamp'),
    install: installPackages,
  },
  {
    what: 'py-spy',
    source: join(root, 'requirements-py-spy.txt'),
    stamp: join(tools, 'py-spy', '.meshscope-stamp'),
    install: installPySpy,
    unless: () => Boolean(process.env.PYSPY_BIN),
  },
];

const say = (line) => process.stderr.write(`${line}\n`);
const hashOf = (step) => createHash('sha256').update(readFileSync(step.source)).digest('hex');
const isReady = (step) => existsSync(step.stamp) && readFileSync(step.stamp, 'utf8') === hashOf(step);
const missing = () => steps.filter((step) => !step.unless?.() && !isReady(step));

/** Installs what is missing. Throws, with a message for people, when the npm packages cannot be installed. */
export async function ensure() {
  if (missing().length === 0) return;
  await withLock(
    join(tools, 'install.lock'),
    (pid) => say(`waiting for another installation (process ${pid}) to finish …`),
    async (share) => {
      const todo = missing();
      for (const [index, step] of todo.entries()) await run(step, `[${index + 1}/${todo.length}]`, share);
    },
  );
}

async function run(step, position, share) {
  const started = Date.now();
  const elapsed = () => `${((Date.now() - started) / 1000).toFixed(1)} s`;
  say(`${position} installing ${step.what} …`);
  const ticker = setInterval(() => say(`${position} installing ${step.what} … ${elapsed()}`), 5_000);
  try {
    const hash = hashOf(step);
    if (await step.install(hash, share)) say(`${position} installed ${step.what} in ${elapsed()}`);
  } finally {
    clearInterval(ticker);
  }
}

async function installPackages(hash, share) {
  // Not the Node in node_modules, which npm is about to remove: the one npm itself runs on, found without our tools.
  const env = { ...process.env, PATH: userPath() };
  // No package of ours needs an install script. Engine warnings are about Node 20, which only installs and launches.
  const args = [
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const result = await execute('npm', args, { env, timeout: NPM_TIMEOUT_MS }, share);
  // The cause comes first; what follows is npm's usage and the way to its log.
  const cause = result.output.split('\n').slice(0, NPM_ERROR_LINES).join('\n');
  if (result.failure) throw new Error(`npm ci failed (${result.failure})\n${cause}`.trimEnd());
  writeFileSync(join(root, 'node_modules', '.meshscope-stamp'), hash);
  return true;
}

async function installPySpy(hash, share) {
  const target = join(tools, 'py-spy');
  for (const name of readdirSync(tools)) if (name.startsWith('py-spy-')) rmSync(join(tools, name), { recursive: true });
  const staging = mkdtempSync(join(tools, 'py-spy-'));
  try {
    const requirements = join(root, 'requirements-py-spy.txt');
    const pip = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-input',
      '--disable-pip-version-check',
      '--require-hashes',
      '--no-deps',
    ];
    const args = [...pip, '--only-binary', ':all:', '--target', staging, '-r', requirements];
    // These two pip settings, where a user has made them, forbid --target.
    const env = { ...process.env, PIP_USER: '0', PIP_REQUIRE_VIRTUALENV: '0', PIP_ROOT_USER_ACTION: 'ignore' };
    const result = await execute('python3', args, { env, timeout: PIP_TIMEOUT_MS }, share);
    if (result.failure) {
      const reason = result.output.trim().split('\n').at(-1) || result.failure;
      say(`py-spy could not be installed (${reason}): stacks and profiles will be unavailable`);
      return false;
    }
    writeFileSync(join(staging, '.meshscope-stamp'), hash);
    rmSync(target, { recursive: true, force: true });
    renameSync(staging, target);
    return true;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/**
 * Runs a command to its end and returns what it printed last. A signal to us ends the command first, so that
 * nothing goes on writing behind our back, and then us, through the `finally` blocks above.
 */
function execute(command, args, options, share) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    if (child.pid) share(child.pid);
    let output = '';
    let interrupted;
    const collect = (chunk) => {
      output = (output + chunk).slice(-OUTPUT_MAX_CHARS);
    };
    const interrupt = (signal) => {
      interrupted = signal;
      child.kill('SIGTERM');
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, interrupt);
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const settle = (failure) => {
      for (const signal of signals) process.off(signal, interrupt);
      if (interrupted) reject(new Interrupted(interrupted));
      else resolve({ failure, output });
    };
    child.on('error', (error) => settle(error.code === 'ENOENT' ? `${command} was not found` : error.message));
    child.on('close', (code, signal) => settle(code === 0 ? undefined : (signal ?? `exit code ${code}`)));
  });
}

class Interrupted extends Error {
  constructor(signal) {
    super('installation interrupted; the next start begins it again');
    this.exitCode = 128 + constants.signals[signal];
  }
}
