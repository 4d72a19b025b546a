/** A telemetry service in a process of its own that dials the gateway: nothing is lost, and nothing counts twice. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import type { NodeServeOptions, RunningGateway } from '../../../src/edge-gateway/targets/node/node.ts';
import { DEMO_FOLDER, type RunningCli, type Site, startCli, startSite } from '../../support/cli.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { AUTHORIZED, startGateway, TOKEN } from '../../support/gateway.ts';
import { tokenDocument, tokenText } from '../../support/tokens.ts';
import { until } from '../../support/until.ts';
import { batch, statusRow } from './support.ts';

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function temporary(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meshscope-dial-'));
  ends.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function run(args: readonly string[], env: Record<string, string>): RunningCli {
  const cli = startCli(args, env);
  ends.push(async () => {
    cli.signal('SIGKILL');
    await cli.ended;
  });
  return cli;
}

function dialStore(url: string, data: string, token = TOKEN, ...more: string[]): RunningCli {
  return run(['telemetry', '--dial', url, '--data', data, ...more], { MESHSCOPE_TOKEN: token });
}

async function gatewayAt(port = 0, options: Partial<NodeServeOptions> = {}): Promise<RunningGateway> {
  const gateway = await startGateway({ port, ...options });
  ends.push(() => gateway.close());
  return gateway;
}

async function query(url: string, sql: string): Promise<{ status: number; text: string }> {
  const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
  const answer = await fetch(`${url}/v1/query`, { method: 'POST', headers, body: JSON.stringify({ sql }) });
  return { status: answer.status, text: await answer.text() };
}

const hasStore = async (url: string): Promise<boolean> =>
  ((await (await fetch(`${url}/healthz`)).json()) as { telemetry: boolean }).telemetry;
const untilStore = (url: string) => until(() => hasStore(url), 'the store to be linked');

/** Passes bytes on between who dials it and the gateway, until it is told otherwise. */
class Relay {
  readonly url: string;
  /** Told of what the gateway sends, before it is passed on. */
  onAsk: (text: string) => void = () => {};
  /** While true, what the store sends stays here. */
  isHolding = false;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, target: number) {
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (store) => {
      const gateway = connectTcp(target, '127.0.0.1');
      for (const socket of [store, gateway]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          store.destroy();
          gateway.destroy();
          this.#sockets.delete(socket);
        });
      }
      store.on('data', (bytes) => {
        if (!this.isHolding) gateway.write(bytes);
      });
      gateway.on('data', (bytes) => {
        this.onAsk(bytes.toString('latin1'));
        store.write(bytes);
      });
    });
  }

  static async before(target: number): Promise<Relay> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const relay = new Relay(server, target);
    ends.push(() => {
      relay.cut();
      server.close();
    });
    return relay;
  }

  cut(): void {
    this.isHolding = false;
    for (const socket of this.#sockets) socket.destroy();
  }
}

describe('a store that dials, an agent, and a gateway, each a process', () => {
  test('queries, events and stored dumps work with outgoing connections only, and outlive the store', async () => {
    const site: Site = await startSite(['gateway']);
    ends.push(() => site.stop());
    const data = temporary();
    const file = path.join(data, 'given');
    writeFileSync(file, `${site.token}\n`);
    // A file that is named wins over the environment.
    const store = dialStore(site.url, data, 'not-the-token-0123456789', '--token-file', file);
    await store.says(/telemetry: linked to http/);
    const program = path.join(DEMO_FOLDER, 'busy.py');
    const agent = run(['agent', '--gateway', site.url, '--name', 'far-1', '--quiet', '--', 'python3', program], {
      MESHSCOPE_TOKEN: site.token,
    });
    await agent.says(/connected to/);
    const [row] = await site.query('select 18446744073709551615::UBIGINT as big, 9007199254740993 as odd');
    expect(row).toEqual({ big: 18446744073709551615n, odd: 9007199254740993n });

    const events = () => site.query("select full_name from actors where full_name like '%busy%'").catch(() => []);
    await until(async () => (await events()).length > 0, 'an event of the agent in the store');

    const proc = await until(() => site.proc('busy'), 'the proc');
    // A process that has just been started is a shell for a moment, in which py-spy finds no Python.
    const dump = await until(async () => {
      const answer = await site.ask(`/v1/pyspy_dump/${encodeURIComponent(proc.identity)}`, { method: 'POST' });
      return answer.ok ? answer : undefined;
    }, 'a dump that is stored');
    const { dump_id } = (await dump.json()) as { dump_id: string };
    const found = () => site.query(`select proc_ref from pyspy_dumps where dump_id = '${dump_id}'`);
    expect(await found()).toEqual([{ proc_ref: proc.identity }]);

    store.signal('SIGINT');
    expect((await store.ended).code).toBe(0);
    await site.cli.says(/store said bye: interrupted/);
    await expect(found()).rejects.toThrow('link of the telemetry store is gone');

    const again = dialStore(site.url, data, site.token);
    await again.says(/linked to/);
    expect(await found()).toEqual([{ proc_ref: proc.identity }]);
  });

  test('a store that is killed in the middle of a query leaves the client with an answer', async () => {
    const gateway = await gatewayAt();
    const relay = await Relay.before(gateway.port);
    const store = dialStore(relay.url, temporary());
    await untilStore(gateway.url);
    let isAsked = false;
    relay.onAsk = (text) => {
      isAsked ||= text.includes('"method":"query"');
    };
    const slow = query(gateway.url, 'select sum(a.range * b.range) from range(1000000) a, range(1000000) b');
    await until(() => isAsked, 'the query to be asked');
    store.signal('SIGKILL');
    const { status, text } = await slow;
    expect([status, JSON.parse(text).error.code]).toEqual([503, 'service_unavailable']);
    expect(text).toContain('last heard');
  });
});

describe('links that break', () => {
  test('between the commit of a batch and its acknowledgement: it comes again, and counts once', async () => {
    const gateway = await gatewayAt();
    const relay = await Relay.before(gateway.port);
    const store = dialStore(relay.url, temporary(), TOKEN, '--port', '0');
    const [, own = ''] = await store.says(/telemetry listening on (\S+)/);
    const health = async () => (await (await fetch(`${own}/healthz`)).json()) as Record<string, number>;
    await untilStore(gateway.url);
    const agent = await FakeAgent.dial({ url: gateway.url, token: TOKEN });
    ends.push(() => agent.drop());
    agent.sync();
    relay.onAsk = (text) => {
      if (text.includes('"method":"ingest"')) relay.isHolding = true;
    };
    const rows = [statusRow(1), statusRow('18446744073709551615')];
    const send = () => agent.send({ type: 'events', batch: batch(agent.incarnation, 1, rows) });
    send();
    await until(async () => (await health()).rows_stored === 2, 'the commit');
    expect(agent.frames('ack')).toEqual([]);
    relay.onAsk = () => {};
    relay.cut();
    await until(() => gateway.hub.counts().dropped_batches === 1, 'the batch to be left unacknowledged');
    await untilStore(gateway.url);
    send();
    await until(() => agent.frames('ack').length === 1, 'the acknowledgement');
    expect(await health()).toMatchObject({ rows_stored: 2, duplicate_batches: 1 });
    const { text } = await query(gateway.url, 'select id from actor_status_events order by id');
    expect(text).toContain('[{"id":1},{"id":18446744073709551615}]');
  });

  test('with the gateway, which starts anew: the store dials until it is there again', async () => {
    const data = temporary();
    const first = await startGateway();
    const store = dialStore(first.url, data);
    await untilStore(first.url);
    await first.close();
    await store.says(/no link to the gateway .*; trying again/);
    const second = await gatewayAt(first.port);
    await untilStore(second.url);
    expect((await query(second.url, 'select 1 as one')).text).toContain('"one":1');
  });

  test('for good, since the token is wrong: it says so, and how it goes on', async () => {
    const gateway = await gatewayAt();
    const store = dialStore(gateway.url, temporary(), 'another-token-0123456789');
    await store.says(/the gateway refused this store \(http\S+\): the token is wrong.*; asking again within 15 s/);
    expect(await hasStore(gateway.url)).toBe(false);
    store.signal('SIGTERM');
    expect((await store.ended).code).toBe(0);
  });

  test('since another store is there: it says so, and takes over when that one ends', async () => {
    const gateway = await gatewayAt();
    const first = dialStore(gateway.url, temporary());
    await untilStore(gateway.url);
    const second = dialStore(gateway.url, temporary());
    await second.says(/another telemetry service is linked to this gateway/);
    first.signal('SIGTERM');
    await first.ended;
    await second.says(/linked to/);
  });
});

describe('a gateway that speaks TLS and knows roles', () => {
  const file = (name: string) => fileURLToPath(new URL(`../../fixtures/tls/${name}`, import.meta.url));
  const pem = (name: string) => readFileSync(file(name), 'utf8');
  const document = tokenDocument({ store: { roles: ['store'] }, publisher: { roles: ['agent'] } });
  const ca = ['--tls-ca', file('ca.pem')];

  test('takes a store with the role and the right CA, and lets go of it when its token is revoked', async () => {
    let { tokens } = document;
    const tls = { cert: pem('server.pem'), key: pem('server.key') };
    const gateway = await gatewayAt(0, { tls, heartbeat_ms: 100, tokens: { tokens: () => tokens } });
    expect(gateway.url).toMatch(/^https:/);
    const stranger = dialStore(gateway.url, temporary(), tokenText('store'));
    await stranger.says(/no link to the gateway .*certificate.*; trying again/);
    const publisher = dialStore(gateway.url, temporary(), tokenText('publisher'), ...ca);
    await publisher.says(/refused this store .*the role 'store' is needed here; the token 'publisher' has agent/);
    const store = dialStore(gateway.url, temporary(), tokenText('store'), ...ca);
    await store.says(/linked to https/);
    tokens = tokens.filter(({ name }) => name !== 'store');
    await store.says(/refused this store .*the token is wrong/);
  });
});

describe('options that make no sense', () => {
  test.each([
    [['--dial', 'nowhere'], /--dial nowhere: must be the URL of a gateway/],
    [['--dial', 'http://me:secret@127.0.0.1:1'], /must not hold a user name or password/],
    [['--dial', 'http://127.0.0.1:1', '--token-file', '/nonexistent'], /--token-file: cannot use/],
    [['--token-file', 'x'], /--token-file needs --dial/],
  ])('%j', async (args, message) => {
    const { code, stderr } = await run(['telemetry', '--data', temporary(), ...args], { MESHSCOPE_TOKEN: TOKEN }).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });

  test('no token at all says what to do', async () => {
    const { code, stderr } = await run(['telemetry', '--data', temporary(), '--dial', 'http://127.0.0.1:1'], {}).ended;
    expect(code).toBe(4);
    expect(stderr).toContain('MESHSCOPE_TOKEN');
  });
});
