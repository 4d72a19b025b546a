/**
 * A host agent that has nothing to look at but its telemetry, as a process: `telemetry-agent.ts URL TOKEN FOLDER`. Its parent
 * may ask it for `socket`, where procs hand in theirs, and for `delay`: how late its event loop was since it was last asked.
 */
import { join } from 'node:path';
import { startHostAgent } from '../src/node-agents/index.ts';
import { watchLoopDelay } from './loop-delay.ts';

const [gateway_url = '', token = '', folder = ''] = process.argv.slice(2);
const delay = watchLoopDelay();
const started = await startHostAgent({
  gateway_url,
  token,
  host_name: 'bench-telemetry',
  version: 'bench',
  spool_dir: join(folder, 'spool'),
  telemetry_socket: join(folder, 't.sock'),
  log: (level, message) => level !== 'info' && console.error(message),
});
if (!started.ok) throw new Error(started.failure.message);
const agent = started.value;
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('message', (question) => {
  if (question === 'socket') process.send?.(agent.telemetry_socket);
  if (question === 'delay') process.send?.(delay());
});
