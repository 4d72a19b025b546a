/**
 * `wrangler dev` as a user runs it: the project's own wrangler and its wrangler.toml, on loopback, without an account and
 * without a network. The bundle is made once, so that an edit of the sources during a test reloads nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';
import { bundleWorker } from './workerd.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const READY_WAIT_MS = 60_000;
/** While it starts, wrangler holds a request back for as long as that takes. */
const ASK_WAIT_MS = 5_000;

export interface WranglerDev {
  readonly url: string;
  /** What it has said so far. */
  readonly output: { text: string };
  /** Kills it and starts it again, on the same port and with what it had stored. */
  restart(whileDown?: () => Promise<void>): Promise<void>;
  /** Kills it and removes what it stored. */
  close(): Promise<void>;
}

/** @param variables what wrangler.toml and its secrets would set */
export async function startWranglerDev(variables: Readonly<Record<string, string>>): Promise<WranglerDev> {
  const folder = await mkdtemp(join(tmpdir(), 'meshscope-wrangler-'));
  // The bundle in a folder of its own: wrangler starts anew whenever something changes beside it, state and logs included.
  await writeFile(join(folder, 'wrangler.toml'), configOf(await bundleWorker(join(folder, 'bundle'))));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const output = { text: '' };
  const start = () => serve(folder, port, variables, output);
  let kill = await start();
  return {
    url,
    output,
    restart: async (whileDown = async () => {}) => {
      await kill();
      await whileDown();
      kill = await start();
    },
    close: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The project's own configuration, from another folder and without its build. */
function configOf(bundle: string): string {
  const toml = readFileSync(join(root, 'wrangler.toml'), 'utf8');
  return toml
    .replace(/^main = .*$/m, `main = ${JSON.stringify(bundle)}`)
    .replace(/^\[build\]\n(?:.+\n)*/m, '')
    .replace(/^directory = "(.*)"$/m, (_, folder) => `directory = ${JSON.stringify(join(root, folder))}`);
}

/** One that was free a moment ago: wrangler does not tell which one it picks before it is killed and needs it again. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Gives what kills it. */
async function serve(
  folder: string,
  port: number,
  variables: Readonly<Record<string, string>>,
  output: { text: string },
): Promise<() => Promise<void>> {
  const wrangler = join(root, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
  const place = ['--local', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0'];
  const state = ['--persist-to', join(folder, 'state'), '--show-interactive-dev-session=false'];
  const vars = Object.entries(variables).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
  const child = spawn(process.execPath, [wrangler, 'dev', ...place, ...state, ...vars], {
    cwd: folder,
    // A group of its own, since wrangler starts workerd.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      CI: '1',
      NO_COLOR: '1',
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_LOG_PATH: join(folder, 'logs'),
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    },
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output.text += chunk;
    });
  }
  const closed = once(child, 'close');
  const end = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  process.once('exit', end);
  const kill = async () => {
    end();
    await closed;
    process.off('exit', end);
  };
  try {
    await until(
      () => {
        if (child.exitCode !== null) throw new Error(`wrangler dev ended with ${child.exitCode}: ${output.text}`);
        return fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(ASK_WAIT_MS) }).then(
          ({ ok }) => ok,
          () => false,
        );
      },
      'wrangler dev to serve',
      READY_WAIT_MS,
    );
  } catch (error) {
    await kill();
    throw error;
  }
  return kill;
}
