/** Compiles src/ to dist/ for the published package: Node strips no types under node_modules. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from './launch.mjs';
import { findNode, root } from './runtime.mjs';

const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
process.exitCode = await launch(findNode() ?? process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root });

// What the sources read at run time beside themselves: pages, generated schemas, SQL.
cpSync(join(root, 'src'), dist, { recursive: true, filter: (path) => !path.endsWith('.ts') });
