/** The Worker's bundle for the tests of one file: made before the first of them, gone after the last. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { bundleWorker } from './workerd.ts';

/** Gives the bundle's file, once a test runs. */
export function workerBundle(): () => string {
  let folder = '';
  let bundle = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'meshscope-worker-'));
    bundle = await bundleWorker(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return () => bundle;
}
