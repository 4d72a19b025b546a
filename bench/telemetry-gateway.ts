/** A gateway in front of a telemetry service, as a process: `telemetry-gateway.ts URL TOKEN`. It may be asked for `url`. */
import { telemetryOverHttp } from '../src/edge-gateway/store/http-store.ts';
import { startGateway } from '../test/support/gateway.ts';

const [url = '', token = ''] = process.argv.slice(2);
const gateway = await startGateway({ telemetry: telemetryOverHttp({ url, token }) });
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('message', () => process.send?.(gateway.url));
