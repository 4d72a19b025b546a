/** The generated schemas and OpenAPI document. That they are served, and hold, is in test/conformance/payloads.ts. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ASSETS_FOLDER, GENERATED_FILE, generateSchemas, renderModule } from '../../../scripts/generate-schemas.ts';
import { OPENAPI_DOCUMENT } from '../../../src/contract/generated/schemas.ts';
import { listDocuments } from '../../../src/edge-gateway/http/documents/in-memory.ts';

type Json = Record<string, unknown>;

it('committed is what is generated (SC-1, SC-2); if not, run node scripts/generate-schemas.ts', () => {
  expect(readFileSync(GENERATED_FILE, 'utf8')).toBe(renderModule(generateSchemas()));
});

it.each(Object.entries(listDocuments()))('assets/%s is what a gateway has in memory (SC-2)', (name, text) => {
  expect(readFileSync(ASSETS_FOLDER + name, 'utf8')).toBe(text);
});

/** Paths that every client of a mesh admin API knows. */
const KNOWN_PATHS = [
  '/v1/admin',
  '/v1/config/{proc_reference}',
  '/v1/pyspy/{proc_reference}',
  '/v1/pyspy_dump/{proc_reference}',
  '/v1/pyspy_profile_svg/{proc_reference}',
  '/v1/query',
  '/v1/root',
  '/v1/schema',
  '/v1/schema/admin',
  '/v1/schema/error',
  '/v1/tree',
  '/v1/{reference}',
];
/** Paths of ours beside them. */
const ADDED_PATHS = ['/metrics', '/SKILL.md', '/healthz', '/v1/events', '/v1/link', '/v1/openapi.json', '/v1/store'];

it('lists the paths that clients know and ours, each with the refusals that can occur', () => {
  const { paths } = OPENAPI_DOCUMENT as {
    paths: Record<string, Record<string, { responses: Json }>>;
  };
  expect(Object.keys(paths).sort()).toEqual([...KNOWN_PATHS, ...ADDED_PATHS].sort());
  for (const operations of Object.values(paths)) {
    for (const { responses } of Object.values(operations)) {
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['400', '403', '405', '500']));
    }
  }
  expect(Object.keys(paths['/v1/query']?.post?.responses ?? {})).toEqual(expect.arrayContaining(['413', '415', '422']));
});
