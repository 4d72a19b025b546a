/** The gateway as a program of Deno's: what is reachable from it, what it may do, and how it starts and ends. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { readDenoOptions } from '../../../src/edge-gateway/targets/deno/options.ts';
import { importsOf } from '../../architecture.ts';
import { type DenoProcess, runDeno, startCommand } from '../../support/deno.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { TOKEN } from '../../support/gateway.ts';
import { bearer, TokensFile, tokenDocument } from '../../support/tokens.ts';
import { until } from '../../support/until.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const ENTRY = startCommand().at(-1) ?? '';
/** Packages that run anywhere. */
const PORTABLE = ['hono', 'hono/hono-base', 'hono/router', 'node:crypto', 'valibot'];

/** Every file and package that is reachable from a file, types aside. */
function reachable(entry: string): { files: Set<string>; packages: Set<string> } {
  const [files, packages] = [new Set([entry]), new Set<string>()];
  for (const file of files) {
    const source = readFileSync(join(root, file), 'utf8').replace(/^(?:import|export) type\b[^;]*;/gm, '');
    for (const specifier of importsOf(source)) {
      if (specifier.startsWith('.')) files.add(join(dirname(file), specifier));
      else packages.add(specifier);
    }
  }
  return { files, packages };
}

describe('the entry', () => {
  it('reaches no module that only Node has', () => {
    const { files, packages } = reachable(ENTRY);
    expect([...packages].filter((name) => !PORTABLE.includes(name))).toEqual([]);
    expect([...files].filter((file) => /targets\/node\//.test(file))).toEqual([]);
    expect(files.size).toBeGreaterThan(20);
    // The same walk does find them where they are.
    expect([...reachable('src/edge-gateway/targets/node/node.ts').packages]).toEqual(
      expect.arrayContaining(['node:http', 'ws', '@hono/node-server']),
    );
  });

  it('may use the network, the variables that it reads and one file, and nothing else', () => {
    const permissions = startCommand().filter((word) => word.startsWith('--allow'));
    expect(permissions.map((word) => word.split('=', 1)[0])).toEqual(['--allow-net', '--allow-env', '--allow-read']);
    expect(permissions).toContain('--allow-read=.meshscope/tokens.json');
    const variables = permissions[1]?.split('=')[1]?.split(',') ?? [];
    const target = join(root, 'src/edge-gateway/targets/deno');
    const source = readdirSync(target)
      .map((name) => readFileSync(join(target, name), 'utf8'))
      .join('\n');
    const read = source.matchAll(/'(MESHSCOPE_[A-Z_]+|USER)'/g);
    expect([...new Set([...read].map(([, name]) => name))].sort()).toEqual([...variables].sort());
  });

  it('is named in deno.json as it lies in the sources', () => {
    expect(relative(root, join(root, ENTRY))).toBe('src/edge-gateway/targets/deno/main.ts');
  });
});

describe('options', () => {
  const read = (args: string[], env: Record<string, string> = {}) =>
    readDenoOptions(args, (name) => ({ MESHSCOPE_TOKEN: TOKEN, ...env })[name]);

  it('have defaults that let only this machine in', () => {
    expect(read([])).toEqual({
      ok: true,
      value: {
        host: '127.0.0.1',
        port: 1729,
        token: TOKEN,
        tokenSource: 'MESHSCOPE_TOKEN',
        allowed_hosts: [],
        anonymous: 'topology',
        telemetry_url: null,
        tokens_file: null,
      },
    });
  });

  it('come from flags first, then from variables; an empty variable is none', () => {
    const env = { MESHSCOPE_PORT: '7', MESHSCOPE_HOST: '', MESHSCOPE_TELEMETRY: 'http://127.0.0.1:9' };
    expect(read(['--port=8'], env)).toMatchObject({ value: { port: 8, host: '127.0.0.1' } });
    expect(read([], env)).toMatchObject({ value: { port: 7, telemetry_url: 'http://127.0.0.1:9' } });
    expect(read(['--allow-host', 'a.example, b.example'])).toMatchObject({
      value: { allowed_hosts: ['a.example', 'b.example'], anonymous: 'none' },
    });
    const exposed = read(['--host', '0.0.0.0', '--insecure']);
    expect(exposed).toMatchObject({ value: { anonymous: 'none' } });
    expect(exposed).not.toHaveProperty('value.tokenSource');
  });

  it.each([
    [['--port', '0'], null],
    [['--port', '65535'], null],
    [['--port', '65536'], '--port 65536: must be a whole number from 0 to 65535'],
    [['--port', '1e3'], '--port 1e3: must be'],
    [['--port'], '--port needs a value'],
    [['--port='], '--port needs a value'],
    [['--heartbeat-ms', '20'], null],
    [['--heartbeat-ms', '19'], '--heartbeat-ms 19: must be a whole number from 20 to 60000'],
    [['--heartbeat-ms', '60001'], '--heartbeat-ms 60001: must be'],
    [['--snapshot-ms', '86400001'], '--snapshot-ms 86400001: must be'],
    [['--anonymous', 'all'], null],
    [['--anonymous', 'some'], '--anonymous some: must be one of none, topology, all'],
    [['--anonymous', 'all', '--host', '0.0.0.0', '--insecure'], '--anonymous all: is for loopback only'],
    [['--anonymous', 'all', '--allow-host', 'x.example'], '--anonymous all: is for loopback only'],
    [['--allow-host', 'x.example,https://y.example'], '--allow-host https://y.example: must be a host name without'],
    [['--telemetry', 'http://me:secret@x'], '--telemetry: the URL must not hold a user name or password'],
    [['--host', '192.0.2.1'], '--insecure'],
    [['--telemetry', 'ftp://x'], '--telemetry ftp://x: must be an http(s) URL'],
    [['--telemetry', 'http://'], '--telemetry http://: is not a URL'],
    [['--verbose'], "unknown argument '--verbose'"],
    [['serve'], "unknown argument 'serve'"],
  ])('%j: %s', (args, error) => {
    const options = read(args);
    expect(options.ok).toBe(error === null);
    if (!options.ok) expect(options.failure.message).toContain(error);
  });

  it.each([
    ['', 'is not set'],
    ['x'.repeat(15), 'must be 16 to 1024'],
    ['x'.repeat(16), null],
    ['x'.repeat(1024), null],
    ['x'.repeat(1025), 'must be 16 to 1024'],
    ['0123456789 abcdef', 'printable ASCII'],
  ])('a token %#', (token, error) => {
    const options = read([], { MESHSCOPE_TOKEN: token });
    expect(options.ok).toBe(error === null);
    if (!options.ok) expect(options.failure.message).toContain(error);
    if (!options.ok && token !== '') expect(options.failure.message).not.toContain(token);
  });
});

describe('the process', () => {
  const processes: DenoProcess[] = [];

  const run = (...given: Parameters<typeof runDeno>) => {
    const process = runDeno(...given);
    processes.push(process);
    return process;
  };

  afterEach(async () => {
    for (const { child, exited } of processes.splice(0)) {
      child.kill('SIGKILL');
      await exited;
    }
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends in order on %s', async (name) => {
    const { output, exited, signal } = run(['--port', '0']);
    await until(() => output.out.includes('listening on http://127.0.0.1:'), 'the ready line');
    signal(name);
    expect(await exited).toBe(0);
    expect(output.error).toBe('');
  });

  it('says what is wrong with its options, with status 2', async () => {
    const { output, exited } = run(['--port', 'x']);
    expect(await exited).toBe(2);
    expect(output.error).toBe(
      'meshscope: --port x: must be a whole number from 0 to 65535; --help tells all options\n',
    );
  });

  it('tells every option that it takes', async () => {
    const { output, exited } = run(['--help'], { env: { MESHSCOPE_TOKEN: '' } });
    expect(await exited).toBe(0);
    for (const flag of ['port', 'host', 'insecure', 'allow-host', 'anonymous', 'telemetry', 'tokens', 'heartbeat-ms']) {
      expect(output.out).toContain(`--${flag} `);
    }
  });

  it('reads its tokens again when their file changes, and from no file that it may not read', async () => {
    const file = new TokensFile(tokenDocument({ reader: { roles: ['read'] } }));
    const readable = file.name;
    const { output } = run(['--port', '0', '--anonymous', 'none', '--tokens', readable], { readable });
    await until(() => output.out.includes('\n'), 'the ready line');
    const url = /listening on (\S+)/.exec(output.out)?.[1] ?? '';
    const ask = async (name: string) => (await fetch(`${url}/v1/root`, { headers: bearer(name) })).status;
    expect([await ask('reader'), await ask('other')]).toEqual([200, 401]);
    file.write(tokenDocument({ other: { roles: ['inspect'] } }));
    await until(async () => (await ask('other')) === 200, 'the other token');
    expect(await ask('reader')).toBe(401);
    file.write('{');
    await until(async () => (await ask('other')) === 200 && output.error.includes('stay in force'), 'the warning');
    const broken = run(['--port', '0', '--tokens', readable], { readable });
    expect(await broken.exited).toBe(2);
    expect(broken.output.error).toContain(`meshscope: tokens in ${readable}: the token document is not JSON`);
    const forbidden = run(['--port', '0', '--tokens', readable]);
    expect(await forbidden.exited).toBe(2);
    expect(forbidden.output.error).toContain('--allow-read');
    file.remove();
  });

  it('on a port that is taken fails with the address and what to do, with status 1', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const { output, exited } = run(['--port', String(port)]);
    expect(await exited).toBe(1);
    expect(output.error).toContain(`127.0.0.1:${port} is already in use by another program`);
    await new Promise((resolve) => server.close(resolve));
  });

  it('gives up a link whose peer does not read when too much waits to be sent, and ends all the same', async () => {
    const { output, exited } = run([], { entry: 'test/fixtures/deno-slow-peer.ts' });
    await until(() => output.out.includes('\n'), 'the ready line');
    const url = /listening on (\S+)/.exec(output.out)?.[1] ?? '';
    const agent = await FakeAgent.dial({ url, token: TOKEN });
    agent.sync();
    agent.socket.pause();
    expect(await exited, output.error).toBe(0);
    expect(output.out).toContain('links: 0');
    agent.drop();
  });
});
