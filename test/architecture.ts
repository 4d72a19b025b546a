/**
 * The five floors of the house, as a function over a map from path (below src/) to source text:
 *
 *     5  cli/                                                    the composition root
 *     4  edge-gateway/ node-agents/ telemetry/ dashboard/ bridge/
 *     3  link/ client/ stacks/
 *     2  contract/
 *     1  base/
 *
 *  1. A part imports only from floors below its own; parts on one floor never import each other.
 *  2. base/ imports no package; contract/ imports valibot and no other.
 *  3. What runs on every runtime names none (`node:`, `Deno`, `cloudflare:`): base/, contract/, client/, stacks/, link/
 *     except link/dialling/, and edge-gateway/ except its targets/.
 *  4. A file in edge-gateway/targets has at most 150 lines.
 *  5. No file imports itself through others, type imports included.
 *
 * A test beside the code it tests keeps to the floors, but may use any package and runtime.
 */
import { posix } from 'node:path';

const FLOORS: readonly (readonly string[])[] = [
  ['base'],
  ['contract'],
  ['link', 'client', 'stacks'],
  ['edge-gateway', 'node-agents', 'telemetry', 'dashboard', 'bridge'],
  ['cli'],
];
const PARTS = FLOORS.flat();
const PACKAGES: Readonly<Record<string, readonly string[]>> = { base: [], contract: ['valibot'] };
const ON_EVERY_RUNTIME = ['base/', 'contract/', 'client/', 'stacks/', 'link/', 'edge-gateway/'];
const OF_ONE_RUNTIME = ['link/dialling/', 'edge-gateway/targets/'];
const TARGET_LINES_MAX = 150;

/** One line for each violation, beginning with the path; empty when the rules hold. */
export function findViolations(files: ReadonlyMap<string, string>): string[] {
  const ofOneFile = [...files].flatMap(([path, source]) => {
    const code = stripComments(source);
    return [...importViolations(path, code), ...runtimeViolations(path, code), ...sizeViolations(path, source)].map(
      (violation) => `${path}: ${violation}`,
    );
  });
  return [...ofOneFile, ...findCircles(files)];
}

/** Follows each import once, depth first; an import of a file on the way to the importing one closes a circle. */
function findCircles(files: ReadonlyMap<string, string>): string[] {
  const circles: string[] = [];
  const way: string[] = [];
  const seen = new Set<string>();
  const follow = (path: string): void => {
    if (way.includes(path)) {
      const [first = '', ...rest] = way.slice(way.indexOf(path));
      circles.push(`${first}: imports itself through ${[...rest, first].join(', ')}`);
    }
    if (seen.has(path)) return;
    seen.add(path);
    way.push(path);
    for (const specifier of importsOf(stripComments(files.get(path) ?? ''))) {
      if (specifier.startsWith('.')) follow(posix.join(posix.dirname(path), specifier));
    }
    way.pop();
  };
  for (const path of files.keys()) follow(path);
  return circles;
}

function importViolations(path: string, code: string): string[] {
  const part = partOf(path);
  if (!PARTS.includes(part)) return [`is in no part of the house (${PARTS.join(', ')})`];
  return importsOf(code).flatMap((specifier) => {
    if (!specifier.startsWith('.')) return packageViolations(path, part, specifier);
    const target = partOf(posix.join(posix.dirname(path), specifier));
    const isAllowed = target === part || (PARTS.includes(target) && floorOf(target) < floorOf(part));
    return isAllowed ? [] : [`${part}/ may not import '${specifier}'`];
  });
}

function packageViolations(path: string, part: string, specifier: string): string[] {
  const allowed = PACKAGES[part];
  // A runtime's own modules are the third rule's.
  if (allowed === undefined || allowed.includes(specifier) || specifier.includes(':') || isTest(path)) return [];
  return [`${part}/ may import ${allowed.join(', ') || 'no package'}, not '${specifier}'`];
}

function runtimeViolations(path: string, code: string): string[] {
  const isNeutral = ON_EVERY_RUNTIME.some((folder) => path.startsWith(folder));
  if (!isNeutral || OF_ONE_RUNTIME.some((folder) => path.startsWith(folder)) || isTest(path)) return [];
  // In code `node:` is also a property of a tree, so the two schemes count only where a specifier begins.
  const named = code.match(/(?<=['"`])(?:node|cloudflare):|\bDeno\b/g) ?? [];
  return named.map((name) => `names the runtime '${name}', but runs on every one`);
}

function sizeViolations(path: string, source: string): string[] {
  if (!path.startsWith('edge-gateway/targets/') || isTest(path)) return [];
  const lines = source.trimEnd().split('\n').length;
  return lines > TARGET_LINES_MAX ? [`has ${lines} lines; a target has at most ${TARGET_LINES_MAX}`] : [];
}

/** Specifiers of static imports, re-exports, side-effect imports and dynamic imports, types included. */
export function importsOf(code: string): string[] {
  const statements = code.matchAll(/^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm);
  const sideEffects = code.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm);
  const dynamic = code.matchAll(/\bimport\(\s*['"`]([^'"`]+)['"`]/g);
  return [...statements, ...sideEffects, ...dynamic].flatMap((match) => match[1] ?? []);
}

/** Strings are matched first and kept, so that a `//` inside one is not taken for a comment. */
function stripComments(source: string): string {
  return source.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, text: string | undefined) => text ?? '',
  );
}

function floorOf(part: string): number {
  return FLOORS.findIndex((floor) => floor.includes(part));
}

function partOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function isTest(path: string): boolean {
  return /\.test\.tsx?$/.test(path);
}
