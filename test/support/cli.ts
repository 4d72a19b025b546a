/** The command line as users run it: real processes of the sources, each with a data folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { parseExact } from '../../src/cli/exact-json.ts';
import { encodeRef, type NodePayload } from '../../src/contract/index.ts';
import { checkedFetch } from './answers.ts';
import { pyspyBinary } from './pyspy-binary.ts';
import { until } from './until.ts';

/** How long a program may take to say something: on a busy machine, a start of many processes takes its time. */
const SAYS_WAIT_MS = 50_000;

export const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
export const DEMO_FOLDER = fileURLToPath(new URL('../../examples/demo', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it has said so far, both streams. */
  readonly output: () => string;
  /** Waits until it has said something that matches; gives the match. */
  readonly says: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly signal: (signal: NodeJS.Signals) => void;
  readonly ended: Promise<Ended>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Starts a command; the test that did so ends it. */
export function startCli(args: readonly string[], env: Environment = {}, cwd?: string, main = MAIN): RunningCli {
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      MESHSCOPE_TOKEN: undefined,
      MESHSCOPE_URL: undefined,
      PYSPY_BIN: pyspyBinary(),
      XDG_STATE_HOME: stateHome(),
      ...env,
    },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes) => {
    stdout += bytes;
  });
  child.stderr.on('data', (bytes) => {
    stderr += bytes;
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  const output = (): string => stdout + stderr;
  return {
    child,
    pid: child.pid ?? 0,
    output,
    says: async (pattern) => {
      try {
        return await until(
          () => {
            const found = pattern.exec(output());
            if (found === null && child.exitCode !== null) throw new Error(`it ended (${child.exitCode})`);
            return found;
          },
          `the output ${pattern}`,
          SAYS_WAIT_MS,
        );
      } catch (error) {
        throw new Error(`${(error as Error).message}; so far: ${output()}`, { cause: error });
      }
    },
    signal: (signal) => child.kill(signal),
    ended,
  };
}

/** Runs a command to its end. */
export function runCli(args: readonly string[], env: Environment = {}): Promise<Ended> {
  return startCli(args, env).ended;
}

/** A running `up`, or a gateway of its own, and how to ask it. */
export interface Site {
  readonly url: string;
  readonly data: string;
  readonly token: string;
  readonly cli: RunningCli;
  /** Environment by which other commands find this site. */
  readonly env: Record<string, string>;
  ask(path: string, init?: RequestInit): Promise<Response>;
  node(reference: string): Promise<NodePayload>;
  /** The proc of a name; null when there is none, or its host cannot be asked. */
  proc(name: string): Promise<NodePayload | null>;
  query(sql: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<Ended>;
}

/** Where agents of this file's tests keep what they would keep in the user's home. */
let state: string | null = null;

function stateHome(): string {
  state ??= mkdtempSync(path.join(tmpdir(), 'meshscope-state-'));
  return state;
}

/** Data folders of sites that a test ended in its own way, which may have looked into them after that. */
const left: string[] = [];

afterAll(() => {
  for (const data of left.splice(0)) rmSync(data, { recursive: true, force: true });
  if (state !== null) rmSync(state, { recursive: true, force: true });
  state = null;
});

/** Runs `up`, or another command that serves a gateway, on a free port, until it is ready. */
export async function startSite(args: readonly string[], env: Environment = {}): Promise<Site> {
  const data = mkdtempSync(path.join(tmpdir(), 'meshscope-site-'));
  left.push(data);
  const [command = '', ...rest] = args;
  const cli = startCli([command, '--port', '0', '--data', data, ...rest], env);
  return siteOf(cli, data);
}

export async function siteOf(cli: RunningCli, data: string): Promise<Site> {
  const [, url = ''] = await cli.says(/listening on (http:\S+)/).catch(async (error: unknown) => {
    // Nobody else would end it.
    cli.signal('SIGTERM');
    await cli.ended;
    throw error;
  });
  const token = readFileSync(path.join(data, 'token'), 'utf8').trim();
  const headers = { authorization: `Bearer ${token}` };
  const site: Site = {
    url,
    data,
    token,
    cli,
    env: { MESHSCOPE_URL: url, MESHSCOPE_DATA: data },
    ask: (where, init = {}) => checkedFetch(url + where, { ...init, headers: { ...headers, ...init.headers } }),
    async node(reference) {
      const answer = await site.ask(`/v1/${encodeRef(reference)}`);
      if (!answer.ok) throw new Error(`${reference}: ${answer.status} ${await answer.text()}`);
      return (await answer.json()) as NodePayload;
    },
    async proc(name) {
      const root = await site.node('root');
      for (const host of root.children) {
        const node = await site.node(host).catch(() => null);
        for (const reference of node?.children ?? []) {
          if (reference === name || reference.startsWith(`${name}<`)) return site.node(reference);
        }
      }
      return null;
    },
    async query(sql) {
      const answer = await site.ask('/v1/query', {
        method: 'POST',
        body: JSON.stringify({ sql }),
        headers: { 'content-type': 'application/json' },
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(text);
      return (parseExact(text) as { rows: Record<string, unknown>[] }).rows;
    },
    async stop() {
      cli.signal('SIGTERM');
      const ended = await cli.ended;
      rmSync(data, { recursive: true, force: true });
      return ended;
    },
  };
  return site;
}

/** Writes a mesh file of the demonstration's scripts, with the failing one quick to fail. */
export function demoSpecs(): { name: string; command: string[]; cwd: string }[] {
  return [
    ['busy', 'busy.py'],
    ['blocked', 'blocked.py'],
    ['alternating', 'alternating.py'],
    ['parent', 'parent.py'],
    ['failing', 'failing.py', '0.2'],
  ].map(([name = '', script = '', ...args]) => ({ name, command: ['python3', script, ...args], cwd: DEMO_FOLDER }));
}
