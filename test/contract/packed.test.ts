import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RowValue, TableRows } from '../../src/base/index.ts';
import {
  type ColumnType,
  countPackedRows,
  findTable,
  pack,
  ROWS_PER_BATCH_MAX,
  TABLES,
  unpack,
  unpackRows,
} from '../../src/contract/index.ts';

const VALUES: Record<ColumnType, fc.Arbitrary<RowValue>> = {
  u64: fc.oneof(fc.nat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }).map(String)),
  i64: fc.oneof(fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }).map(String)),
  i32: fc.integer(),
  u32: fc.integer({ min: 0, max: 0xffff_ffff }),
  f64: fc.double({ noNaN: true }),
  text: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('complete', 'failed', '\0', '\ufeffx')),
  flag: fc.boolean(),
};

const tables: fc.Arbitrary<TableRows> = fc
  .subarray([...TABLES], { minLength: 1, maxLength: 4 })
  .chain((chosen) =>
    fc.record(
      Object.fromEntries(
        chosen.map(({ name, columns }) => [
          name,
          fc.array(
            fc.tuple(
              ...columns.map(({ type, nullable }) =>
                nullable ? fc.option(VALUES[type], { nil: null }) : VALUES[type],
              ),
            ),
            { minLength: 1, maxLength: 20 },
          ),
        ]),
      ),
    ),
  );

function packed(rows: TableRows): Uint8Array {
  const outcome = pack(rows);
  if (!outcome.ok) throw new Error(outcome.failure.message);
  return outcome.value;
}

function errorOf(outcome: { ok: true } | { ok: false; failure: { message: string } }): string {
  return outcome.ok ? '' : outcome.failure.message;
}

const STATUS = [1, 2, 3, 'Idle', null];

describe('packed rows', () => {
  it('come back as they were, for every table, type and null', () => {
    fc.assert(
      fc.property(tables, (rows) => {
        const read = unpack(packed(rows));
        if (!read.ok) throw new Error(read.failure.message);
        expect(Object.fromEntries(read.value.map((table) => [table.table.name, unpackRows(table)]))).toEqual(rows);
      }),
      { numRuns: 300 },
    );
  });

  it('take 64-bit integers as bigints, too', () => {
    const read = unpack(packed({ actor_status_events: [[2n ** 64n - 1n, -1n, 0n, 'Idle', null]] }));
    expect(read.ok && read.value.map(unpackRows)).toEqual([[['18446744073709551615', -1, 0, 'Idle', null]]]);
  });

  it.each([
    [{ nowhere: [[1]] }, 'tables.nowhere: no such table'],
    [{ actor_status_events: [STATUS.slice(1)] }, 'tables.actor_status_events[0]: 4 values for 5 columns'],
    [{ actor_status_events: [STATUS, ['x', 2, 3, 'Idle', null]] }, '[1]: id: "x" is not u64'],
    [{ actor_status_events: [[-1, 2, 3, 'Idle', null]] }, '[0]: id: -1 is not u64'],
    [{ actor_status_events: [['18446744073709551616', 2, 3, 'Idle', null]] }, 'id: "18446744073709551616" is not u64'],
    [{ actor_status_events: [[1, 2.5, 3, 'Idle', null]] }, 'timestamp_us: 2.5 is not i64'],
    [{ actor_status_events: [[1, 2, 3, null, null]] }, 'new_status: null is not text'],
    [{ actor_status_events: [[1, 2, 3, '\ud800', null]] }, 'new_status: "\\ud800" is not text'],
    [{ children: [['s', 'p', 'c', 0, 1, false]] }, 'is_system: 1 is not flag'],
    [{ pyspy_dumps: [['d', 1, 2 ** 31, '', '', '', '']] }, 'pid: 2147483648 is not i32'],
  ] as [TableRows, string][])('are refused with table, row and column named: %j', (rows, message) => {
    expect(errorOf(pack(rows))).toContain(message);
  });

  it('are at most ROWS_PER_BATCH_MAX, over all tables', () => {
    const rows = (count: number) => ({
      snapshots: Array.from({ length: count - 1 }, () => ['s', 1]),
      nodes: [['s', 'n', 'host', 1]],
    });
    const most = unpack(packed(rows(ROWS_PER_BATCH_MAX)));
    expect(most.ok && countPackedRows(most.value)).toBe(ROWS_PER_BATCH_MAX);
    expect(errorOf(pack(rows(ROWS_PER_BATCH_MAX + 1)))).toContain('more than');
  });
});

describe('bytes that are no packed rows', () => {
  const good = packed({
    actor_status_events: Array.from({ length: 9 }, (_, row) => [row, 2, 3, 'Idle', row === 3 ? 'why' : null]),
    snapshots: [['s', 1]],
  });

  it('are refused wherever they are cut', () => {
    for (let length = 0; length < good.length; length += 1) {
      expect(errorOf(unpack(good.slice(0, length)))).toMatch(/^packed: /);
    }
    expect(errorOf(unpack(Uint8Array.from([...good, 0])))).toBe('packed: 1 bytes too many');
  });

  it('never give a column that cannot be read, whatever byte is changed', () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (place, byte) => {
        const changed = good.slice();
        changed[place] = byte;
        const read = unpack(changed);
        if (!read.ok) return;
        for (const table of read.value) {
          for (const row of unpackRows(table)) expect(row).toHaveLength(table.table.columns.length);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('are refused for a null in a column that has none, a wrong code, a flag of 2 and half a character', () => {
    const table = findTable('actor_status_events');
    expect(table?.columns[4]?.nullable).toBe(true);
    const flagged = packed({ children: [['s', 'p', 'c', 0, true, false]] });
    flagged[flagged.length - 8] = 2;
    expect(errorOf(unpack(flagged))).toContain('children.is_stopped: a flag is neither 0 nor 1');
    const coded = packed({
      snapshots: [
        ['s', 1],
        ['s', 2],
      ],
    });
    const codes = coded.length - 8 - 16 - 8;
    coded[codes] = 1;
    expect(errorOf(unpack(coded))).toContain('snapshots.snapshot_id: a code is not below 1');
    const texts = packed({
      snapshots: [
        ['é', 1],
        ['s', 2],
      ],
    });
    const half = texts.indexOf(0xc3);
    texts[half] = 0x73;
    expect(errorOf(unpack(texts))).toContain('snapshots.snapshot_id: not UTF-8');
  });
});
