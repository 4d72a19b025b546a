/**
 * Whatever is killed between a proc and the store: a row that the agent has acknowledged to the proc is in the store once.
 * All parts are processes of their own, as they run at a user's; the clients write as fast as they are let.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { sleep } from '../../../src/base/index.ts';
import { EventClient } from '../../../src/node-agents/index.ts';
import { bundleCli } from '../../support/bundled-cli.ts';
import { MAIN, type RunningCli, startCli } from '../../support/cli.ts';
import { isThere } from '../../support/processes.ts';
import { until } from '../../support/until.ts';

const KILLS = 50;
/** Rows that each client has on their way, at most. */
const AHEAD_ROWS = 2_000;
/** Rows that each client writes every few milliseconds: all of it has to be under the store's bound of rows. */
const ROWS_AT_ONCE = 8;
const CLIENTS = 6;
const TOKEN = 'a-token-for-this-test-alone';

let folder: string;
const parts: RunningCli[] = [];
const clients: EventClient[] = [];
let isOver = false;

afterEach(async () => {
  isOver = true;
  for (const client of clients.splice(0)) await client.close(0);
  for (const part of parts.splice(0)) {
    part.signal('SIGKILL');
    await part.ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

interface Site {
  readonly url: string;
  readonly socket_path: string;
  readonly startGateway: () => Promise<RunningCli>;
  /** An agent that has only just been started. */
  readonly launchAgent: () => RunningCli;
  readonly startAgent: () => Promise<RunningCli>;
  readonly query: (sql: string) => Promise<Record<string, number>[]>;
}

async function startSite(): Promise<Site> {
  folder = mkdtempSync(path.join(tmpdir(), 'meshscope-kill-'));
  isOver = false;
  const data = path.join(folder, 'data');
  // Gateway and agent start fifty times here.
  const NODE_COMPILE_CACHE = path.join(folder, 'compiled');
  const bundled = await bundleCli(path.join(folder, 'bundled'));
  const env = { MESHSCOPE_TOKEN: TOKEN, MESHSCOPE_DATA: data, NODE_COMPILE_CACHE };
  const start = (args: readonly string[], main = bundled): RunningCli => {
    const part = startCli(args, env, undefined, main);
    parts.push(part);
    return part;
  };
  const storePort = await freePort();
  const store = start(['telemetry', '--port', String(storePort)], MAIN);
  const storeUrl = `http://127.0.0.1:${storePort}`;
  await until(
    () =>
      fetch(`${storeUrl}/healthz`).then(
        ({ ok }) => ok,
        () => store.child.exitCode !== null,
      ),
    'the store',
  );
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const socket_path = path.join(folder, 't.sock');
  const site: Site = {
    url,
    socket_path,
    async startGateway() {
      const gateway = start(['gateway', '--port', String(port), '--telemetry', storeUrl]);
      await gateway.says(/listening on/);
      return gateway;
    },
    launchAgent() {
      const spool = path.join(folder, 'spool');
      const args = [
        'agent',
        '--gateway',
        url,
        '--name',
        'killed',
        '--spool-dir',
        spool,
        '--telemetry-socket',
        socket_path,
      ];
      return start(args);
    },
    async startAgent() {
      const agent = site.launchAgent();
      await agent.says(/connected to/);
      return agent;
    },
    async query(sql) {
      const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
      const answer = await fetch(`${url}/v1/query`, { method: 'POST', headers, body: JSON.stringify({ sql }) });
      if (!answer.ok) throw new Error(await answer.text());
      return ((await answer.json()) as { rows: Record<string, number>[] }).rows;
    },
  };
  return site;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** A client that writes numbered rows without end, as long as not too many of them wait. */
class Writer {
  readonly client: EventClient;
  readonly index: number;
  rows = 0;

  constructor(socket_path: string, index: number) {
    this.index = index;
    this.client = new EventClient({ socket_path, source: `writer ${index}`, producer: randomUUID() });
    clients.push(this.client);
    const write = (): void => {
      if (isOver || this.isDone) return;
      for (let count = 0; count < ROWS_AT_ONCE && this.client.waitingRows < AHEAD_ROWS; count += 1) {
        this.rows += 1;
        this.client.emit('messages', [this.rows, Date.now() * 1_000, index, 0, 'write', null]);
      }
      setTimeout(write, 5);
    };
    write();
  }

  isDone = false;
}

/** Ends the writing; then everything has to be in the store, each row once, in as many batches as there were numbers. */
async function checkAll(site: Site, writers: readonly Writer[]): Promise<void> {
  for (const writer of writers) writer.isDone = true;
  for (const { client } of writers) expect(await client.flush(20_000)).toBe(true);
  const expected = writers.map(({ rows, index, client }) => {
    expect([client.lostRows, client.ackedRows]).toEqual([0, rows]);
    return { writer: index, rows, distinct: rows, sum: (rows * (rows + 1)) / 2 };
  });
  const sums = `select from_actor_id as writer, count(*) as rows, count(distinct id) as distinct, sum(id)::bigint as sum
    from messages where endpoint = 'write' group by writer order by writer`;
  const total = writers.reduce((sum, { rows }) => sum + rows, 0);
  await until(
    async () => {
      const [now] = await site.query('select count(*) as rows from messages').catch(() => []);
      return now?.rows !== undefined && now.rows >= total;
    },
    `${total} rows in the store`,
    60_000,
  );
  expect(await site.query(sums)).toEqual(expected);
  const [losses] = await site.query('select coalesce(sum(lost_rows), 0)::bigint as rows from telemetry_losses');
  expect(losses).toEqual({ rows: 0 });
}

/** Some moment within `most_ms`, each time another. */
function someMoment(most_ms: number): Promise<void> {
  return sleep(Math.random() * most_ms);
}

async function kill(part: RunningCli): Promise<void> {
  part.signal('SIGKILL');
  await part.ended;
  parts.splice(parts.indexOf(part), 1);
  expect(isThere(part.pid)).toBe(false);
}

it(`loses and doubles nothing while the agent is killed ${KILLS} times`, { timeout: 240_000 }, async () => {
  const site = await startSite();
  await site.startGateway();
  let agent = await site.startAgent();
  const writers = Array.from({ length: CLIENTS }, (_, index) => new Writer(site.socket_path, index));
  for (let count = 0; count < KILLS; count += 1) {
    const before = acked(writers);
    await until(() => acked(writers) > before, 'rows that the agent took');
    await someMoment(60);
    await kill(agent);
    if (count % 2 === 0) {
      // Another is killed on its way, perhaps while it takes over what this one left.
      const early = site.launchAgent();
      await someMoment(300);
      await kill(early);
    }
    agent = await site.startAgent();
  }
  await checkAll(site, writers);
  // What dead agents left is gone with its acknowledgement; the living one has its own folder.
  await until(() => readdirSync(path.join(folder, 'spool')).length > 0, 'a spool');
});

it(`loses and doubles nothing while the gateway is killed ${KILLS} times`, { timeout: 240_000 }, async () => {
  const site = await startSite();
  let gateway = await site.startGateway();
  const agent = await site.startAgent();
  const writers = Array.from({ length: CLIENTS }, (_, index) => new Writer(site.socket_path, index));
  for (let count = 0; count < KILLS; count += 1) {
    await until(() => agent.output().split('connected to').length > count + 1, 'a link');
    await someMoment(60);
    await kill(gateway);
    gateway = await site.startGateway();
  }
  await checkAll(site, writers);
});

function acked(writers: readonly Writer[]): number {
  return writers.reduce((sum, { client }) => sum + client.ackedRows, 0);
}
