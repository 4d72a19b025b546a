/** `meshscope status`, and the options of an agent's telemetry, as users type them. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/cli/limits.ts';
import { EventClient } from '../../../src/node-agents/index.ts';
import { runCli, type Site, startCli, startSite } from '../../support/cli.ts';
import { until } from '../../support/until.ts';
import { batch, post, startService, statusRow, TOKEN, temporaryFolder } from '../telemetry/support.ts';

describe('status', () => {
  let site: Site;
  let folder: string;
  let socket_path: string;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'meshscope-status-'));
    socket_path = path.join(folder, 't.sock');
    const telemetry = ['--metrics-interval', '1', '--telemetry-socket', socket_path, '--metrics-listen', '127.0.0.1:0'];
    site = await startSite(['up', '--name', 'shown', ...telemetry, '--', 'sleep', '1000']);
    await site.cli.says(/metrics at http:\S+\/metrics/);
    await site.cli.says(/Stop:/);
  });

  afterAll(async () => {
    await site.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is well where everything is stored, and shows gateway, store and agents', async () => {
    const metrics = `select count(*) as n from metric_gauges where name = 'telemetry.rows_waiting'`;
    await until(async () => Number((await site.query(metrics))[0]?.n) > 0, 'metrics of the agent', 30_000);
    const { code, stdout } = await runCli(['status'], site.env);
    expect(stdout).toMatch(/^gateway .*http:/m);
    expect(stdout).toMatch(/store +\d+ rows, the newest \d+s ago; lost 0, in the last hour 0/);
    expect(stdout).toMatch(/^shown +\d+ +[\d.]+ [KMi]*B +disk +\d+s ago$/m);
    expect(stdout).toMatch(/^well$/m);
    expect(code).toBe(0);
  });

  it('needs no token for what the gateway counts, but does not call well what it could not ask', async () => {
    const nowhere = { ...site.env, MESHSCOPE_DATA: path.join(folder, 'none') };
    const { code, stdout } = await runCli(['status', '--json'], nowhere);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      problems: [expect.stringMatching(/^the store may not be asked: .*token/)],
      gateway: { hosts: 1 },
      store: null,
      store_trouble: 'not asked',
    });
    expect(code).toBe(4);
    const wrong = await runCli(['status'], { ...site.env, MESHSCOPE_TOKEN: 'a-token-that-is-not-the-one' });
    expect(wrong.stdout).toMatch(/^✗ the store may not be asked: the token is wrong/m);
    expect(wrong.stdout).not.toMatch(/^well$/m);
    expect(wrong.code).toBe(4);
  });

  it('tells who lost rows, and fails when that was within the last hour', async () => {
    const client = new EventClient({ socket_path, source: 'a lossy one' });
    // As many as a client drops whose collector is slow.
    for (let row = 0; row < 60_000; row += 1) client.emit('snapshots', ['s', row]);
    const lost = client.lostRows;
    expect(lost).toBeGreaterThan(0);
    expect(await client.close(20_000)).toBe(true);
    const losses = () => site.query('select lost_rows as n from telemetry_losses');
    await until(async () => Number((await losses())[0]?.n) === lost, 'the loss');
    const { code, stdout } = await runCli(['status'], site.env);
    expect(stdout).toMatch(new RegExp(`^a lossy one +${lost} +\\d+ +\\d+s ago$`, 'm'));
    expect(stdout).toContain(`✗ ${lost} rows were lost in the last hour`);
    expect(code).toBe(1);
  });
});

it('fails where the gateway has no store, and where there is no gateway', async () => {
  const site = await startSite(['gateway']);
  const alone = await runCli(['status'], site.env);
  expect([alone.code, alone.stdout]).toEqual([
    1,
    expect.stringContaining('✗ the gateway has no telemetry store: start "meshscope telemetry"'),
  ]);
  for (const args of [['query', 'select 1'], ['dumps'], ['dump', 'show', 'abc']]) {
    const { code, stderr } = await runCli(args, site.env);
    expect([code, stderr]).toEqual([1, expect.stringContaining('the gateway has no telemetry store: start')]);
  }
  await site.stop();
  expect((await runCli(['status'], site.env)).code).toBe(3);
});

it('fails where the store answers but stores nothing, as with a full disk', async () => {
  const folder = await temporaryFolder();
  const before = await startService(folder.path);
  const then_us = (Date.now() - LIMITS.status_silence_ms - 60_000) * 1_000;
  const old = batch(randomUUID(), 1, [statusRow(1, then_us)]);
  expect((await post(before.url, '/ingest', old)).status).toBe(200);
  await before.close();
  const paused = await startService(folder.path, { disk_free_min_bytes: 2 ** 50 });
  const env = { MESHSCOPE_TOKEN: TOKEN, MESHSCOPE_DATA: folder.path };
  const gateway = startCli(['gateway', '--port', '0', '--telemetry', paused.url], env);
  const [, url] = await gateway.says(/listening on (http:\S+)/);
  const { code, stdout } = await runCli(['status'], { ...env, MESHSCOPE_URL: url });
  expect(stdout).toMatch(/^store +1 row, the newest 2m \d+s ago; lost 0/m);
  expect(stdout).toMatch(/^✗ nothing has been stored for 2m \d+s: /m);
  expect(code).toBe(1);
  gateway.signal('SIGTERM');
  await gateway.ended;
  await paused.close();
  await folder.remove();
});

describe('options of an agent that make no sense', () => {
  it.each([
    [['--metrics-listen', '9464'], '--metrics-listen 9464: must be ADDR:PORT'],
    [
      ['--metrics-listen', '0.0.0.0:0'],
      '--metrics-listen 0.0.0.0:0 can be reached from other machines: say --insecure',
    ],
    [['--metrics-interval', '0'], '--metrics-interval 0: must be a whole number from 1 to 3600'],
    [['--spool-max', '1K'], '--spool-max 1K: must be a size of at least 1M'],
    [['--spool-max', 'much'], '--spool-max much: must be a size'],
    [['--telemetry-socket', `/${'x'.repeat(107)}`], 'the path of a socket has 1 to 107 bytes, this has 108'],
  ])('%j are refused', async (options, message) => {
    const { code, stderr } = await runCli(['agent', ...options], { MESHSCOPE_TOKEN: 'a-token-that-is-long-enough' });
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
