import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findTable, TABLES } from '../../src/contract/index.ts';

describe('the tables', () => {
  it('are 29 with 211 columns, and no name occurs twice', () => {
    expect(TABLES).toHaveLength(29);
    expect(TABLES.flatMap((table) => table.columns)).toHaveLength(211);
    expect(new Set(TABLES.map((table) => table.name)).size).toBe(29);
  });
});

describe('the columns of each table', () => {
  const recorded: Record<string, string[]> = JSON.parse(
    readFileSync(new URL('../fixtures/table-columns.json', import.meta.url), 'utf8'),
  );

  it.each(Object.entries(recorded))(
    '%s are, in order, type and nullability, those of a running mesh',
    (name, columns) => {
      const ours = findTable(name)?.columns.map(
        (column) => `${column.name}:${column.type}${column.nullable ? '?' : ''}`,
      );
      expect(ours).toEqual(columns);
    },
  );
});
