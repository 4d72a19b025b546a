/**
 * The telemetry service as a process: `telemetry-owner.ts DATA_DIR TOKEN`. Its parent may ask it for `url`, and for `delay`:
 * how late its event loop was since it was last asked.
 */
import { startTelemetry } from '../src/telemetry/index.ts';
import { watchLoopDelay } from './loop-delay.ts';

const [data_dir = '', token = ''] = process.argv.slice(2);
const started = await startTelemetry({ data_dir, token });
if (!started.ok) throw new Error(started.failure.message);
const service = started.value;
const delay = watchLoopDelay();
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('message', (question) => {
  if (question === 'url') process.send?.(service.url);
  if (question === 'delay') process.send?.(delay());
});
