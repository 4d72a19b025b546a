/**
 * The gateway on Node as a process: `node-gateway.ts PORT [--count]`. Its parent may ask it for `url`, for `heap` (bytes in
 * use after a collection, with --expose-gc), for `delay` of its event loop since it was last asked and, with --count, for
 * `serialisations`: calls of JSON.stringify so far.
 */
import { startGateway } from '../test/support/gateway.ts';
import { watchLoopDelay } from './loop-delay.ts';

const [port = '0', mode] = process.argv.slice(2);
let serialisations = 0;
const stringify = JSON.stringify;
if (mode === '--count') {
  JSON.stringify = ((...args: Parameters<typeof stringify>) => {
    serialisations += 1;
    return stringify(...args);
  }) as typeof stringify;
}

const gateway = await startGateway({ port: Number(port) });
const delay = watchLoopDelay();
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('message', (question) => {
  if (question === 'url') process.send?.(gateway.url);
  if (question === 'serialisations') process.send?.(serialisations);
  if (question === 'delay') process.send?.(delay());
  if (question === 'heap') {
    globalThis.gc?.();
    process.send?.(process.memoryUsage().heapUsed);
  }
});
