/** The gateway's Deno entry as a process of its own, started as `deno task start` starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TOKEN } from './gateway.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The binary that the package for this platform brings, so that nothing depends on an install script having run. */
export function findDeno(): string {
  const libc = process.platform === 'linux' ? '-glibc' : '';
  const name = process.platform === 'win32' ? 'deno.exe' : 'deno';
  const file = `${root}node_modules/@deno/${process.platform}-${process.arch}${libc}/${name}`;
  if (!existsSync(file)) throw new Error(`no Deno for this platform: ${file}`);
  return file;
}

/** The words of `deno task start`, so that the tests run with the permissions that users have. */
export function startCommand(): string[] {
  const { tasks } = JSON.parse(readFileSync(`${root}deno.json`, 'utf8'));
  const [program, ...words] = tasks.start.command.split(' ');
  if (program !== 'deno') throw new Error(`tasks.start runs '${program}'`);
  return words;
}

export interface DenoProcess {
  readonly child: ChildProcess;
  readonly output: { out: string; error: string };
  /** Settles with the exit status, or the name of the signal. */
  readonly exited: Promise<number | string>;
  /** Not `child.kill`: where the tests themselves run on Deno, that makes up the status it ended with. */
  signal(name: 'SIGINT' | 'SIGTERM'): void;
}

/**
 * Ended by the caller.
 *
 * @param env beside what finds Deno's cache.
 * @param entry a file to run, with the same permissions, in place of the gateway's.
 * @param readable a file that it may read on top of those permissions.
 */
export function runDeno(
  args: readonly string[],
  {
    env = {},
    entry,
    readable,
  }: { env?: Readonly<Record<string, string>>; entry?: string; readable?: string | undefined } = {},
): DenoProcess {
  const { PATH = '', HOME = '', DENO_DIR } = process.env;
  const cache = DENO_DIR === undefined ? {} : { DENO_DIR };
  const words = startCommand();
  if (entry !== undefined) words.splice(-1, 1, entry);
  if (readable !== undefined) words.splice(1, 0, `--allow-read=${readable}`);
  const child = spawn(findDeno(), [...words, ...args], {
    cwd: root,
    env: { PATH, HOME, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1', ...cache, MESHSCOPE_TOKEN: TOKEN, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { out: '', error: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output.out += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output.error += chunk;
  });
  const exited = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  const signal = (name: NodeJS.Signals) => {
    if (child.pid !== undefined) process.kill(child.pid, name);
  };
  return { child, output, exited, signal };
}
