import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { VERSION } from '../../src/contract/index.ts';
import { bundleWorker, startWorkerd } from '../support/workerd.ts';
import { conformance } from './conformance.ts';
import type { Start, StartOptions } from './start.ts';

let folder = '';
let bundle = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshscope-worker-'));
  bundle = (await bundleWorker(folder)).file;
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** The log is JSON, a line for each message. */
function messagesOf(output: string): string {
  const lines = output.split('\n').filter((line) => line.startsWith('{"level"') && line.endsWith('}'));
  return lines.map((line) => JSON.parse(line).message).join('\n');
}

/** @param shards over how many objects the mesh is spread. */
function startOver(shards: number): Start {
  return async (options: StartOptions = {}) => {
    const { host, anonymous = 'topology', allowed_hosts = [], telemetry_url, heartbeat_ms, tokens } = options;
    const variables = Object.entries({
      MESHSCOPE_SHARDS: shards,
      MESHSCOPE_SNAPSHOT_MS: 0,
      MESHSCOPE_HEARTBEAT_MS: heartbeat_ms,
      MESHSCOPE_ANONYMOUS: anonymous,
      // What a gateway on loopback allows by itself: a Worker cannot know where it is served.
      MESHSCOPE_ALLOW_HOST: ['localhost', '127.0.0.1', '[::1]', ...allowed_hosts].join(','),
      MESHSCOPE_TELEMETRY: telemetry_url,
      MESHSCOPE_TOKENS: tokens === undefined ? undefined : JSON.stringify(tokens),
    }).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
    const running = await startWorkerd(bundle, Object.fromEntries(variables), host);
    const { port } = new URL(running.url);
    return {
      url: running.url,
      port: Number(port),
      version: VERSION,
      log: () => messagesOf(running.output.text),
      close: () => running.close(),
    };
  };
}

conformance('Cloudflare Workers', startOver(1), {
  explainsUnreadableHeads: false,
  readsAnyTarget: false,
  explainsHandshakes: false,
});
