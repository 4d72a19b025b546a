/** The command line's words: what it refuses, what it says, and with which exit code. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRef } from '../../src/contract/index.ts';
import { runCli, type Site, startSite } from '../support/cli.ts';
import { until } from '../support/processes.ts';

let folder: string;
let site: Site;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-cli-'));
  const file = path.join(folder, 'mesh.json');
  const command = ['sh', '-c', 'exec sleep 1000'];
  writeFileSync(
    file,
    JSON.stringify({
      procs: [
        { name: 'trainer', command, procs: 2 },
        { name: 'evaluator', command },
      ],
    }),
  );
  const env = { PYSPY_BIN: '', PATH: '/usr/bin:/bin' };
  site = await startSite(['up', '--name', 'cli-host', '--quiet', '--file', file], env);
  await until(() => site.proc('evaluator'), 'the procs');
});

afterAll(async () => {
  await site.stop();
  rmSync(folder, { recursive: true });
});

describe('help', () => {
  it.each([
    [['--help'], 'Usage: meshscope COMMAND'],
    [['help'], 'Usage: meshscope COMMAND'],
    ...['up', 'agent', 'gateway', 'telemetry', 'tree', 'get', 'stack', 'profile', 'query', 'diagnose'].map(
      (command): [string[], string] => [[command, '--help'], `Usage: meshscope ${command}`],
    ),
  ])('%j tells what there is', async (args, text) => {
    const { code, stdout } = await runCli(args);
    expect([code, stdout]).toEqual([0, expect.stringContaining(text)]);
  });
});

describe('wrong usage ends with 2 and says what is wrong', () => {
  const mesh = (content: unknown): string => {
    const file = path.join(folder, `mesh-${Math.abs(JSON.stringify(content).length)}-${Math.random()}.json`);
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
  };
  it.each<[string, () => string[], string]>([
    ['no command', () => [], ''],
    ['an unknown command', () => ['frobnicate'], 'there is no command "frobnicate"'],
    ['an unknown option', () => ['tree', '--colour'], "Unknown option '--colour'"],
    ['a missing argument', () => ['stack'], 'PROC is missing'],
    ['a surplus argument', () => ['up', 'train.py'], 'behind "--"'],
    ['a command where none goes', () => ['tree', '--', 'x'], 'takes no command'],
    ['a port that is no number', () => ['up', '--port', 'http'], '--port http: must be a whole number from 0 to 65535'],
    ['a port out of range', () => ['up', '--port', '65536'], '--port 65536'],
    ['no copies', () => ['up', '--procs', '0', '--', 'true'], '--procs 0: must be a whole number from 1'],
    ['copies of nothing', () => ['up', '--procs', '2'], '--procs N needs a command'],
    ['an empty command', () => ['up', '--'], 'no command behind "--"'],
    ['a bad pattern', () => ['up', '--watch', '('], '--watch (: not a regular expression'],
    ['an empty pattern', () => ['up', '--watch', ''], 'the pattern is empty'],
    ['a bad pid', () => ['up', '--pid', 'x'], '--pid x: not a process id'],
    ['an unknown level', () => ['up', '--anonymous', 'some'], '--anonymous some: must be one of none, topology, all'],
    ['all for everybody', () => ['up', '--host', '0.0.0.0', '--insecure', '--anonymous', 'all'], 'loopback only'],
    ['a public address', () => ['up', '--host', '0.0.0.0'], '--insecure'],
    ['a bad URL', () => ['tree', '--url', 'gateway'], 'is not a URL of the form'],
    ['no file for a profile', () => ['profile', 'x'], '-o FILE is missing'],
    [
      'a profile of no length',
      () => ['profile', 'x', '-o', '-', '-d', '0'],
      '--duration 0: must be a whole number from 1',
    ],
    ['a profile that is too long', () => ['profile', 'x', '-o', '-', '-d', '301'], '--duration 301'],
    ['a file that is not there', () => ['up', '--file', '/no/such/file'], 'cannot read /no/such/file'],
    ['a file that is not JSON', () => ['up', '--file', mesh('{')], 'not JSON'],
    ['a mesh without procs', () => ['up', '--file', mesh({})], 'procs'],
    ['an empty mesh', () => ['up', '--file', mesh({ procs: [] })], 'procs: must describe at least one proc'],
    ['a proc without a command', () => ['up', '--file', mesh({ procs: [{ name: 'a' }] })], 'procs.0.command'],
    [
      'a field of the wrong type',
      () => ['up', '--file', mesh({ procs: [{ command: ['a'], procs: '4' }] })],
      'procs.0.procs: must be a number',
    ],
    ['an unknown field', () => ['up', '--file', mesh({ procs: [{ command: ['a'], colour: 1 }] })], 'colour'],
    [
      'a name that is none',
      () => ['up', '--file', mesh({ procs: [{ command: ['a'], name: 'Big Job' }] })],
      'procs.0.name: "Big Job" is not a name',
    ],
    [
      'a name used twice',
      () => [
        'up',
        '--file',
        mesh({
          procs: [
            { command: ['a'], name: 'a' },
            { command: ['a'], name: 'a' },
          ],
        }),
      ],
      'procs.1.name: "a" is used twice',
    ],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await runCli(args(), { MESHSCOPE_DATA: path.join(folder, 'unused') });
    expect([code, stdout + stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

describe('a port that is taken', () => {
  const taken = async (server: Server, args: string[]): Promise<string> => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await runCli([...args, '--port', String(port)], {
      MESHSCOPE_DATA: path.join(folder, 'taken'),
    });
    await new Promise((resolve) => server.close(resolve));
    expect(code).toBe(1);
    expect(stderr).toContain(`port ${port} on 127.0.0.1 is taken by`);
    return stderr;
  };

  it('by another gateway is told as such, with what to do', async () => {
    const { port } = new URL(site.url);
    const { code, stderr } = await runCli(['gateway', '--port', port], { MESHSCOPE_DATA: path.join(folder, 'taken') });
    expect([code, stderr]).toEqual([1, expect.stringContaining('taken by another meshscope gateway')]);
    expect(stderr).toContain('--port 0');
  });

  it('by an HTTP server, or by something else, is told as such', async () => {
    const http = createHttpServer((_, response) => response.setHeader('server', 'nginx').end('hello'));
    expect(await taken(http, ['gateway'])).toContain('an HTTP server (nginx)');
    expect(await taken(http, ['telemetry'])).toContain('an HTTP server (nginx)');
    const mute = createServer((socket) => socket.on('data', () => socket.end('220 hello\r\n')));
    expect(await taken(mute, ['gateway'])).toContain('a program that does not answer HTTP');
  });

  it('ends "up" in the same way, with nothing left running', async () => {
    const http = createHttpServer((_, response) => response.end());
    expect(await taken(http, ['up'])).toContain('an HTTP server that is not meshscope');
  });
});

/** An address that was free a moment ago. */
async function nobodyThere(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

describe('asking', () => {
  it('a gateway that is not there ends with 3 and says how to start one', async () => {
    const url = await nobodyThere();
    const { code, stderr } = await runCli(['tree', '--url', url], site.env);
    expect(code).toBe(3);
    expect(stderr).toContain(`cannot reach the gateway at ${url} (connect ECONNREFUSED`);
    expect(stderr).toContain('"meshscope up" starts one');
  });

  it('with a wrong token ends with 4', async () => {
    const { code, stderr } = await runCli(['query', 'select 1'], { ...site.env, MESHSCOPE_TOKEN: 'wrong' });
    expect(code).toBe(4);
    expect(stderr).toContain('token');
  });

  it('without a token ends with 4 and says where one was looked for', async () => {
    const env = { MESHSCOPE_URL: site.url, MESHSCOPE_DATA: path.join(folder, 'nowhere') };
    const { code, stderr } = await runCli(['query', 'select 1'], env);
    expect([code, stderr]).toEqual([4, expect.stringContaining(path.join(folder, 'nowhere', 'token'))]);
  });

  it('for a proc that is not there ends with 5 and says which there are', async () => {
    const { code, stderr } = await runCli(['stack', 'nobody'], site.env);
    expect([code, stderr]).toEqual([5, expect.stringContaining('trainer-0, trainer-1')]);
  });

  it('for a beginning that several have ends with 5 and names them', async () => {
    const { code, stderr } = await runCli(['get', 'train'], site.env);
    expect([code, stderr]).toEqual([5, expect.stringContaining('could be any of: trainer-0, trainer-1')]);
  });

  it('by name, unique beginning, host name or reference gives the same node', async () => {
    const byName = await runCli(['get', 'evaluator'], site.env);
    const node = JSON.parse(byName.stdout);
    expect(node.properties.Proc.proc_name).toBe('evaluator');
    for (const words of ['eval', node.identity]) {
      expect(JSON.parse((await runCli(['get', words], site.env)).stdout).identity).toBe(node.identity);
    }
    expect(JSON.parse((await runCli(['get', 'cli-host'], site.env)).stdout).properties).toHaveProperty('Host');
  });

  it('for a tree shows hosts, procs and ranks, for people and as JSON', async () => {
    const { code, stdout } = await runCli(['tree'], site.env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cli-host {2}4 procs\n/);
    expect(stdout).toMatch(/├── trainer-1 +running .*rank 1 .*sh -c exec sleep 1000\n/);
    expect(JSON.parse((await runCli(['tree', '--json'], site.env)).stdout)[0].children).toHaveLength(4);
  });

  it('for rows shows them as a table, and exact as JSON', async () => {
    const sql = 'select 18446744073709551615::ubigint as big, null as nothing';
    const { code, stdout } = await runCli(['query', sql], site.env);
    expect([code, stdout]).toEqual([0, 'big                   nothing\n18446744073709551615  -\n']);
    expect((await runCli(['query', sql, '--json'], site.env)).stdout).toContain('"big":18446744073709551615');
  });

  it('for what is not a query ends with 1 and the reason', async () => {
    const { code, stderr } = await runCli(['query', 'drop table actors'], site.env);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^meshscope: .+/);
    expect((await site.query('select count(*) as n from actors'))[0]?.n).toBeGreaterThan(0);
  });

  it('for stacks without py-spy says what was searched, and the rest works (PS-3)', async () => {
    const { code, stderr } = await runCli(['stack', 'evaluator'], site.env);
    expect([code, stderr]).toEqual([1, expect.stringContaining('searched: py-spy on PATH')]);
    const reference = (await site.proc('evaluator'))?.identity ?? '';
    const answer = await site.ask(`/v1/pyspy/${encodeRef(reference)}`);
    expect([answer.status, await answer.json()]).toEqual([200, { BinaryNotFound: { searched: ['py-spy on PATH'] } }]);
    const stored = await site.ask(`/v1/pyspy_dump/${encodeRef(reference)}`, { method: 'POST' });
    expect(stored.status).toBe(503);
  });
});

describe('--anonymous', () => {
  it.each([
    ['none', 401, 401],
    ['topology', 200, 401],
    ['all', 200, 200],
  ])('%s lets everybody read so much', async (level, topology, inspect) => {
    const own = await startSite(['up', '--anonymous', level, '--quiet', '--', 'sleep', '1000']);
    try {
      expect((await fetch(`${own.url}/v1/root`)).status).toBe(topology);
      const init = { method: 'POST', body: '{"sql":"select 1"}', headers: { 'content-type': 'application/json' } };
      expect((await fetch(`${own.url}/v1/query`, init)).status).toBe(inspect);
      expect((await fetch(`${own.url}/healthz`)).status).toBe(200);
    } finally {
      await own.stop();
    }
  });
});
