/** `tree --follow` and `/v1/events` on real processes: what is killed is told, and a gateway that goes away is found again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAIN, type RunningCli, runCli, type Site, siteOf, startCli, startSite } from '../../support/cli.ts';
import { EventSource } from '../../support/event-source.ts';
import { until } from '../../support/until.ts';

const NAMES = ['killed-a', 'killed-b', 'killed-c', 'killed-d', 'lives'];

let folder: string;
let site: Site;
const followers: RunningCli[] = [];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-follow-'));
  const file = path.join(folder, 'mesh.json');
  writeFileSync(file, JSON.stringify({ procs: NAMES.map((name) => ({ name, command: ['sleep', '600'] })) }));
  site = await startSite(['up', '--file', file, '--name', 'follow-host', '--quiet']);
  for (const name of NAMES) await pidOf(name);
});

afterAll(async () => {
  await Promise.all(followers.map(interrupt));
  expect((await site.stop()).code).toBe(0);
  rmSync(folder, { recursive: true, force: true });
});

function pidOf(name: string): Promise<number> {
  return until(async () => {
    const node = await site.proc(name);
    return node !== null && 'Proc' in node.properties ? node.properties.Proc.process?.pid : null;
  }, `the pid of ${name}`);
}

function followTree(args: readonly string[] = [], env: Record<string, string> = site.env): RunningCli {
  const cli = startCli(['tree', '--follow', ...args], env);
  followers.push(cli);
  return cli;
}

async function interrupt(cli: RunningCli): Promise<number | null> {
  cli.signal('SIGINT');
  return (await cli.ended).code;
}

describe('a process that is killed', () => {
  it('is told of by /v1/events, with how it ended', async () => {
    const source = await EventSource.open(site.url, undefined, { authorization: `Bearer ${site.token}` });
    await until(() => source.events.length > 0, 'the snapshot');
    const begun_ms = performance.now();
    process.kill(await pidOf('killed-a'), 'SIGKILL');
    const failed = await until(
      () => source.events.find(({ data }) => JSON.stringify(data).includes('failed: process killed by SIGKILL')),
      'the failure',
    );
    expect(performance.now() - begun_ms).toBeLessThan(1_000);
    expect(failed.data).toMatchObject({ type: 'node_changed', kind: 'actor', host: 'follow-host' });
    const proc = source.events.find(({ data }) => data.type === 'node_changed' && data.kind === 'proc');
    expect(proc?.data).toMatchObject({
      status: { Proc: { name: 'killed-a', is_poisoned: true, process: { signal: 'SIGKILL', exit_code: null } } },
    });
    source.close();
  });

  it('is one line of its own below the tree, and Ctrl-C ends with 0', async () => {
    const cli = followTree();
    await cli.says(/lives .*running/);
    process.kill(await pidOf('killed-b'), 'SIGKILL');
    await cli.says(/^\d\d:\d\d:\d\d killed-b failed: process killed by SIGKILL$/m);
    expect(await interrupt(cli)).toBe(0);
    const { stdout, stderr } = await cli.ended;
    expect(stderr).toBe('');
    expect(stdout.match(/^\d\d:\d\d:\d\d .*$/gm)).toHaveLength(1);
  });

  it('is one JSON event per line with --json', async () => {
    const cli = followTree(['--json']);
    await cli.says(/"snapshot"/);
    process.kill(await pidOf('killed-c'), 'SIGKILL');
    await cli.says(/failed: process killed by SIGKILL/);
    expect(await interrupt(cli)).toBe(0);
    const { stdout } = await cli.ended;
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({
      type: 'snapshot',
      reason: 'start',
      id: expect.stringMatching(/^[0-9a-f]{12}\.\d+$/),
    });
    expect(events.some(({ type, kind }) => type === 'node_changed' && kind === 'actor')).toBe(true);
  });

  it('is drawn in place on a terminal', async () => {
    const driver = `import os, pty, signal, sys, threading
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
def end():
    sys.stdin.read()
    os.write(terminal, b"\\x03")
threading.Thread(target=end, daemon=True).start()
try:
    while True:
        data = os.read(terminal, 65536)
        if not data: break
        os.write(1, data)
except OSError: pass
print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
    const python = spawn('python3', ['-c', driver, process.execPath, MAIN, 'tree', '--follow'], {
      env: { ...process.env, MESHSCOPE_TOKEN: undefined, ...site.env },
    });
    let screen = '';
    python.stdout.on('data', (bytes) => {
      screen += bytes;
    });
    const ended = once(python, 'close');
    await until(() => /lives +running/.test(screen), 'the tree');
    process.kill(await pidOf('killed-d'), 'SIGKILL');
    await until(() => /killed-d +failed: process killed by SIGKILL/.test(screen), 'the failure');
    python.stdin.end();
    await ended;
    expect(screen).toMatch(/exit 0\s*$/);
    // Up over what was drawn before, and the cursor given back at the end.
    const codes = screen.replaceAll('\x1b', '<ESC>');
    expect(codes).toMatch(/<ESC>\[\d+A\r<ESC>\[J/);
    expect(codes.lastIndexOf('<ESC>[?25h')).toBeGreaterThan(codes.lastIndexOf('<ESC>[?25l'));
  });
});

describe('a gateway that goes away', () => {
  it('is told of once and found again; a host that dials later is told of then', async () => {
    const data = mkdtempSync(path.join(folder, 'gateway-'));
    const start = (port: string) => siteOf(startCli(['gateway', '--port', port, '--data', data]), data);
    const first = await start('0');
    const { port } = new URL(first.url);
    const cli = followTree([], first.env);
    await cli.says(/no hosts/);
    const agent = startCli([
      'agent',
      '--gateway',
      first.url,
      '--name',
      'roaming',
      '--data',
      data,
      '--pid',
      String(process.pid),
    ]);
    try {
      await cli.says(/host roaming linked/);
      // So that the new gateway is found by the follower first.
      agent.signal('SIGSTOP');
      first.cli.signal('SIGKILL');
      await first.cli.ended;
      await cli.says(/trying again/);
      const second = await start(port);
      await cli.says(/connected again/);
      await cli.says(/host roaming linked[\s\S]*out of reach: not linked/);
      agent.signal('SIGCONT');
      await cli.says(/host roaming linked[\s\S]*out of reach: not linked[\s\S]*host roaming linked/);
      expect(await interrupt(cli)).toBe(0);
      expect((await cli.ended).stderr.match(/trying again/g)).toHaveLength(1);
      second.cli.signal('SIGTERM');
      await second.cli.ended;
    } finally {
      agent.signal('SIGCONT');
      agent.signal('SIGTERM');
      await agent.ended;
      first.cli.signal('SIGKILL');
    }
  });

  it('or was never there, or will not have us, ends the command with its own exit code', async () => {
    const nowhere = await runCli(['tree', '--follow', '--url', 'http://127.0.0.1:1', '--data', folder]);
    expect([nowhere.code, nowhere.stderr]).toEqual([3, expect.stringContaining('cannot reach the gateway')]);
    const wrong = await runCli(['tree', '--follow'], { MESHSCOPE_URL: site.url, MESHSCOPE_TOKEN: 'x'.repeat(20) });
    expect([wrong.code, wrong.stderr]).toEqual([4, expect.stringContaining('token')]);
  });

  it('is no matter to a reader who has seen enough: the command ends with its pipe', async () => {
    const shell = `"$0" "$1" tree --follow --json | head -n 1`;
    const child = spawn('bash', ['-c', `set -o pipefail; ${shell}`, process.execPath, MAIN], {
      env: { ...process.env, MESHSCOPE_TOKEN: undefined, ...site.env },
    });
    const ended = once(child, 'close');
    await once(child.stdout, 'data');
    // Writing to the closed pipe is what tells: something has to happen for that.
    process.kill(await pidOf('lives'), 'SIGKILL');
    expect((await ended)[0]).toBe(0);
  });
});
