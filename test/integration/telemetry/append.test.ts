/** What is packed, unpacked and appended comes back from DuckDB as it was, for every table, and for texts of every kind. */

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cell } from '../../../src/base/index.ts';
import { type Column, pack, TABLES, type Table } from '../../../src/contract/index.ts';
import { Appenders } from '../../../src/telemetry/database/append.ts';
import { tableDdl } from '../../../src/telemetry/database/ddl.ts';
import { packRows, readPack } from '../../../src/telemetry/store/packs.ts';

let instance: DuckDBInstance;
let connection: DuckDBConnection;
let appenders: Appenders;

beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:');
  connection = await instance.connect();
  for (const table of TABLES) await connection.run(tableDdl(table));
  appenders = new Appenders(connection);
});

afterAll(() => {
  appenders.close();
  connection.closeSync();
  instance.closeSync();
});

async function append(table: Table, rows: readonly Cell[][]): Promise<void> {
  const packs = await packRows({ [table.name]: rows });
  if (!packs.ok) throw new Error(packs.failure.message);
  for (const pack of packs.value) for (const each of pack.tables) await appenders.append(each);
  appenders.flush();
}

/** The rows of a table as it has them, after which it is empty. */
async function takeRows(table: Table): Promise<unknown[][]> {
  const rows = (await connection.runAndReadAll(`SELECT * FROM ${table.name} ORDER BY rowid`)).getRows();
  await connection.run(`TRUNCATE ${table.name}`);
  return rows;
}

// Lengths around the 12 bytes that a text may have without a pointer, and the 4 of it that stand beside one.
const TEXT = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 16 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom('', '\0', 'a\0b', 'eleven char', 'twelve chars', 'thirteen char', 'twelve chars\0', '\0'.repeat(13)),
  fc.string({ unit: 'binary-ascii', minLength: 100, maxLength: 3_000 }),
);

function cellOf({ type, nullable }: Column): fc.Arbitrary<Cell> {
  const values: Record<Column['type'], fc.Arbitrary<Cell>> = {
    u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    i64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    i32: fc.integer(),
    u32: fc.nat(0xffff_ffff),
    f64: fc.double({ noNaN: true }),
    // DuckDB's texts are UTF-8, which has no lone surrogates.
    text: TEXT.map((text) => text.toWellFormed()),
    flag: fc.boolean(),
  };
  return nullable ? fc.option(values[type], { freq: 4 }) : values[type];
}

function expected(table: Table, rows: readonly Cell[][]): unknown[][] {
  return rows.map((row) =>
    row.map((cell, place) => {
      const type = table.columns[place]?.type;
      return cell !== null && (type === 'u64' || type === 'i64') ? BigInt(cell as bigint) : cell;
    }),
  );
}

describe('rows come back as they were', () => {
  test.each(TABLES.map((table) => [table.name, table] as const))('%s', async (_, table) => {
    const row = fc.tuple(...table.columns.map(cellOf)) as fc.Arbitrary<Cell[]>;
    // With few different rows texts repeat, and are packed as a dictionary.
    const rows = fc.oneof(
      fc.array(row, { minLength: 1, maxLength: 40 }),
      fc
        .tuple(fc.array(row, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 300 }))
        .map(([few, count]) => Array.from({ length: count }, (_, index) => few[index % few.length] ?? [])),
    );
    await fc.assert(
      fc.asyncProperty(rows, async (given) => {
        await append(table, given);
        expect(await takeRows(table)).toEqual(expected(table, given));
      }),
      { numRuns: 12 },
    );
  });

  test.each([1, 2_047, 2_048, 2_049, 4_096, 4_097, 10_000])('%i rows: the last chunk too', async (count) => {
    const table = TABLES.find(({ name }) => name === 'actor_status_events') as Table;
    const given = Array.from({ length: count }, (_, index): Cell[] => [
      2n ** 64n - 1n - BigInt(index),
      BigInt(index),
      BigInt(index * 3),
      ['Idle', 'Processing', 'a status of more than twelve bytes'][index % 3] ?? '',
      index % 5 === 0 ? null : `reason ${index} ${'é'.repeat(index % 9)}`,
    ]);
    await append(table, given);
    expect(await takeRows(table)).toEqual(given);
    // In one pack, as a producer sends them, that begins at no multiple of eight bytes, as it comes out of a channel.
    const bytes = pack({ [table.name]: given });
    if (!bytes.ok) throw new Error(bytes.failure.message);
    const moved = Buffer.alloc(bytes.value.length + 3);
    moved.set(bytes.value, 3);
    const read = readPack(moved.subarray(3));
    if (!read.ok) throw new Error(read.failure.message);
    for (const each of read.value.tables) await appenders.append(each);
    appenders.flush();
    expect(await takeRows(table)).toEqual(given);
  });
});

test('what was not flushed is given up, and the appenders open again', async () => {
  const table = TABLES.find(({ name }) => name === 'snapshots') as Table;
  const packs = await packRows({ snapshots: [['a', 1]] });
  if (!packs.ok) throw new Error(packs.failure.message);
  for (const pack of packs.value) for (const each of pack.tables) await appenders.append(each);
  appenders.close();
  expect(await takeRows(table)).toEqual([]);
  await append(table, [['b', 2n]]);
  expect(await takeRows(table)).toEqual([['b', 2n]]);
});
