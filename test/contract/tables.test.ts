import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderTables, TABLES_FILE } from '../../scripts/generate-tables-doc.ts';
import { TABLES } from '../../src/contract/index.ts';
import { table } from '../../src/contract/tables/definition.ts';

describe('the definition of each table', () => {
  it.each(TABLES)('$name says what a row and each column is', ({ row, columns }) => {
    expect(row).not.toBe('');
    for (const { meaning } of columns) {
      expect(meaning).toMatch(/^\S.*\S$/);
      expect(meaning).not.toMatch(/\.$|\||\n/);
    }
    expect(new Set(columns.map(({ name }) => name)).size).toBe(columns.length);
  });

  it.each(TABLES)('$name says by what its rows go', ({ group, rows_go, time_column, columns }) => {
    const byGroup = {
      core: ['age', 'number'],
      trace: ['age'],
      metric: ['age'],
      snapshot: ['capture'],
      pyspy: ['dump'],
    };
    expect(byGroup[group]).toContain(rows_go);
    const clock = columns.find(({ name }) => name === time_column);
    if (time_column !== null) expect(clock).toMatchObject({ type: 'i64', nullable: false });
    else expect(columns[0]?.name).toBe(rows_go === 'capture' ? 'snapshot_id' : 'dump_id');
  });

  it.each(['id u64', 'id u65 — of no type', 'id — of none', 'two words u64 — name', 'id u64 - no dash'])(
    'cannot have %j for a column',
    (line) => {
      const head = { row: 'x', rows_go: 'age', time_column: null } as const;
      expect(() => table('t', 'core', head, line)).toThrow(/table t: not a column/);
    },
  );
});

it('the page of tables is what its script makes of the definitions', () => {
  expect(readFileSync(TABLES_FILE, 'utf8'), 'run: npx node scripts/generate-tables-doc.ts').toBe(renderTables());
});
