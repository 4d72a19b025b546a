/** The OpenAPI document in itself. That every answer is one it lists is held by test/support/openapi.ts. */
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { expect, it } from 'vitest';
import { OPENAPI_DOCUMENT } from '../../src/contract/generated/schemas.ts';
import { ERROR_STATUS } from '../../src/contract/index.ts';

interface Operation {
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly responses: Record<string, { readonly $ref?: string }>;
}

const { paths, components, security } = OPENAPI_DOCUMENT as {
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, { headers?: object }> };
  security: readonly object[];
};
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.values(methods).map((operation) => [path, operation] as const),
);

it('passes an independent linter, its strict rules, without an error or a warning', async () => {
  const config = await createConfig({ extends: ['recommended-strict'] });
  const source = JSON.stringify(OPENAPI_DOCUMENT);
  const problems = await lintFromString({ source, absoluteRef: 'openapi.json', config });
  expect(problems.map(({ message, location }) => `${location[0]?.pointer}: ${message}`)).toEqual([]);
});

it('the linter would find what is wrong', async () => {
  const config = await createConfig({ extends: ['recommended-strict'] });
  const source = JSON.stringify(OPENAPI_DOCUMENT).replace('schemas/AdminInfo', 'schemas/Nobody');
  const problems = await lintFromString({ source, absoluteRef: 'openapi.json', config });
  expect(problems.map(({ ruleId }) => ruleId)).toContain('no-unresolved-refs');
});

it('has a component for the status of every error code, with the headers that go with it', () => {
  const listed = new Set(operations.flatMap(([, { responses }]) => Object.keys(responses)));
  for (const status of Object.values(ERROR_STATUS)) expect(listed).toContain(String(status));
  expect(components.responses.Unauthorized?.headers).toHaveProperty('WWW-Authenticate');
  expect(components.responses.MethodNotAllowed?.headers).toHaveProperty('Allow');
  expect(components.responses.Unavailable?.headers).toHaveProperty('Retry-After');
});

it('says of every operation what it needs: nothing for /healthz, always somebody for the links', () => {
  expect(security).toContainEqual({});
  for (const [path, operation] of operations) {
    const needs = operation.security ?? security;
    if (path === '/healthz') expect(needs).toEqual([]);
    else
      expect([path, needs.some((each) => 'bearer' in each), 'mutualTLS' in (needs[1] ?? {})]).toEqual([
        path,
        true,
        true,
      ]);
    if (path === '/v1/link' || path === '/v1/store') expect(needs).not.toContainEqual({});
    expect([path, '401' in operation.responses]).toEqual([path, path !== '/healthz']);
  }
});
