import { telemetryOverHttp } from '../../src/edge-gateway/index.ts';
import { startGateway, TOKEN } from '../support/gateway.ts';
import { conformance } from './conformance.ts';
import { type Start, TOKEN_SOURCE } from './start.ts';

const start: Start = async ({ telemetry_url, ...options } = {}) => {
  const telemetry = telemetry_url === undefined ? null : telemetryOverHttp({ url: telemetry_url, token: TOKEN });
  const gateway = await startGateway({ ...options, telemetry, tokenSource: TOKEN_SOURCE });
  return { url: gateway.url, port: gateway.port, version: '0.0.0-test', close: () => gateway.close() };
};

conformance('Node', start, { explainsUnreadableHeads: true });
