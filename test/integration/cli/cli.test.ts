/** The command line's words: what it refuses, what it says, and with which exit code. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneLine } from '../../../src/cli/render/format.ts';
import { encodeRef } from '../../../src/contract/index.ts';
import { checkedFetch } from '../../support/answers.ts';
import { MAIN, runCli, type Site, startCli, startSite } from '../../support/cli.ts';
import { until } from '../../support/until.ts';

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
    ...[
      'up',
      'agent',
      'gateway',
      'telemetry',
      'tree',
      'get',
      'stack',
      'dump',
      'dumps',
      'profile',
      'query',
      'diagnose',
    ].map((command): [string[], string] => [[command, '--help'], `Usage: meshscope ${command}`]),
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
    [
      'a proc without a command',
      () => ['up', '--file', mesh({ procs: [{ name: 'a' }] })],
      'procs.0.command: is missing',
    ],
    [
      'a field of the wrong type',
      () => ['up', '--file', mesh({ procs: [{ command: ['a'], procs: '4' }] })],
      'procs.0.procs: must be a number',
    ],
    [
      'an unknown field',
      () => ['up', '--file', mesh({ procs: [{ command: ['a'], colour: 1 }] })],
      'procs.0.colour: there is no such field',
    ],
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

  it.each([
    ['<html>hello</html>', 'its answer is not JSON'],
    ['{}', 'identity'],
    ['{"rows":1}', 'identity'],
  ])('what is no gateway, and answers %s, ends with 3 and says so', async (body, why) => {
    const server = createHttpServer((_, response) => response.end(body));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const words of [['tree'], ['get', 'root'], ['stack', 'x'], ['profile', 'x', '-o', '-']]) {
      const { code, stdout, stderr } = await runCli([...words, '--url', url]);
      expect([words, code, stdout, stderr]).toEqual([words, 3, '', expect.stringContaining('not a meshscope gateway')]);
      expect(stderr).toContain(why);
    }
    expect((await runCli(['query', 'select 1', '--url', url])).code).toBe(3);
    expect((await runCli(['diagnose', '--url', url])).stdout).toContain('NOT healthy');
    await new Promise((resolve) => server.close(resolve));
  });

  it('with a token that no request can carry ends with 2', async () => {
    const { code, stderr } = await runCli(['tree'], { ...site.env, MESHSCOPE_TOKEN: 'tök en' });
    expect([code, stderr]).toEqual([2, expect.stringContaining('the token in MESHSCOPE_TOKEN holds')]);
  });

  it('for a flame graph that cannot be written is told before it is taken', async () => {
    for (const file of [path.join(folder, 'nowhere', 'x.svg'), folder]) {
      const { code, stderr } = await runCli(['profile', 'evaluator', '-o', file], site.env);
      expect([code, stderr]).toEqual([1, expect.stringContaining(`cannot write ${file}`)]);
      expect(stderr).not.toContain('sampling');
    }
  });

  it('reads SQL from standard input', async () => {
    const cli = spawn(process.execPath, [MAIN, 'query', '-', '--json'], { env: { ...process.env, ...site.env } });
    let stdout = '';
    cli.stdout.on('data', (bytes) => {
      stdout += bytes;
    });
    cli.stdin.end('select 41 + 1 as answer');
    expect((await once(cli, 'close'))[0]).toBe(0);
    expect(JSON.parse(stdout).rows).toEqual([{ answer: 42 }]);
  });

  it('with a reader that has gone ends quietly, and with a full disk does not say "fine"', async () => {
    const shell = (script: string) =>
      promisify(execFile)('bash', ['-c', script, 'bash', process.execPath, MAIN], {
        env: { ...process.env, ...site.env },
      });
    const { stdout, stderr } = await shell('"$1" "$2" tree --json | true; echo "$PIPESTATUS"');
    expect([stdout, stderr]).toEqual(['0\n', '']);
    expect((await shell('"$1" "$2" get root > /dev/full; echo $?')).stdout).toBe('1\n');
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
    expect(stdout).toMatch(/^cli-host {2}3 procs\n/);
    expect(stdout).toMatch(/├── trainer-1 +running .*rank 1 .*sh -c exec sleep 1000\n/);
    expect(JSON.parse((await runCli(['tree', '--json'], site.env)).stdout)[0].children).toHaveLength(4);
  });

  it('for why a proc does as it does shows its command, its status and its output', async () => {
    const { code, stdout } = await runCli(['why', 'evaluator'], site.env);
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^sh -c exec sleep 1000\npid \d+, started .* ago\nprocessing for \d+ms\n$/),
    ]);
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

describe('a data folder', () => {
  it('is closed to others when it is made or empty, and refused when it holds other things', async () => {
    const open = path.join(folder, 'open');
    mkdirSync(open, { mode: 0o755 });
    writeFileSync(path.join(open, 'thesis.tex'), '');
    const { code, stderr } = await runCli(['gateway', '--port', '0', '--data', open]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('holds other things')]);
    expect(statSync(open).mode & 0o777).toBe(0o755);
    rmSync(path.join(open, 'thesis.tex'));
    const cli = startCli(['gateway', '--port', '0', '--data', open]);
    await cli.says(/listening on/);
    cli.signal('SIGTERM');
    await cli.ended;
    expect(statSync(open).mode & 0o777).toBe(0o700);
    expect(statSync(path.join(open, 'token')).mode & 0o777).toBe(0o600);
  });

  it('is not where the token is when MESHSCOPE_TOKEN gives one, which must be long enough', async () => {
    const data = path.join(folder, 'given');
    const cli = startCli(['gateway', '--port', '0', '--data', data], { MESHSCOPE_TOKEN: 'x'.repeat(16) });
    await cli.says(/Bearer \$MESHSCOPE_TOKEN"[\s\S]*Token: +MESHSCOPE_TOKEN\n/);
    cli.signal('SIGTERM');
    await cli.ended;
    const { code, stderr } = await runCli(['gateway', '--data', data], { MESHSCOPE_TOKEN: 'x'.repeat(15) });
    expect([code, stderr]).toEqual([2, expect.stringContaining('has 15 characters: must be 16 to 1024')]);
  });
});

describe('what others named', () => {
  it('cannot move the cursor of whoever looks at it', () => {
    expect(oneLine('a\x1b[2Jb\nc\u009bd')).toBe('a [2Jb c d');
    expect([oneLine('abc', 3), oneLine('abcd', 3)]).toEqual(['abc', 'ab…']);
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
      expect((await checkedFetch(`${own.url}/v1/root`)).status).toBe(topology);
      const init = { method: 'POST', body: '{"sql":"select 1"}', headers: { 'content-type': 'application/json' } };
      expect((await checkedFetch(`${own.url}/v1/query`, init)).status).toBe(inspect);
      expect((await checkedFetch(`${own.url}/healthz`)).status).toBe(200);
    } finally {
      await own.stop();
    }
  });
});
