import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { bundleWorker } from '../support/workerd.ts';
import { conformance } from './conformance.ts';
import { startOver, WORKER } from './worker.ts';

let folder = '';
let bundle = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshscope-worker-'));
  bundle = await bundleWorker(folder);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

conformance(
  'Cloudflare Workers, over 16 shards',
  startOver(() => bundle, 16),
  WORKER,
);
