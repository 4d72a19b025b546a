import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { batchError, type EventBatch, findTable, ROWS_PER_BATCH_MAX, TABLES } from '../../src/contract/index.ts';

const PRODUCER = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff';

function batch(tables: EventBatch['tables']): EventBatch {
  return { producer: PRODUCER, seq: 1, lost_rows: 0, tables };
}

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

describe('a batch', () => {
  const status = ['15219662858440215073', 1_700_000_000_000_000, '1', 'Failed', null];

  it('is taken when every row fits its table, 64-bit ids as decimal text', () => {
    expect(batchError(batch({ actor_status_events: [status] }))).toBeNull();
  });

  it.each([
    [{ nope: [] }, 'tables.nope: no such table'],
    [{ snapshots: [['x']] }, 'tables.snapshots[0]: 1 values for 2 columns'],
    [{ snapshots: [['x', 'y']] }, 'tables.snapshots[0]: snapshot_ts: "y" is not i64'],
    [{ snapshots: [[null, 1]] }, 'tables.snapshots[0]: snapshot_id: null is not text'],
    [{ actor_status_events: [['18446744073709551616', 1, 1, 'x', null]] }, 'id: "18446744073709551616" is not u64'],
    [{ actor_status_events: [[-1, 1, 1, 'x', null]] }, 'id: -1 is not u64'],
    [{ actor_status_events: [[2 ** 53, 1, 1, 'x', null]] }, 'id: 9007199254740992 is not u64'],
    [{ actor_status_events: [[1, 1.5, 1, 'x', null]] }, 'timestamp_us: 1.5 is not i64'],
  ] as [EventBatch['tables'], string][])('is refused with table, row and column named: %j', (tables, message) => {
    expect(batchError(batch(tables))).toContain(message);
  });

  it('has at most so many rows', () => {
    const rows = (count: number) => Array.from({ length: count }, (_, index) => [`s${index}`, index]);
    expect(batchError(batch({ snapshots: rows(ROWS_PER_BATCH_MAX) }))).toBeNull();
    expect(batchError(batch({ snapshots: rows(ROWS_PER_BATCH_MAX + 1) }))).toContain('more than');
  });
});
