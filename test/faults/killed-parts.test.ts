/** What is seen, and what is left, when a part is killed: by real signals to real processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sleep } from '../../src/base/index.ts';
import { encodeRef, type NodePayload, type ProcProperties } from '../../src/contract/index.ts';
import { checkedFetch } from '../support/answers.ts';
import { MAIN, type RunningCli, runCli, type Site, siteOf, startCli, startSite } from '../support/cli.ts';
import { findByCommand, isThere } from '../support/processes.ts';
import { until } from '../support/until.ts';

let folder: string;
let running: RunningCli[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-faults-'));
  running = [];
});

afterEach(async () => {
  for (const cli of running) cli.signal('SIGTERM');
  await Promise.all(running.map((cli) => cli.ended));
  rmSync(folder, { recursive: true, force: true });
});

function start(args: readonly string[], env: Record<string, string> = {}): RunningCli {
  const cli = startCli(args, env);
  running.push(cli);
  return cli;
}

async function site(args: readonly string[]): Promise<Site> {
  const started = await startSite(args);
  running.push(started.cli);
  return started;
}

/** A command that writes the pids of itself and of a grandchild in a session of its own to a file, and stays. */
function familyScript(name: string): { command: string[]; pids: () => Promise<number[]> } {
  const file = path.join(folder, `${name}.pids`);
  const script = path.join(folder, `${name}.py`);
  writeFileSync(
    script,
    `import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
with open(${JSON.stringify(file)} + ".part", "w") as f:
    f.write(f"{os.getpid()} {child.pid}")
os.rename(${JSON.stringify(file)} + ".part", ${JSON.stringify(file)})
time.sleep(1000)
`,
  );
  const pids = () =>
    until(() => {
      try {
        return readFileSync(file, 'utf8').split(' ').map(Number);
      } catch {
        return null;
      }
    }, 'the pids of the family');
  return { command: ['python3', script], pids };
}

async function liveProc(of: Site, name: string): Promise<ProcProperties & { reference: string }> {
  return until(async () => {
    const node = await of.proc(name).catch(() => null);
    if (node === null || !('Proc' in node.properties)) return null;
    return { ...node.properties.Proc, reference: node.identity };
  }, `the proc ${name}`);
}

async function actorOf(of: Site, proc: string): Promise<NodePayload> {
  const node = await of.node(proc);
  return of.node(node.children.find((child) => !child.startsWith('proc_agent')) ?? '');
}

describe('a proc that is killed', () => {
  it('is failed within a second, with signal and last output, and its last state stays readable', async () => {
    const family = familyScript('job');
    const mesh = await site([
      'up',
      '--quiet',
      '--',
      'sh',
      '-c',
      `echo "at step 41" >&2; exec ${family.command.join(' ')}`,
    ]);
    const [pid = 0] = await family.pids();
    const { reference } = await liveProc(mesh, 'sh');
    const killed_ms = performance.now();
    process.kill(pid, 'SIGKILL');
    const failed = await until(async () => {
      const node = await mesh.node(reference);
      return 'Proc' in node.properties && node.properties.Proc.is_poisoned ? node : null;
    }, 'the failure');
    expect(performance.now() - killed_ms).toBeLessThan(1_000);
    expect(failed.properties).toMatchObject({ Proc: { process: { signal: 'SIGKILL', exit_code: null, pid } } });
    const actor = await actorOf(mesh, reference);
    expect(actor.properties).toMatchObject({
      Actor: {
        actor_status: 'failed: process killed by SIGKILL',
        failure_info: { error_message: expect.stringContaining('at step 41'), is_propagated: false },
      },
    });
  });
});

describe('an agent that is killed', () => {
  it('leaves no child behind, answers gateway_timeout with the age of its state, and comes back', async () => {
    const gateway = await site(['gateway']);
    const family = familyScript('worker');
    const args = [
      'agent',
      '--gateway',
      gateway.url,
      '--data',
      gateway.data,
      '--name',
      'gpu-7',
      '--',
      ...family.command,
    ];
    const agent = start(args);
    const pids = await family.pids();
    const { reference } = await liveProc(gateway, 'worker');
    agent.signal('SIGKILL');
    await until(() => !pids.some(isThere), 'the end of the command and its grandchild');

    const answer = await until(async () => {
      const asked = await gateway.ask(`/v1/${encodeRef(reference)}`);
      return asked.status === 504 && asked;
    }, 'the answer 504');
    const { error } = (await answer.json()) as {
      error: { code: string; message: string; details: Record<string, unknown> };
    };
    expect(error).toMatchObject({
      code: 'gateway_timeout',
      message: expect.stringContaining('gpu-7'),
      details: { age_ms: expect.any(Number), last_known: { identity: reference } },
    });
    const { code, stdout } = await runCli(['tree'], gateway.env);
    expect([code, stdout]).toEqual([1, expect.stringContaining('gpu-7')]);
    const byName = await runCli(['stack', 'worker'], gateway.env);
    expect([byName.code, byName.stderr]).toEqual([3, expect.stringContaining('a host that is out of reach: gpu-7')]);

    rmSync(path.join(folder, 'worker.pids'));
    start(args);
    const [again = 0] = await family.pids();
    const back = await until(async () => {
      const proc = await liveProc(gateway, 'worker');
      return proc.process?.pid === again && proc;
    }, 'the mesh being back');
    expect(back.process?.ended_at).toBeNull();
  });
});

describe('a gateway that is away for a while', () => {
  it('loses no event: what was acknowledged is stored, and what was not comes again', async () => {
    const data = path.join(folder, 'data');
    const telemetry = start(['telemetry', '--port', '0', '--data', data]);
    const [, store = ''] = await telemetry.says(/listening on (http:\S+)/);
    const gatewayArgs = (port: string) => ['gateway', '--port', port, '--data', data, '--telemetry', store];
    const first = start(gatewayArgs('0'));
    const gateway = await siteOf(first, data);
    const file = path.join(folder, 'mesh.json');
    // Each copy ends at its own time, before, during and after the gateway's absence.
    writeFileSync(
      file,
      JSON.stringify({ procs: [{ name: 'job', command: ['sh', '-c', 'sleep 0.$((RANK * 3)); exit 9'], procs: 20 }] }),
    );
    start(['agent', '--gateway', gateway.url, '--data', data, '--name', 'host', '--file', file]);
    await until(async () => (await failures(gateway)).length > 0, 'the first failure in the store');
    first.signal('SIGKILL');
    await first.ended;
    const second = start(gatewayArgs(new URL(gateway.url).port));
    const back = await siteOf(second, data);
    const found = await until(async () => {
      const rows = await failures(back).catch(() => []);
      return rows.length >= 20 && rows;
    }, 'all 20 failures in the store');
    expect(found.map(({ name, times }) => [name, times])).toEqual(
      Array.from({ length: 20 }, (_, rank) => [`job-${rank}`, 1]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    );
  });

  async function failures(of: Site): Promise<Record<string, unknown>[]> {
    return of.query(`select a.display_name as name, count(*) as times from actor_status_events e
      join actors a on a.id = e.actor_id where new_status = 'Failed' group by all order by name`);
  }
});

describe('"up"', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
    'ended by %s leaves no process and no socket behind',
    async (signal) => {
      const family = familyScript('job');
      const mesh = await site(['up', '--quiet', '--grace', '1', '--', ...family.command]);
      const pids = await family.pids();
      expect(findByCommand(mesh.data).length).toBeGreaterThanOrEqual(3);
      mesh.cli.signal(signal);
      const { code } = await mesh.cli.ended;
      expect(code).toBe(signal === 'SIGKILL' ? null : 0);
      await until(() => findByCommand(mesh.data).length === 0 && !pids.some(isThere), 'the end of every process');
      await expectFree(Number(new URL(mesh.url).port));
      const again = await startSiteAt(mesh.data);
      await again.stop();
    },
  );

  it('ends at once at a second Ctrl-C, whatever the grace', async () => {
    const trace = path.join(folder, 'deaf');
    const script = `trap '' TERM; echo ready > ${trace}; while :; do sleep 0.05; done`;
    const mesh = await site(['up', '--quiet', '--grace', '600', '--', 'sh', '-c', script]);
    await until(() => existsSync(trace), 'a command that ignores TERM');
    mesh.cli.signal('SIGINT');
    await until(async () => {
      const proc = await mesh.proc('sh');
      if (proc === null) return false;
      return JSON.stringify((await actorOf(mesh, proc.identity)).properties).includes('"stopping"');
    }, 'the first being heard');
    mesh.cli.signal('SIGINT');
    expect((await mesh.cli.ended).code).toBe(0);
    await until(() => findByCommand(mesh.data).length + findByCommand(trace).length === 0, 'the end of every process');
  });

  it('goes on in a terminal that is paused, however much its commands write', async () => {
    const data = path.join(folder, 'data');
    // Runs a command in a terminal, and reads of it no further than to the last line that a start prints.
    const driver = `import os, pty, re, signal, sys
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
text = ""
while "Ctrl-C" not in text: text += os.read(terminal, 65536).decode()
print(re.search(r"listening on (http\\S+)", text).group(1), flush=True)
sys.stdin.read()
os.kill(pid, signal.SIGTERM)
try:
    while os.read(terminal, 65536): pass
except OSError: pass
os.waitpid(pid, 0)
`;
    const python = spawn('python3', [
      '-c',
      driver,
      process.execPath,
      MAIN,
      'up',
      '--port',
      '0',
      '--data',
      data,
      '--',
      'yes',
    ]);
    try {
      const [line] = (await once(python.stdout, 'data')) as [Buffer];
      const url = String(line).trim();
      const headers = { authorization: `Bearer ${readFileSync(path.join(data, 'token'), 'utf8').trim()}` };
      const root = (await (await checkedFetch(`${url}/v1/root`, { headers })).json()) as NodePayload;
      const service = (root.children[0] ?? '').replace('host:host_agent.', '');
      // Long enough for the terminal to be full, at which it stood still before.
      for (let asked = 0; asked < 30; asked += 1) {
        const answer = await checkedFetch(`${url}/v1/config/${encodeRef(service)}`, { headers });
        expect(answer.status).toBe(200);
        await sleep(20);
      }
    } finally {
      python.stdin.end();
      await once(python, 'close');
    }
    await until(() => findByCommand(data).length === 0, 'the end of every process');
  });

  it('interrupted while it starts ends in order and calls it no failure', async () => {
    const data = path.join(folder, 'data');
    const cli = start(['up', '--port', '0', '--data', data, '--quiet', '--', 'sleep', '1000']);
    await until(() => findByCommand(data).some((pid) => commandOf(pid).includes(' agent ')), 'the start of the agent');
    cli.signal('SIGINT');
    const { code, stderr } = await cli.ended;
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('could not be started')]);
    await until(() => findByCommand(data).length === 0, 'the end of every process');
  });

  it('on a data folder that is in use ends at once and says by what', async () => {
    const mesh = await site(['up', '--quiet', '--', 'sleep', '1000']);
    const second = start(['up', '--port', '0', '--data', mesh.data]);
    const { code, stderr } = await second.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/telemetry\.duckdb is in use by process \d+ .*use another data directory/);
  });

  it('starts telemetry again when it is killed, with all that was stored', async () => {
    const mesh = await site(['up', '--quiet', '--', 'sleep', '1000']);
    await until(async () => (await mesh.query('select * from actors')).length > 0, 'rows');
    const [telemetry = 0] = findByCommand(mesh.data).filter((pid) => commandOf(pid).includes(' telemetry '));
    process.kill(telemetry, 'SIGKILL');
    const rows = await until(
      () => mesh.query('select * from actors').catch(() => null),
      'an answer from the new store',
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(mesh.cli.output()).toContain('telemetry ended (SIGKILL); starting it again');
  });
});

/** A second start on the same data folder: no lock was left behind. */
async function startSiteAt(data: string): Promise<Site> {
  const cli = start(['up', '--port', '0', '--data', data, '--quiet', '--', 'sleep', '1000']);
  return siteOf(cli, data);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

async function expectFree(port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}
