/**
 * Bundles the gateway for Cloudflare Workers, as `wrangler deploy` and `wrangler dev` have it done: esbuild puts it together,
 * terser makes it small. The whole program has to stay within 40 KiB gzipped (test/integration/gateway/worker-bundle.test.ts), since a
 * Worker loads it anew wherever it runs.
 *
 *   node scripts/build-worker.mjs [FOLDER]   writes worker.js and worker.js.map; default dist-worker
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = resolve(root, process.argv[2] ?? 'dist-worker');

/** What Hono has for forms and for applications inside of others: the gateway reads bodies itself, and is one. */
const UNUSED = { 'utils/body.js': 'parseBody', 'utils/mount.js': 'createMountedRequest' };

const withoutUnused = {
  name: 'without what is never called',
  setup(plugin) {
    plugin.onLoad({ filter: /hono[/\\]dist[/\\]utils[/\\](body|mount)\.js$/ }, ({ path }) => {
      const name = Object.entries(UNUSED).find(([file]) => path.replaceAll('\\', '/').endsWith(file))?.[1];
      return { contents: `export function ${name}() { throw new Error('${name} is not in this bundle'); }` };
    });
  },
};

const bundled = await build({
  absWorkingDir: root,
  entryPoints: ['src/edge-gateway/targets/worker/worker.ts'],
  outfile: join(folder, 'worker.js'),
  bundle: true,
  format: 'esm',
  target: 'es2024',
  conditions: ['workerd', 'worker', 'browser'],
  external: ['node:*'],
  // Both make names short, and together they leave fewer different ones than either alone.
  minify: true,
  treeShaking: true,
  sourcemap: 'external',
  write: false,
  plugins: [withoutUnused],
});
const [map, code] = bundled.outputFiles;
const small = await minify(code.text, {
  module: true,
  ecma: 2020,
  compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true, pure_getters: true },
  sourceMap: { content: map.text, filename: 'worker.js', url: 'worker.js.map' },
});

mkdirSync(folder, { recursive: true });
// Whole at once, so that nobody who reads meanwhile gets a half.
for (const [name, text] of [
  ['worker.js', small.code],
  ['worker.js.map', small.map],
]) {
  const written = join(folder, `.${name}.${process.pid}`);
  writeFileSync(written, text);
  renameSync(written, join(folder, name));
}
console.log(`worker.js: ${small.code.length} bytes, ${gzipSync(small.code).length} gzipped`);
