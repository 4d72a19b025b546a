/**
 * Bundles the gateway for Cloudflare Workers with one run of esbuild, as `wrangler deploy` and `wrangler dev` have it done.
 * The whole program has to stay within its budget (test/integration/gateway/worker-bundle.test.ts), since a Worker
 * loads it anew wherever it runs.
 *
 *   node scripts/build-worker.mjs [FOLDER]   writes worker.js and worker.js.map; default dist-worker
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = resolve(root, process.argv[2] ?? 'dist-worker');

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/edge-gateway/targets/worker/worker.ts'],
  outfile: join(folder, 'worker.js'),
  bundle: true,
  format: 'esm',
  target: 'es2024',
  conditions: ['workerd', 'worker', 'browser'],
  external: ['node:*'],
  minify: true,
  sourcemap: true,
  write: false,
});

mkdirSync(folder, { recursive: true });
for (const { path, contents } of outputFiles) {
  // Renamed into place, so that whoever reads meanwhile gets the old file or the new one, whole.
  const written = join(folder, `.${basename(path)}.${process.pid}`);
  writeFileSync(written, contents);
  renameSync(written, path);
}
const code = outputFiles.find(({ path }) => path.endsWith('.js')).contents;
console.log(`worker.js: ${code.length} bytes, ${gzipSync(code).length} gzipped`);
