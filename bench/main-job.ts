/**
 * The main job, measured as its user meets it: `meshscope up` with real Python processes.
 *
 *     node bench/main-job.ts [DUMPS]        PYSPY_BIN must name py-spy; DUMPS is the number of pairs, default 200
 *
 * - start: from the command to the line that says where everything is
 * - memory at rest: resident (RSS) and proportional (PSS, shared pages counted once) of each process
 * - dump: `GET /v1/pyspy/{proc}` against the bare `py-spy dump --json --native` of the same process, in turns
 * - kill: from SIGKILL to the answer that shows the proc as failed
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sleep } from '../src/base/index.ts';
import { encodeRef, type NodePayload } from '../src/contract/index.ts';

const KILLS = 20;
const REST_MS = 8_000;
const DEADLINE_MS = 30_000;
const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const DEMO = fileURLToPath(new URL('../examples/demo', import.meta.url));
const dumps = Number(process.argv[2] ?? 200);
const pyspy = process.env.PYSPY_BIN ?? fileURLToPath(new URL('../.tools/py-spy/bin/py-spy', import.meta.url));
const run = promisify(execFile);

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly token: string;
  readonly start_ms: number;
}

const folder = mkdtempSync(path.join(tmpdir(), 'meshscope-bench-'));
try {
  await measure();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const mesh = path.join(folder, 'mesh.json');
  const procs = [
    { name: 'busy', command: ['python3', 'busy.py'], cwd: DEMO },
    { name: 'target', command: ['sleep', '1000'], procs: KILLS },
  ];
  writeFileSync(mesh, JSON.stringify({ procs }));
  const first = await up(mesh);
  await end(first);
  const site = await up(mesh);
  console.log(`start: ${first.start_ms.toFixed(0)} ms, again ${site.start_ms.toFixed(0)} ms (nothing to install)`);
  await sleep(REST_MS);
  reportMemory(site);
  await reportDumps(site);
  await reportKills(site);
  await end(site);
}

async function up(mesh: string): Promise<Running> {
  const data = path.join(folder, 'data');
  const began_ms = performance.now();
  const child = spawn(process.execPath, [MAIN, 'up', '--port', '0', '--data', data, '--quiet', '--file', mesh], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, PYSPY_BIN: pyspy, NODE_COMPILE_CACHE: path.join(folder, 'compile-cache') },
  });
  let said = '';
  for await (const bytes of child.stdout) {
    said += bytes;
    if (said.includes('Ctrl-C')) break;
  }
  const start_ms = performance.now() - began_ms;
  const url = /http:\/\/\S+/.exec(said)?.[0] ?? '';
  return { child, url, token: readFileSync(path.join(data, 'token'), 'utf8').trim(), start_ms };
}

async function end(site: Running): Promise<void> {
  site.child.kill('SIGTERM');
  if (site.child.exitCode === null) await once(site.child, 'exit');
}

function reportMemory(site: Running): void {
  const pids = [site.child.pid ?? 0, ...childrenOf(site.child.pid ?? 0)];
  const parts = pids.map((pid) => {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kib = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
    return { rss_mb: kib('Rss') / 1024, pss_mb: kib('Pss') / 1024 };
  });
  const sum = (field: 'rss_mb' | 'pss_mb'): string => parts.reduce((total, part) => total + part[field], 0).toFixed(0);
  const each = parts.map((part) => part.rss_mb.toFixed(0)).join(' + ');
  console.log(
    `memory at rest: RSS ${each} = ${sum('rss_mb')} MiB, PSS ${sum('pss_mb')} MiB (gateway, telemetry, agent)`,
  );
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

async function reportDumps(site: Running): Promise<void> {
  const node = await findProc(site, 'busy');
  const pid = 'Proc' in node.properties ? String(node.properties.Proc.process?.pid) : '';
  const through: number[] = [];
  const bare: number[] = [];
  for (let pair = 0; pair < dumps; pair += 1) {
    through.push(
      await timed(async () => {
        const answer = (await (await ask(site, `/v1/pyspy/${encodeRef(node.identity)}`)).json()) as { Ok?: unknown };
        if (answer.Ok === undefined) throw new Error(JSON.stringify(answer));
      }),
    );
    bare.push(await timed(() => run(pyspy, ['dump', '--pid', pid, '--json', '--native'])));
  }
  for (const [name, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    const [ours, theirs] = [quantile(through, share), quantile(bare, share)];
    console.log(
      `dump ${name}: ${ours.toFixed(1)} ms through the gateway, ${theirs.toFixed(1)} ms bare: ` +
        `+${(ours - theirs).toFixed(1)} ms, ratio ${(ours / theirs).toFixed(2)} (${dumps} pairs)`,
    );
  }
}

async function reportKills(site: Running): Promise<void> {
  const seen: number[] = [];
  for (let rank = 0; rank < KILLS; rank += 1) {
    const node = await findProc(site, `target-${rank}`);
    const pid = 'Proc' in node.properties ? (node.properties.Proc.process?.pid ?? 0) : 0;
    const path_ = `/v1/${encodeRef(node.identity)}`;
    seen.push(
      await timed(async () => {
        process.kill(pid, 'SIGKILL');
        const deadline_ms = Date.now() + DEADLINE_MS;
        while (!(await (await ask(site, path_)).text()).includes('"signal":"SIGKILL"')) {
          if (Date.now() > deadline_ms) throw new Error(`${node.identity} was never shown as killed`);
        }
      }),
    );
  }
  console.log(
    `kill to failed at the gateway: p50 ${quantile(seen, 0.5).toFixed(1)} ms, max ${quantile(seen, 1).toFixed(1)} ms (${KILLS} kills)`,
  );
}

async function findProc(site: Running, name: string): Promise<NodePayload> {
  const deadline_ms = Date.now() + DEADLINE_MS;
  while (Date.now() < deadline_ms) {
    const root = (await (await ask(site, '/v1/root')).json()) as NodePayload;
    const host = (await (await ask(site, `/v1/${encodeRef(root.children[0] ?? '')}`)).json()) as NodePayload;
    const reference = host.children.find((child) => child.startsWith(`${name}<`));
    if (reference !== undefined) return (await (await ask(site, `/v1/${encodeRef(reference)}`)).json()) as NodePayload;
  }
  throw new Error(`${name} was never shown`);
}

function ask(site: Running, where: string): Promise<Response> {
  return fetch(site.url + where, { headers: { authorization: `Bearer ${site.token}` } });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began_ms = performance.now();
  await work();
  return performance.now() - began_ms;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
