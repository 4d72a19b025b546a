import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { TABLES } from '../../src/contract/index.ts';

it('the tables are those of a running mesh, with its columns in order, type and nullability', () => {
  const fixture = new URL('../fixtures/table-columns.json', import.meta.url);
  const recorded: Record<string, string[]> = JSON.parse(readFileSync(fixture, 'utf8'));
  const ours = TABLES.map(({ name, columns }): [string, string[]] => [
    name,
    columns.map((column) => `${column.name}:${column.type}${column.nullable ? '?' : ''}`),
  ]);
  expect(Object.fromEntries(ours)).toEqual(recorded);
  expect(new Set(ours.map(([name]) => name)).size).toBe(ours.length);
});
