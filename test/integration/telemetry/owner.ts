/** A telemetry service as a process of its own, for tests that kill it: `node owner.ts DATA_DIR [LIMITS_JSON]`. */
import { flushCompileCache } from 'node:module';
import { startService } from './support.ts';

const service = await startService(process.argv[2] ?? '', JSON.parse(process.argv[3] ?? '{}')).catch((error: unknown) =>
  String(error),
);
if (typeof service === 'string') {
  console.log(JSON.stringify({ error: service }));
  process.exit(1);
}
process.on('SIGTERM', () => void service.close().then(() => process.exit(0)));
console.log(JSON.stringify({ url: service.url, pid: process.pid }));
// One that is killed would not leave it to the next.
flushCompileCache();
