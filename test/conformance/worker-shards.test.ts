import { workerBundle } from '../support/worker-bundle.ts';
import { conformance } from './conformance.ts';
import { startOver, WORKER } from './worker.ts';

conformance('Cloudflare Workers, over 16 shards', startOver(workerBundle(), 16), WORKER);
