import { readFileSync } from 'node:fs';
import { runDeno } from '../support/deno.ts';
import { TokensFile } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { conformance } from './conformance.ts';
import type { Start } from './start.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

const start: Start = async (options = {}) => {
  const file = options.tokens === undefined ? null : new TokensFile(options.tokens);
  const { host, anonymous, allowed_hosts, telemetry_url, heartbeat_ms } = options;
  const flags = Object.entries({
    port: 0,
    'snapshot-ms': 0,
    host,
    anonymous,
    'allow-host': allowed_hosts?.join(','),
    telemetry: telemetry_url,
    'heartbeat-ms': heartbeat_ms,
    tokens: file?.name,
  }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)]));
  const { output, exited, signal } = runDeno(flags, file === null ? {} : { readable: file.name });
  let isOver = false;
  exited.then(
    () => {
      isOver = true;
    },
    () => {},
  );
  const readyUrl = () => /listening on (http:\S+)\n/.exec(output.out)?.[1];
  await until(() => readyUrl() !== undefined || isOver, 'the ready line');
  const url = readyUrl();
  if (url === undefined) throw new Error(`the gateway did not start: ${output.error}`);
  const close = async () => {
    signal('SIGTERM');
    const status = await exited;
    file?.remove();
    if (status !== 0) throw new Error(`the gateway ended with ${status}: ${output.error}`);
  };
  return { url, port: Number(new URL(url).port), version, log: () => output.error, close };
};

conformance('Deno', start, {
  explainsUnreadableHeads: false,
  readsAnyTarget: true,
  explainsHandshakes: true,
  drains: true,
});
