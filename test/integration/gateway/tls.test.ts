/** TLS on Node: client certificates as a way in, what they may do, and every part that dials such a gateway. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { LINK_PATH, LINK_SUBPROTOCOL } from '../../../src/contract/index.ts';
import { LIMITS } from '../../../src/edge-gateway/limits.ts';
import type { NodeServeOptions, RunningGateway } from '../../../src/edge-gateway/targets/node/node.ts';
import { type RunningCli, runCli, startCli } from '../../support/cli.ts';
import { AUTHORIZED, startGateway } from '../../support/gateway.ts';
import { bearer, tokenDocument } from '../../support/tokens.ts';
import { until } from '../../support/until.ts';

const FIXTURES = fileURLToPath(new URL('../../fixtures/tls/', import.meta.url));
const file = (name: string) => path.join(FIXTURES, name);
const pem = (name: string) => readFileSync(file(name), 'utf8');
const SERVER = { cert: pem('server.pem'), key: pem('server.key') };
const MUTUAL = { ...SERVER, ca: pem('ca.pem') };
const CLIENT = { cert: pem('client.pem'), key: pem('client.key') };
const NAMELESS = { cert: pem('nameless.pem'), key: pem('nameless.key') };
const STRANGER = { cert: pem('stranger.pem'), key: pem('stranger.key') };
const TOKENS = tokenDocument({ reader: { roles: ['read'] } });

type Shown = { readonly cert?: string; readonly key?: string };

function ask(
  gateway: RunningGateway,
  where: string,
  shown: Shown,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port: gateway.port, path: where, headers, agent: false, ca: MUTUAL.ca, ...shown },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

describe('the gateway', () => {
  const gateways: RunningGateway[] = [];

  async function start(options: Partial<NodeServeOptions>): Promise<RunningGateway> {
    const gateway = await startGateway({ anonymous: 'none', tokens: { tokens: () => TOKENS.tokens }, ...options });
    gateways.push(gateway);
    return gateway;
  }

  afterEach(async () => {
    await Promise.all(gateways.splice(0).map((gateway) => gateway.close()));
  });

  it('lets a client certificate read and inspect, without a token, and never publish', async () => {
    const gateway = await start({ tls: MUTUAL });
    expect(gateway.url).toBe(`https://127.0.0.1:${gateway.port}`);
    const statuses = await Promise.all(
      ['/v1/root', '/v1/pyspy/x', '/v1/config/x', LINK_PATH].map(
        async (where) => (await ask(gateway, where, CLIENT)).status,
      ),
    );
    expect(statuses).toEqual([200, 400, 400, 403]);
    const { body } = await ask(gateway, LINK_PATH, CLIENT);
    expect(JSON.parse(body).error.message).toBe(
      "the role 'agent' is needed here; the client certificate 'laptop-of-ada' has inspect",
    );
  });

  it('tells of the certificate in the audit line', async () => {
    const lines: string[] = [];
    const say = (line: string) => void lines.push(line);
    const gateway = await start({ tls: MUTUAL, log: { info: say, warn: say } });
    await ask(gateway, '/v1/config/x', CLIENT);
    expect(lines.join()).toContain('audit: who="cert:laptop-of-ada" what=config target="x" status=400');
  });

  it('knows a certificate without a common name by its other names', async () => {
    const lines: string[] = [];
    const say = (line: string) => void lines.push(line);
    const gateway = await start({ tls: MUTUAL, log: { info: say, warn: say } });
    expect((await ask(gateway, '/v1/root', NAMELESS)).status).toBe(200);
    await ask(gateway, '/v1/config/x', NAMELESS);
    expect(lines.join()).toContain('audit: who="cert:URI:spiffe://example/ada" what=config');
  });

  it.each([
    [['read'], [200, 403]],
    [['operate'], [200, 400]],
    [
      ['agent', 'store'],
      [403, 403],
    ],
  ] as const)('gives certificates the roles %j and no other', async (certificate_roles, statuses) => {
    const gateway = await start({ tls: MUTUAL, certificate_roles });
    const got = [await ask(gateway, '/v1/root', CLIENT), await ask(gateway, '/v1/config/x', CLIENT)];
    expect(got.map(({ status }) => status)).toEqual(statuses);
  });

  it('goes by the token where one is sent, right or wrong', async () => {
    const gateway = await start({ tls: MUTUAL });
    expect((await ask(gateway, '/v1/config/x', CLIENT, bearer('reader'))).status).toBe(403);
    expect((await ask(gateway, '/v1/config/x', CLIENT, AUTHORIZED)).status).toBe(400);
    expect((await ask(gateway, '/v1/root', CLIENT, { authorization: 'Bearer wrong' })).status).toBe(401);
  });

  it.each<[string, Shown]>([
    ['no certificate', {}],
    ['one that another CA signed', STRANGER],
  ])('with a CA ends a connection with %s in the handshake, also with the token', async (_, shown) => {
    const gateway = await start({ tls: MUTUAL, anonymous: 'all' });
    await expect(ask(gateway, '/healthz', shown, AUTHORIZED)).rejects.toThrow(/alert|ECONNRESET|EPIPE|hang up/i);
    expect((await ask(gateway, '/healthz', CLIENT)).status).toBe(200);
  });

  it('without a CA asks for no certificate, and goes by none that is shown', async () => {
    const gateway = await start({ tls: SERVER });
    expect((await ask(gateway, '/v1/root', {})).status).toBe(401);
    expect((await ask(gateway, '/v1/root', CLIENT)).status).toBe(401);
    expect((await ask(gateway, '/v1/root', {}, AUTHORIZED)).status).toBe(200);
  });

  it('writes https links', async () => {
    const gateway = await start({ tls: MUTUAL });
    expect((await ask(gateway, '/SKILL.md', CLIENT)).body).toContain(`https://127.0.0.1:${gateway.port}/v1/root`);
    const admin = JSON.parse((await ask(gateway, '/v1/admin', CLIENT)).body);
    expect(admin.url).toBe(gateway.url);
  });

  it('takes links, by token', async () => {
    const gateway = await start({ tls: MUTUAL });
    const dial = (headers: Readonly<Record<string, string>>) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(`${gateway.url.replace('https', 'wss')}${LINK_PATH}?host=a`, LINK_SUBPROTOCOL, {
          headers,
          ca: MUTUAL.ca,
          ...CLIENT,
        });
        socket.once('open', () => {
          resolve('open');
          socket.terminate();
        });
        socket.once('error', ({ message }) => resolve(message));
      });
    expect(await dial(AUTHORIZED)).toBe('open');
    expect(await dial({})).toMatch(/403/);
  });

  it('outlives a peer that speaks no TLS', async () => {
    const gateway = await start({ tls: MUTUAL });
    const socket = connect(gateway.port, '127.0.0.1');
    const ended = new Promise<void>((resolve) => {
      socket.on('error', () => {}).on('close', () => resolve());
      socket.resume();
    });
    socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await ended;
    expect((await ask(gateway, '/healthz', CLIENT)).status).toBe(200);
  });

  it('does not wait at its end for a peer that never shakes hands', async () => {
    const gateway = await start({ tls: MUTUAL });
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    // Taken up only after those that came before it.
    expect((await ask(gateway, '/healthz', CLIENT)).status).toBe(200);
    const start_ms = performance.now();
    await gateway.close();
    expect(performance.now() - start_ms).toBeLessThan(LIMITS.close_wait_ms + 2_000);
    socket.destroy();
  });

  it.each([
    ['a key of another certificate', { ...SERVER, key: CLIENT.key }],
    ['a certificate that is none', { ...SERVER, cert: 'nonsense' }],
    ['a CA that is none', { ...SERVER, ca: 'nonsense' }],
  ])('does not start with %s', async (_, tls) => {
    await expect(startGateway({ tls })).rejects.toThrow(/^TLS /);
  });
});

describe('the command line', () => {
  let folder: string;
  const running: RunningCli[] = [];
  const serve = ['--tls-cert', file('server.pem'), '--tls-key', file('server.key')];
  const mutual = [...serve, '--tls-ca', file('ca.pem')];
  const shown = {
    MESHSCOPE_TLS_CA: file('ca.pem'),
    MESHSCOPE_TLS_CERT: file('client.pem'),
    MESHSCOPE_TLS_KEY: file('client.key'),
  };

  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'meshscope-tls-'));
  });

  afterEach(async () => {
    for (const cli of running.splice(0).reverse()) {
      cli.signal('SIGTERM');
      await cli.ended;
    }
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCli {
    const cli = startCli(args, env);
    running.push(cli);
    return cli;
  }

  it('agents and clients reach a gateway that requires client certificates, by flags and by environment', async () => {
    const data = path.join(folder, 'mutual');
    const gateway = run(['gateway', '--port', '0', '--data', data, ...mutual]);
    const [, url = ''] = await gateway.says(/listening on (https:\/\/127\.0\.0\.1:\d+)/);
    const agent = run(['agent', '--gateway', url, '--data', data, '--name', 'tls-host', '--quiet'], shown);
    await gateway.says(/host tls-host linked by owner/);
    const flags = ['--tls-ca', file('ca.pem'), '--tls-cert', file('client.pem'), '--tls-key', file('client.key')];
    // Without the data folder there is no token: the certificate alone lets it in, to the configuration too.
    const elsewhere = ['--url', url, '--data', path.join(folder, 'none')];
    const tree = await runCli(['tree', ...elsewhere, ...flags]);
    expect([tree.code, tree.stdout]).toEqual([0, expect.stringContaining('tls-host')]);
    expect((await runCli(['get', 'root', ...elsewhere], shown)).code).toBe(0);
    const followed = run(['tree', '--follow', ...elsewhere], shown);
    await followed.says(/tls-host/);
    const bare = await runCli(['get', 'root', ...elsewhere]);
    expect([bare.code, bare.stderr]).toEqual([3, expect.stringContaining('cannot reach the gateway')]);
    expect(agent.output()).not.toContain('warning');
  });

  it('up dials its own gateway over TLS', async () => {
    const up = run([
      'up',
      '--port',
      '0',
      '--data',
      path.join(folder, 'up'),
      '--name',
      'up-host',
      '--quiet',
      ...mutual,
      '--',
      'sleep',
      '1000',
    ]);
    await until(() => /host up-host linked by owner/.test(up.output()), `the link: ${up.output()}`);
    await up.says(/listening on https:/);
  });

  it('with TLS an address that others reach needs no --insecure', async () => {
    const data = path.join(folder, 'open');
    const gateway = run(['gateway', '--host', '0.0.0.0', '--port', '0', '--data', data, ...serve]);
    await gateway.says(/listening on https:\/\/localhost:/);
  });

  it.each([
    [['--tls-cert', 'x'], '--tls-cert and --tls-key belong together'],
    [['--tls-ca', 'x'], '--tls-ca needs --tls-cert and --tls-key'],
    [['--tls-client-roles', 'read'], '--tls-client-roles needs --tls-ca'],
    [[...serve, '--tls-client-roles', 'read'], '--tls-client-roles needs --tls-ca'],
    [[...mutual, '--tls-client-roles', 'agent'], '--tls-client-roles agent: agents and the store need a token'],
    [[...mutual, '--tls-client-roles', 'all'], '--tls-client-roles all: must be one of'],
    [['--tls-cert', '/nowhere', '--tls-key', '/nowhere'], '--tls-cert: cannot use /nowhere'],
    [['--tls-cert', file('make.sh'), '--tls-key', file('server.key')], 'it is no PEM file'],
    [['--tls-cert', file('server.pem'), '--tls-key', file('client.key')], 'TLS certificate, key or CA: '],
    [['--tokens', '/nowhere/tokens.json'], 'there is no such file'],
    [['--tokens', '/dev/null'], 'it is no regular file'],
    [['--allow-host', 'mesh.example.com:8443'], '--allow-host mesh.example.com:8443: must be a host name without'],
    [['--allow-host', ''], '--allow-host : must be a host name'],
    [['--telemetry', 'ftp://x'], '--telemetry ftp://x: must be the URL of a telemetry service'],
    [['--telemetry', 'http://me:secret@x'], '--telemetry: the URL must not hold a user name or password'],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await runCli(['gateway', '--port', '0', '--data', path.join(folder, 'wrong'), ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it('refuses a file of tokens that is broken, when it starts', async () => {
    const tokens = path.join(folder, 'broken.json');
    writeFileSync(tokens, '{"version":1,"tokens":[{"name":"x"}]}');
    const { code, stderr } = await runCli([
      'gateway',
      '--port',
      '0',
      '--data',
      path.join(folder, 'wrong'),
      '--tokens',
      tokens,
    ]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(`tokens in ${tokens}: tokens.0.`)]);
  });
});
