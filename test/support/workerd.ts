/**
 * The Worker in workerd, Cloudflare's own runtime: bundled as it is deployed, served from a configuration that says what
 * wrangler.toml says, with storage in a temporary folder.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TOKEN } from './gateway.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const modules = join(root, 'node_modules');
const run = promisify(execFile);

const PLATFORMS: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'darwin-64',
  'darwin-arm64': 'darwin-arm64',
  'win32-x64': 'windows-64',
};

/** The binary that the package for this platform brings, so that nothing depends on an install script having run. */
export function findWorkerd(): string {
  const platform = PLATFORMS[`${process.platform}-${process.arch}`];
  const file = join(modules, `@cloudflare/workerd-${platform}`, 'bin', 'workerd');
  if (!existsSync(file)) throw new Error(`no workerd for this platform: ${file}`);
  return file;
}

/** Bundles the Worker into a folder, as wrangler has it done; gives the file. */
export async function bundleWorker(folder: string): Promise<string> {
  await run(process.execPath, [join(root, 'scripts', 'build-worker.mjs'), folder]);
  return join(folder, 'worker.js');
}

export interface WorkerdProcess {
  readonly url: string;
  readonly pid: number;
  readonly output: { text: string };
  /** Kills it, as a machine that fails does; what it stored stays, and `restart` finds it. */
  kill(): Promise<void>;
  /**
   * @param variables new values of some that it was started with; default those
   * @param port default: a free one
   */
  restart(variables?: Readonly<Record<string, string>>, port?: number): Promise<WorkerdProcess>;
  /** Ends it and removes what it stored. */
  close(): Promise<void>;
}

/**
 * Serves a bundle on a free port.
 *
 * @param variables what wrangler.toml and its secrets would set, beside TOKEN as the owner's token
 */
export async function startWorkerd(
  bundle: string,
  variables: Readonly<Record<string, string>> = {},
  address = '127.0.0.1',
): Promise<WorkerdProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'meshscope-workerd-'));
  const env = { MESHSCOPE_TOKEN: TOKEN, ...variables };
  await writeFile(join(folder, 'worker.js'), readFileSync(bundle));
  await writeFile(join(folder, 'config.capnp'), configOf(folder, address, Object.keys(env)));
  return serve(folder, address, env);
}

async function serve(
  folder: string,
  address: string,
  env: Readonly<Record<string, string>>,
  wanted = 0,
): Promise<WorkerdProcess> {
  const host = address.includes(':') ? `[${address}]` : address;
  const words = ['serve', 'config.capnp', '--control-fd=3', `--socket-addr=http=${host}:${wanted}`];
  const child = spawn(findWorkerd(), words, {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output.text += chunk;
    });
  }
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const port = await portOf(child, exited, output);
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  return {
    pid: child.pid ?? 0,
    url: `http://${host}:${port}`,
    output,
    kill,
    restart: async (variables = {}, wanted = 0) => {
      await kill();
      return serve(folder, address, { ...env, ...variables }, wanted);
    },
    close: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function portOf(child: ChildProcess, exited: Promise<void>, output: { text: string }): Promise<number> {
  const control = child.stdio[3] as Readable;
  let text = '';
  const told = new Promise<number>((resolve) => {
    control.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const port = /"event":"listen","socket":"http","port":(\d+)/.exec(text)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
  });
  const failed = exited.then(() => {
    throw new Error(`workerd did not start: ${output.text}`);
  });
  return Promise.race([told, failed]);
}

/** What wrangler.toml says, in workerd's own words. */
function configOf(folder: string, address: string, names: readonly string[]): string {
  const toml = readFileSync(join(root, 'wrangler.toml'), 'utf8');
  const [, date] = /^compatibility_date = (".*")$/m.exec(toml) ?? [];
  const [, flags] = /^compatibility_flags = (\[.*\])$/m.exec(toml) ?? [];
  const classes = [...toml.matchAll(/^name = "(\w+)"\nclass_name = "(\w+)"$/gm)];
  const objects = classes.map(([, , name]) => `(className = "${name}", uniqueKey = "${name}", enableSql = true)`);
  const bindings = [
    '(name = "ASSETS", service = "assets")',
    ...classes.map(([, binding, name]) => `(name = "${binding}", durableObjectNamespace = "${name}")`),
    ...names.map((name) => `(name = "${name}", fromEnvironment = "${name}")`),
  ];
  const host = address.includes(':') ? `[${address}]` : address;
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .gateway),
    (name = "storage", disk = (path = "${folder}", writable = true)),
    (name = "assets", disk = (path = "${join(root, 'assets')}")),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "${host}:0", http = (), service = "main")],
);
const gateway :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = ${date},
  compatibilityFlags = ${flags},
  durableObjectNamespaces = [${objects.join(', ')}],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [${bindings.join(', ')}],
);
`;
}
