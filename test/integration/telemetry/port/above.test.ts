/** What is above the store knows its port and no engine. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it.each(['requests.ts', 'routes.ts', 'link.ts'])('%s imports nothing of the engine', (file) => {
  const text = readFileSync(new URL(`../../../../src/telemetry/service/${file}`, import.meta.url), 'utf8');
  const imported = [...text.matchAll(/from '([^']+)'/g)].map(([, name = '']) => name);
  const engine = imported.filter((name) =>
    /duckdb|\/store\.ts|sandbox|query-process|store-copy|writer|database|ddl|append/.test(name),
  );
  expect(engine).toEqual([]);
});
