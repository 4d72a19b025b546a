/**
 * The command line in a few scripts: the same program, which starts in a third of the time, for tests that start it a hundred
 * times. Its agent dials again at once when its gateway is gone (quick-redial.ts).
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { MAIN } from './cli.ts';

const QUICK_REDIAL = fileURLToPath(new URL('./quick-redial.ts', import.meta.url));

/** @returns the path of the script to start, in `folder` */
export async function bundleCli(folder: string): Promise<string> {
  const contents = `import ${JSON.stringify(QUICK_REDIAL)}; import ${JSON.stringify(MAIN)};`;
  await build({
    stdin: { contents, resolveDir: path.dirname(MAIN), sourcefile: 'bundled.ts', loader: 'ts' },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // So that each command loads no more than it does otherwise.
    splitting: true,
    platform: 'node',
    format: 'esm',
    external: ['@duckdb/*'],
    // The package says that importing its modules has no effects; that of these two has nothing else.
    ignoreAnnotations: true,
    // Packages that are CommonJS ask for Node's own modules in its way.
    banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
    logLevel: 'error',
  });
  return path.join(folder, 'stdin.mjs');
}
