/**
 * The five rules of the house, as a function over a map from path (below src/) to source text:
 *
 *  1. contract/ imports valibot and itself, nothing else.
 *  2. edge-gateway, node-agents, telemetry and dashboard import contract/, packages and themselves, never each other.
 *  3. cli/ may import everything; nobody imports cli/.
 *  4. No file of edge-gateway outside targets/ names a runtime: `node:`, `Deno`, `cloudflare:`.
 *  5. A file in edge-gateway/targets has at most 150 lines.
 *
 * A test beside the code it tests keeps to the arrows between the parts, but may use any package and runtime.
 */
import { posix } from 'node:path';

const MIDDLE = ['edge-gateway', 'node-agents', 'telemetry', 'dashboard'];
const PARTS = ['contract', ...MIDDLE, 'cli'];
const TARGET_LINES_MAX = 150;

/** One line for each violation, beginning with the path; empty when the rules hold. */
export function findViolations(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, source]) => {
    const code = stripComments(source);
    return [...importViolations(path, code), ...runtimeViolations(path, code), ...sizeViolations(path, source)].map(
      (violation) => `${path}: ${violation}`,
    );
  });
}

function importViolations(path: string, code: string): string[] {
  const part = partOf(path);
  if (!PARTS.includes(part)) return [`is in no part of the house (${PARTS.join(', ')})`];
  return importsOf(code).flatMap((specifier) => {
    if (!specifier.startsWith('.')) {
      const allowed = part !== 'contract' || specifier === 'valibot' || isTest(path);
      return allowed ? [] : [`contract/ may import valibot only, not '${specifier}'`];
    }
    const target = partOf(posix.join(posix.dirname(path), specifier));
    if (target === part || part === 'cli') return [];
    if (target === 'contract') return [];
    return [`${part}/ may not import '${specifier}'`];
  });
}

function runtimeViolations(path: string, code: string): string[] {
  if (partOf(path) !== 'edge-gateway' || path.startsWith('edge-gateway/targets/') || isTest(path)) return [];
  // In code `node:` is also a property of a tree, so the two schemes count only where a specifier begins.
  const named = code.match(/(?<=['"`])(?:node|cloudflare):|\bDeno\b/g) ?? [];
  return named.map((name) => `names the runtime '${name}' outside targets/`);
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

function partOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function isTest(path: string): boolean {
  return /\.test\.tsx?$/.test(path);
}
