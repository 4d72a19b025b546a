import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LIMITS, startTelemetry, type TelemetryLimits, type TelemetryService } from '../../../src/telemetry/index.ts';
import { until } from '../../support/until.ts';
import {
  batch,
  dumpRequest,
  isAlive,
  post,
  query,
  readAnswer,
  rowsOf,
  startService,
  statusRow,
  TOKEN,
  temporaryFolder,
} from './support.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let service: TelemetryService | null = null;

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(async () => {
  await service?.close();
  service = null;
  await folder.remove();
});

async function start(limits: Partial<TelemetryLimits> = {}): Promise<TelemetryService> {
  service = await startService(await mkdtemp(join(folder.path, 'data-')), limits);
  return service;
}

describe('access', () => {
  test('every route but /healthz asks for the token, before it says anything else', async () => {
    const { url } = await start();
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    for (const authorization of ['', 'Bearer', 'Bearer wrong', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`]) {
      for (const path of ['/query', '/ingest', '/dumps', '/nowhere']) {
        const answer = await post(url, path, 'not json', { authorization, 'content-type': 'text/plain' });
        expect([answer.status, answer.code]).toEqual([401, 'unauthorized']);
      }
    }
    expect((await query(url, 'select 1 as x')).status).toBe(200);
  });

  test('unknown paths and wrong methods answer the envelope', async () => {
    const { url } = await start();
    const nowhere = await post(url, '/nowhere', {});
    expect([nowhere.status, nowhere.code]).toEqual([404, 'not_found']);
    const response = await fetch(`${url}/query`, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(response.headers.get('allow')).toBe('POST');
    expect(await readAnswer(response)).toMatchObject({ status: 405, code: 'method_not_allowed' });
  });
});

describe('bodies', () => {
  test.each(['/query', '/ingest', '/dumps'])('%s: wrong type, no JSON and wrong shape are told apart', async (path) => {
    const { url } = await start();
    const type = await post(url, path, '{}', { 'content-type': 'text/plain' });
    expect([type.status, type.code]).toEqual([415, 'unsupported_media_type']);
    for (const body of ['', '{', '{"sql":', '\u{feff}x']) {
      const json = await post(url, path, body);
      expect([json.status, json.code]).toEqual([400, 'bad_request']);
    }
    const shape = await post(url, path, {}, { 'content-type': 'application/json; charset=utf-8' });
    expect([400, 422]).toContain(shape.status);
    expect((await query(url, 'select 1 as x')).status).toBe(200);
  });

  test('bytes of a body: n are read, n + 1 refused, whether announced or not', async () => {
    const limits = { query_body_max_bytes: 100, ingest_body_max_bytes: 200, dump_body_max_bytes: 300 };
    const { url } = await start(limits);
    for (const [path, max] of [
      ['/query', 100],
      ['/ingest', 200],
      ['/dumps', 300],
    ] as const) {
      const fits = JSON.stringify({ padding: '' }).replace('""', `"${'x'.repeat(max - 14)}"`);
      expect(Buffer.byteLength(fits)).toBe(max);
      expect([400, 422]).toContain((await post(url, path, fits)).status);
      for (const chunked of [false, true]) {
        expect(await sendRaw(url, path, `${fits} `, chunked)).toMatch(/^413 .*payload_too_large/);
      }
    }
  });

  test('bytes of all bodies together: what exceeds them is refused for now, and room comes back', async () => {
    const { url } = await start({ bodies_in_flight_max_bytes: 1_000 });
    // A body that never ends holds its bytes.
    const holder = request(`${url}/dumps`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    });
    holder.on('error', () => undefined);
    holder.write(`{"x":"${'x'.repeat(894)}`);
    await until(
      async () => (await query(url, `select '${'y'.repeat(90)}' as x`)).status === 503,
      'the room to be taken',
    );
    expect((await query(url, 'select 1 as x')).status).toBe(200);
    holder.destroy();
    await until(async () => (await query(url, `select '${'y'.repeat(90)}' as x`)).status === 200, 'room again');
  });

  test('writes that wait: what exceeds the line is refused, what was acknowledged is there once', async () => {
    const { url } = await start({ writes_waiting_max: 2, commit_rows_max: 1 });
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => post(url, '/ingest', batch(randomUUID(), 1, [statusRow(index)]))),
    );
    const acknowledged = answers.flatMap((answer, index) => (answer.status === 200 ? [index] : []));
    const refused = answers.filter((answer) => answer.status !== 200);
    expect(acknowledged.length).toBeGreaterThanOrEqual(2);
    expect(refused.length).toBeGreaterThan(0);
    for (const answer of refused) {
      expect([answer.code, answer.message]).toEqual([
        'service_unavailable',
        expect.stringContaining('2 writes waiting'),
      ]);
    }
    const rows = await rowsOf(url, 'select id from actor_status_events order by id');
    expect(rows).toEqual(acknowledged.map((id) => ({ id })));
  });

  test('connections: one more than the limit is closed', async () => {
    const { url } = await start({ connections_max: 2 });
    const { hostname, port } = new URL(url);
    const sockets = [connect(Number(port), hostname), connect(Number(port), hostname)];
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    const third = connect(Number(port), hostname);
    third.on('error', () => undefined);
    await new Promise((resolve) => third.once('close', resolve));
    for (const socket of sockets) socket.destroy();
    await until(async () => (await fetch(`${url}/healthz`).catch(() => null))?.status === 200, 'room again');
  });
});

describe('start', () => {
  test('a port that is taken is a failure that names it, and the store is free again', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const taken = await startTelemetry({ data_dir: folder.path, port, token: TOKEN });
    expect(taken).toMatchObject({ ok: false, failure: { code: 'service_unavailable' } });
    expect(taken.ok ? '' : taken.failure.message).toContain(`127.0.0.1 port ${port}: EADDRINUSE`);
    await new Promise((resolve) => other.close(resolve));
    const free = await startTelemetry({ data_dir: folder.path, port, token: TOKEN });
    expect(free.ok && free.value.url).toBe(`http://127.0.0.1:${port}`);
    if (free.ok) await free.value.close();
  });

  test.each([
    [{ token: '' }, 'token'],
    [{ port: 70_000 }, 'port 70000'],
    [{ port: 0.5 }, 'port 0.5'],
    [{ limits: { sql_rows_max: 0 } }, 'limits.sql_rows_max'],
  ])('options that make no sense are refused at once: %j', async (change, names) => {
    const started = await startTelemetry({ data_dir: folder.path, token: TOKEN, ...change });
    expect(started).toMatchObject({
      ok: false,
      failure: { code: 'bad_request', message: expect.stringContaining(names) },
    });
    expect(await readdir(folder.path)).toEqual([]);
  });

  test('a data file that is something else is left alone, with an error that says what to do', async () => {
    const { writeFile, readFile } = await import('node:fs/promises');
    const file = join(folder.path, 'telemetry.duckdb');
    await writeFile(file, 'this is no database'.repeat(1_000));
    const started = await startTelemetry({ data_dir: folder.path, token: TOKEN });
    expect(started).toMatchObject({ ok: false, failure: { message: expect.stringContaining('move the file away') } });
    expect(await readFile(file, 'utf8')).toContain('this is no database');
  });
});

describe('close', () => {
  test('what is in flight is answered, the query process ends, and only what is stored stays', async () => {
    // Far more time than it takes.
    const { url, sqlPids, close } = await start({ sql_timeout_ms: 60_000, close_timeout_ms: 60_000 });
    await post(url, '/dumps', dumpRequest());
    await rowsOf(url, 'select 1 as x');
    const [pid = 0] = sqlPids();
    const slow = query(url, 'select count(*) as n from range(30000000) a where sin(range) > 2');
    await until(async () => (await health(url)).sql_running === 1, 'the query to run');
    const writes = Promise.allSettled(
      Array.from({ length: 30 }, (_, index) => post(url, '/ingest', batch(randomUUID(), 1, [statusRow(index)]))),
    );
    await until(async () => Number((await health(url)).rows_stored) > 5, 'some to be written');
    await Promise.all([close(), close()]);
    expect((await slow).status).toBe(200);
    // A write may come too late to be taken, but what was acknowledged is there.
    const acknowledged = (await writes).flatMap((write, index) => (write.status === 'fulfilled' ? [index] : []));
    expect(isAlive(pid)).toBe(false);
    const [data_dir = ''] = await readdir(folder.path);
    expect((await readdir(join(folder.path, data_dir))).sort()).toEqual(['segments', 'telemetry.duckdb']);
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    service = await startService(join(folder.path, data_dir));
    const rows = await rowsOf(service.url, 'select id from actor_status_events order by id');
    expect(rows.map((row) => row.id)).toEqual(expect.arrayContaining(acknowledged));
    expect(new Set(rows.map((row) => row.id)).size).toBe(rows.length);
  });

  test('an endless query and a client that says nothing hold the close up for its bound only', async () => {
    const { url, close, sqlPids } = await start({ close_timeout_ms: 300 });
    await rowsOf(url, 'select 1 as x');
    const [pid = 0] = sqlPids();
    const endless = query(url, 'select count(*) from range(10000000) a, range(10000000) b').catch(() => null);
    const { hostname, port } = new URL(url);
    const silent = connect(Number(port), hostname);
    silent.on('error', () => undefined);
    await until(async () => (await health(url)).sql_running === 1, 'the query to run');
    const begin = performance.now();
    await close();
    expect(performance.now() - begin).toBeLessThan(LIMITS.close_timeout_ms);
    expect(await endless).toBeNull();
    expect(isAlive(pid)).toBe(false);
  });
});

async function health(url: string): Promise<Record<string, unknown>> {
  return (await (await fetch(`${url}/healthz`)).json()) as Record<string, unknown>;
}

/** Sends a body with or without its length announced, and gives `status body`. */
function sendRaw(url: string, path: string, body: string, chunked: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const length = chunked ? {} : { 'content-length': Buffer.byteLength(body) };
    const sent = request(url + path, { method: 'POST', headers: { ...headers, ...length } }, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += String(part);
      });
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
