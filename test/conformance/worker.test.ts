import { workerBundle } from '../support/worker-bundle.ts';
import { conformance } from './conformance.ts';
import { startOver, WORKER } from './worker.ts';

conformance('Cloudflare Workers', startOver(workerBundle(), 1), WORKER);
