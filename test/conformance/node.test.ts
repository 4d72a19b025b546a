import { telemetryOverHttp, tokensFromFile } from '../../src/edge-gateway/index.ts';
import { nodeTokenFile } from '../../src/edge-gateway/targets/node/tokens.ts';
import { startGateway, TOKEN } from '../support/gateway.ts';
import { TokensFile } from '../support/tokens.ts';
import { conformance } from './conformance.ts';
import { type Start, TOKEN_SOURCE } from './start.ts';

const start: Start = async ({ telemetry_url, tokens: document, ...options } = {}) => {
  const telemetry = telemetry_url === undefined ? null : telemetryOverHttp({ url: telemetry_url, token: TOKEN });
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  const log = { info: say, warn: say };
  const file = new TokensFile(document ?? { version: 1, tokens: [] });
  const tokens = tokensFromFile(nodeTokenFile(file.name), false, log);
  if (!tokens.ok) throw new Error(tokens.failure.message);
  const gateway = await startGateway({ ...options, telemetry, log, tokens: tokens.value, tokenSource: TOKEN_SOURCE });
  const close = async () => {
    await gateway.close();
    file.remove();
  };
  return { url: gateway.url, port: gateway.port, version: '0.0.0-test', log: () => lines.join('\n'), close };
};

conformance('Node', start, {
  explainsUnreadableHeads: true,
  readsAnyTarget: true,
  explainsHandshakes: true,
  drains: true,
});
