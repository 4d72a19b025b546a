import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failure, success, type TableRows } from '../../../src/base/index.ts';
import { type EventBatch, pack, TABLES } from '../../../src/contract/index.ts';
import type { Telemetry } from '../../../src/edge-gateway/ports.ts';
import { telemetryOverHttp } from '../../../src/edge-gateway/store/http-store.ts';
import { Snapshots } from '../../../src/edge-gateway/store/snapshot.ts';
import { captureRows, type TableRow } from '../../../src/edge-gateway/store/snapshot-rows.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { startGateway, TOKEN } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';

describe('telemetry over HTTP', () => {
  let server: Server;
  let answer: { status: number; body: string } | null;
  const requests: { path: string; authorization: string; body: string }[] = [];
  let telemetry: Telemetry;

  beforeEach(async () => {
    requests.length = 0;
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        requests.push({ path: request.url ?? '', authorization: request.headers.authorization ?? '', body });
        if (answer !== null) response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    telemetry = telemetryOverHttp({ url, token: 'secret', timeout_ms: 300 });
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('posts with the token and gives the text of the answer as it is', async () => {
    answer = { status: 200, body: '{"rows":[{"id":18446744073709551615}]}' };
    const outcome = await telemetry.query('select 1');
    expect(outcome.ok && (await outcome.value.text())).toBe(answer.body);
    expect(requests).toEqual([{ path: '/query', authorization: 'Bearer secret', body: '{"sql":"select 1"}' }]);
  });

  it.each([
    [400, '{"error":{"code":"bad_request","message":"no such table"}}', 'bad_request', 'no such table'],
    [422, '{"error":{"code":"unprocessable","message":"sql"}}', 'bad_request', 'sql'],
    [503, '{"error":{"code":"service_unavailable","message":"busy"}}', 'service_unavailable', 'busy'],
    [401, '{"error":{"code":"unauthorized","message":"token"}}', 'proxy_error', '401 unauthorized'],
    [500, '{"error":{"code":"internal_error","message":"disk"}}', 'proxy_error', 'disk'],
    [502, '<html>', 'proxy_error', 'without an error envelope'],
  ])('HTTP %i %s becomes %s', async (status, body, code, text) => {
    answer = { status, body };
    const outcome = await telemetry.query('x');
    expect(outcome).toMatchObject({ ok: false, failure: { code, message: expect.stringContaining(text) } });
  });

  it('that does not answer is a timeout', async () => {
    answer = null;
    expect(await telemetry.query('x')).toMatchObject({ ok: false, failure: { code: 'gateway_timeout' } });
  });

  it('that has begun an answer in time may take longer for the rest', async () => {
    const slow = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '4' }).write('[1');
      setTimeout(() => response.end(' ]'), 600);
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
    const outcome = await telemetryOverHttp({ url, token: 'x', timeout_ms: 300 }).query('x');
    expect(outcome.ok && (await outcome.value.text())).toBe('[1 ]');
    slow.closeAllConnections();
    await new Promise((resolve) => slow.close(resolve));
  });

  it('that is not there is a proxy error that says so', async () => {
    const nowhere = telemetryOverHttp({ url: 'http://127.0.0.1:9', token: 'x' });
    const outcome = await nowhere.query('x');
    expect(outcome).toMatchObject({ ok: false, failure: { code: 'proxy_error' } });
    if (!outcome.ok) expect(outcome.failure.message).toContain('could not be reached');
  });
});

describe('snapshots', () => {
  const taken: EventBatch[] = [];
  let refusals = 0;
  const telemetry: Telemetry = {
    query: async () => success(new Response('{}')),
    storeDump: async () => success(undefined),
    ingest: async (batch) => {
      if (refusals > 0) {
        refusals -= 1;
        return failure('bad_request', 'refused');
      }
      taken.push(batch);
      return success(undefined);
    },
  };
  const rows = (table: string) => taken.flatMap(({ tables }) => (tables?.[table] ?? []) as unknown[][]);

  beforeEach(() => {
    taken.length = 0;
    refusals = 0;
  });

  it('hold every node once, in rows that fit the tables, with the snapshot itself in the last batch', async () => {
    const gateway = await startGateway();
    const agent = await FakeAgent.dial({ url: gateway.url, token: TOKEN });
    const many = Array.from({ length: 3_000 }, (_, i) => `a${i}.${agent.procRef}`);
    const [host, service] = agent.mesh();
    if (host === undefined || service === undefined) throw new Error('no nodes');
    agent.sync([host, service, agent.proc(agent.procRef, [...many, agent.actorRef])], true);
    for (let i = 0; i < many.length; i += 250)
      agent.sync(
        many.slice(i, i + 250).map((each) => agent.actor(each)),
        true,
      );
    agent.sync([]);
    await until(() => gateway.hub.counts().nodes === many.length + 3, 'all nodes');
    const snapshots = new Snapshots({ mesh: gateway.hub, telemetry, interval_ms: 0 });
    expect(await snapshots.capture()).toBe(true);
    expect(taken.map(({ tables }) => pack(tables as TableRows))).toEqual(
      taken.map(() => expect.objectContaining({ ok: true })),
    );
    expect(taken.map(({ seq }) => seq)).toEqual(taken.map((_, i) => i + 1));
    expect(taken.length).toBeGreaterThan(1);
    expect(taken.at(-1)?.tables?.snapshots).toHaveLength(1);
    expect(rows('snapshots')).toHaveLength(1);
    const ids = rows('nodes').map(([, node]) => node);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toHaveLength(1 + 3 + many.length + 1);
    // Listed by its proc, but never published.
    expect(rows('resolution_errors')).toMatchObject([
      [expect.any(String), agent.actorRef, 'not_found', expect.any(String)],
    ]);
    agent.drop();
    await until(() => gateway.hub.counts().links === 0, 'the end of the link');
    taken.length = 0;
    expect(await snapshots.capture()).toBe(true);
    expect(rows('resolution_errors')).toMatchObject([
      [expect.any(String), agent.hostRef, 'gateway_timeout', expect.any(String)],
    ]);
    await gateway.close();
  });

  it('start soon after the first host has come', async () => {
    const gateway = await startGateway({ telemetry, snapshot_interval_ms: 60 });
    const agent = await FakeAgent.dial({ url: gateway.url, token: TOKEN });
    agent.sync();
    await until(() => taken.length >= 2, 'two batches');
    const known = TABLES.filter(({ group }) => group === 'snapshot').map(({ name }) => name);
    expect(Object.keys(taken[0]?.tables ?? {}).filter((name) => !known.includes(name))).toEqual([]);
    agent.drop();
    await gateway.close();
  });

  it('name a host that leaves while they are taken as the root lists it', async () => {
    const gateway = await startGateway();
    const agent = await FakeAgent.dial({ url: gateway.url, token: TOKEN });
    agent.sync();
    await until(() => gateway.hub.counts().links === 1, 'the link');
    const rows = captureRows(gateway.hub, 'id', 0);
    expect(rows.next().value?.map((each: TableRow) => each.row[2])).toContain(agent.hostRef);
    agent.send({ type: 'bye', reason: 'done' });
    await until(() => gateway.hub.counts().hosts === 0, 'the host to be forgotten');
    expect([...rows].map(([first]) => first?.row.slice(1, 3))).toEqual([[agent.hostRef, 'error']]);
    await gateway.close();
  });

  it('that were lost are counted in the next batch', async () => {
    const gateway = await startGateway();
    const snapshots = new Snapshots({ mesh: gateway.hub, telemetry, interval_ms: 0 });
    refusals = 1;
    expect(await snapshots.capture()).toBe(false);
    expect(await snapshots.capture()).toBe(true);
    expect(taken[0]?.lost_rows).toBe(3);
    await gateway.close();
  });
});
