/** The Worker and its objects in workerd, where the runtime itself makes the difference. */
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { encodeRef, HOST_NAME_MAX_CHARS, TOKEN_HOSTS_MAX, TOKEN_NAME_MAX_CHARS } from '../../../src/contract/index.ts';
import worker from '../../../src/edge-gateway/targets/worker/worker.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { AUTHORIZED, rawRequest, TOKEN } from '../../support/gateway.ts';
import { untilAsleep } from '../../support/sleep.ts';
import { tokenDocument, tokenText } from '../../support/tokens.ts';
import { until } from '../../support/until.ts';
import { workerBundle } from '../../support/worker-bundle.ts';
import { startWorkerd, type WorkerdProcess } from '../../support/workerd.ts';

const bundle = workerBundle();
const started: WorkerdProcess[] = [];
const dialled: { drop(): void }[] = [];

afterEach(() => {
  vi.restoreAllMocks();
});

afterAll(async () => {
  for (const each of dialled) each.drop();
  await Promise.all(started.map((running) => running.close()));
});

async function start(variables: Readonly<Record<string, string>> = {}): Promise<WorkerdProcess> {
  const running = await startWorkerd(bundle(), { MESHSCOPE_SNAPSHOT_MS: '0', ...variables });
  started.push(running);
  return running;
}

async function dial(options: Parameters<typeof FakeAgent.open>[0]): Promise<FakeAgent> {
  const agent = await FakeAgent.open(options);
  dialled.push(agent);
  return agent;
}

describe.concurrent('a link that was closed, and whose peer never answers that it was', () => {
  it('stays closed when its object wakes', async () => {
    // Long enough for the object to sleep between two looks at whether the other is silent.
    const { url, output } = await start({ MESHSCOPE_HEARTBEAT_MS: '6000' });
    const other = await dial({ url, token: TOKEN, host: 'other' });
    other.hello();
    other.sync();
    const hung = await dial({ url, token: TOKEN, heartbeats: false });
    hung.hello();
    hung.sync();
    const status = async () => (await rawRequest(url, 'GET', `/v1/${encodeRef(hung.hostRef)}`, AUTHORIZED)).status;
    await until(async () => (await status()) === 200, 'the state');
    hung.socket.pause();
    await until(async () => (await status()) === 504, 'the link to be closed');
    const seen: number[] = [];
    await untilAsleep(output, async () => {
      seen.push(await status());
    });
    expect([...new Set(seen)]).toEqual([504]);
    expect(other.closeCode).toBeNull();
  }, 120_000);
});

describe.concurrent('what is kept with a socket', () => {
  it('has room for a token of as many hosts as there may be, with names as long as there may be', async () => {
    const hosts = Array.from(
      { length: TOKEN_HOSTS_MAX },
      (_, n) => `h${String(n).padStart(HOST_NAME_MAX_CHARS - 1, '0')}`,
    );
    const name = 'n'.repeat(TOKEN_NAME_MAX_CHARS);
    const { url } = await start({
      MESHSCOPE_TOKENS: JSON.stringify(tokenDocument({ [name]: { roles: ['agent'], hosts } })),
    });
    const { port } = new URL(url);
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/link`, 'meshscope.link.1', {
      headers: { authorization: `Bearer ${tokenText(name)}` },
    });
    const opened = new Promise((resolve) => {
      socket.once('open', () => resolve('open'));
      socket.once('error', (error) => resolve(error.message));
    });
    expect(await opened).toBe('open');
    socket.terminate();
  });

  it('is no more than a host name, however much the request named', async () => {
    const { url } = await start();
    const agent = await dial({ url, token: TOKEN, host: 'x'.repeat(20_000) });
    agent.hello({ host: 'x' });
    await until(() => agent.closeCode !== null, 'the end');
    expect(agent.frames('refuse')).toMatchObject([{ code: 'host_mismatch', retry: false }]);
  });
});

describe('a document', () => {
  it('that could not be read once is an error once', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    let reads = 0;
    const fetch = async () => {
      reads += 1;
      return reads === 1 ? new Response('no such thing', { status: 503 }) : new Response('{"a":1}');
    };
    const unused = { idFromName: () => ({}), get: () => ({ fetch }) };
    const env = { MESHSCOPE_TOKEN: TOKEN, ASSETS: { fetch }, SHARD: unused, DIRECTORY: unused };
    const read = async () => {
      const response = await worker.fetch(
        new Request('http://gateway/v1/schema', { headers: { ...AUTHORIZED, host: 'gateway' } }),
        env,
        { waitUntil: () => {} },
      );
      return [response.status, ((await response.json()) as { error?: { code: string } }).error?.code];
    };
    expect([await read(), await read(), await read()]).toEqual([
      [500, 'internal_error'],
      [200, undefined],
      [200, undefined],
    ]);
    expect(reads).toBe(2);
  });
});
