/** How the conformance suite starts the gateway on Cloudflare Workers, and what that runtime cannot have. */
import { VERSION } from '../../src/contract/index.ts';
import { startWorkerd } from '../support/workerd.ts';
import type { Capabilities, Start, StartOptions } from './start.ts';

export const WORKER: Capabilities = {
  explainsUnreadableHeads: false,
  readsAnyTarget: false,
  explainsHandshakes: false,
  drains: false,
};

/** The log is JSON, a line for each message. */
function messagesOf(output: string): string {
  const lines = output.split('\n').filter((line) => line.startsWith('{"level"') && line.endsWith('}'));
  return lines.map((line) => JSON.parse(line).message).join('\n');
}

/**
 * @param bundle gives the Worker's file; asked when a gateway is started
 * @param shards over how many objects the mesh is spread
 */
export function startOver(bundle: () => string, shards: number): Start {
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
    const running = await startWorkerd(bundle(), Object.fromEntries(variables), host);
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
