import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleWorker } from '../../support/workerd.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const BUNDLE_MAX_BYTES = 96 * 1_024;

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshscope-bundle-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the Worker as it is deployed', () => {
  it('is at most 96 KiB gzipped', async () => {
    const code = await readFile(await bundleWorker(folder));
    expect(gzipSync(code).length).toBeLessThanOrEqual(BUNDLE_MAX_BYTES);
  });

  it('is taken by wrangler without a warning, with its objects, documents and variables', async () => {
    const wrangler = join(root, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
    const env = { ...process.env, CI: '1', WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG_PATH: folder };
    const words = [wrangler, 'deploy', '--dry-run', '--outdir', join(folder, 'out')];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, words, { cwd: root, env });
    expect(`${stdout}${stderr}`).not.toMatch(/warning/i);
    for (const binding of ['env.SHARD (HubShard)', 'env.DIRECTORY (HubDirectory)', 'env.ASSETS']) {
      expect(stdout).toContain(binding);
    }
  });
});
