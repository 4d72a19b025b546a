import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findViolations } from './architecture.ts';

const src = new URL('../src/', import.meta.url).pathname;

test('the sources keep to the five floors of the house, and no file imports itself through others', () => {
  const paths = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) => /\.tsx?$/.test(path));
  const files = new Map(paths.map((path) => [path, readFileSync(join(src, path), 'utf8')]));
  expect(files.size).toBeGreaterThan(0);
  expect(findViolations(files)).toEqual([]);
});

test.each([
  ['base/ importing a package', 'base/a.ts', "import { x } from 'valibot';"],
  ['base/ importing the floor above', 'base/a.ts', "import type { X } from '../contract/x.ts';"],
  ['base/ importing a runtime', 'base/a.ts', 'const fs = Deno.cwd();'],
  ['contract/ importing a package', 'contract/a.ts', "import { Hono } from 'hono';"],
  ['contract/ importing the runtime', 'contract/a.ts', "import 'node:fs';"],
  ['contract/ importing another part', 'contract/a.ts', "export * from '../telemetry/store.ts';"],
  ['the middle importing its neighbour', 'edge-gateway/a.ts', "import { b } from '../node-agents/b.ts';"],
  ['an import over several lines', 'telemetry/a.ts', "import {\n  type B,\n  c,\n} from '../dashboard/b.ts';"],
  ['a type import', 'node-agents/host/a.ts', "import type { B } from '../../telemetry/b.ts';"],
  ['a dynamic import', 'dashboard/a.ts', "const b = await import('../edge-gateway/b.ts');"],
  ['link/ importing its neighbour', 'link/a.ts', "import { b } from '../client/b.ts';"],
  ['link/ importing the floor above', 'link/a.ts', "import { b } from '../edge-gateway/b.ts';"],
  ['client/ importing a runtime', 'client/a.ts', "import { readFileSync } from 'node:fs';"],
  ['the side of a link that accepts naming a runtime', 'link/accepting/a.ts', "import { WebSocket } from 'node:http';"],
  ['a part importing cli/', 'node-agents/a.ts', "import { main } from '../cli/main.ts';"],
  ['an import that leaves src/', 'telemetry/a.ts', "import { x } from '../../scripts/x.mjs';"],
  ['the gateway importing a runtime', 'edge-gateway/hub.ts', "import { hash } from 'node:crypto';"],
  ['the gateway naming Deno', 'edge-gateway/hub.ts', "const port = Deno.env.get('PORT');"],
  ['the gateway importing from Workers', 'edge-gateway/hub.ts', "import { env } from 'cloudflare:workers';"],
  ['a long target', 'edge-gateway/targets/node.ts', 'x();\n'.repeat(151)],
  ['a file outside the parts', 'util.ts', 'export const x = 1;'],
])('catches %s', (_, path, source) => {
  expect(findViolations(new Map([[path, source]]))).toHaveLength(1);
});

test('catches a circle, over three files and a type import, once', () => {
  const files = {
    'link/a.ts': "import { b } from './calls/b.ts';",
    'link/calls/b.ts': "import type { C } from './c.ts';",
    'link/calls/c.ts': "export * from '../a.ts';\nimport { d } from './d.ts';",
    'link/calls/d.ts': 'export const d = 1;',
  };
  expect(findViolations(new Map(Object.entries(files)))).toEqual([
    'link/a.ts: imports itself through link/calls/b.ts, link/calls/c.ts, link/a.ts',
  ]);
});

test('allows two ways to one file', () => {
  const files = {
    'link/a.ts': "import { b } from './b.ts';\nimport { c } from './c.ts';",
    'link/b.ts': "import { c } from './c.ts';",
    'link/c.ts': 'export const c = 1;',
  };
  expect(findViolations(new Map(Object.entries(files)))).toEqual([]);
});

test.each([
  [
    'contract/ importing valibot and itself',
    'contract/a.ts',
    "import * as v from 'valibot';\nimport { b } from './b.ts';",
  ],
  [
    'a part importing from every floor below, and packages',
    'edge-gateway/a.ts',
    "import { Hono } from 'hono';\nimport { r } from '../contract/r.ts';\nimport { s } from '../link/s.ts';\nimport { o } from '../base/o.ts';",
  ],
  ['the dialling side of the link using a runtime', 'link/dialling/a.ts', "import { hash } from 'node:crypto';"],
  ['cli/ importing everything', 'cli/main.ts', "import { a } from '../node-agents/a.ts';\nimport 'node:fs';"],
  ['a property called node', 'edge-gateway/hub.ts', 'const reply = { node: payload };'],
  ['a runtime in a comment', 'edge-gateway/hub.ts', "// Deno has no such limit; see import('../cli/x.ts')\n"],
  [
    'a runtime in a target',
    'edge-gateway/targets/node.ts',
    "import { serve } from '@hono/node-server';\nimport 'node:http';",
  ],
  ['a target of 150 lines', 'edge-gateway/targets/node.ts', 'x();\n'.repeat(150)],
  [
    'a test using a runtime',
    'contract/a.test.ts',
    "import { readFileSync } from 'node:fs';\nimport { test } from 'vitest';",
  ],
])('allows %s', (_, path, source) => {
  expect(findViolations(new Map([[path, source]]))).toEqual([]);
});
