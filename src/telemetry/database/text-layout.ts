/**
 * Whether DuckDB still keeps texts as append.ts writes them: a layout of 16 bytes that no interface promises. Another version
 * of DuckDB could keep them otherwise, and then every text that is stored would be wrong. So the store writes a few texts into
 * a table in memory before it opens, and reads them back through DuckDB.
 */
import { DuckDBInstance } from '@duckdb/node-api';
import { failure, messageOf, type Outcome, success } from '../../base/index.ts';
import { type Column, type PackedTable, type PackedText, type Table, VERSION } from '../../contract/index.ts';
import { Appenders, TEXT_LAYOUT, type TextLayout } from './append.ts';
import { tableDdl } from './ddl.ts';

/** Around 4 bytes (the prefix), 8 and 12 (the longest inside the entry), and in several bytes a character. */
const INLINE_TEXTS = [
  '',
  'a',
  'abc',
  'abcd',
  'abcde',
  'ß',
  'abcdefgh',
  'abcdefghi',
  '日本語',
  'abcdefghijk',
  'abcdefghijkl',
];
const OUTSIDE_TEXTS = ['abcdefghijklm', '日本語日本', '🦆🦆🦆🦆', 'x'.repeat(300), 'é'.repeat(3_000)];

const COLUMN: Column = { name: 'value', type: 'text', nullable: false, meaning: 'any text' };

const TABLE: Table = {
  name: 'texts',
  group: 'trace',
  row: 'text',
  rows_go: 'number',
  time_column: null,
  columns: [COLUMN],
};

/**
 * @param layout what append.ts takes for DuckDB's. Default: the real one
 * @returns `internal_error`, naming the versions, when DuckDB reads other texts than were written
 */
export async function checkTextLayout(layout: TextLayout = TEXT_LAYOUT): Promise<Outcome<null>> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  try {
    const connection = await instance.connect();
    await connection.run(tableDdl(TABLE));
    const appenders = new Appenders(connection, undefined, layout);
    const [row] = (await connection.runAndReadAll('SELECT version()')).getRows();
    // Texts behind pointers last: with another layout DuckDB would follow an address that is none.
    for (const texts of [INLINE_TEXTS, [...INLINE_TEXTS, ...OUTSIDE_TEXTS]]) {
      for (const isDictionary of [false, true]) {
        await appenders.append(packed(texts, isDictionary));
        appenders.flush();
        const rows = await connection.runAndReadAll(`SELECT value FROM ${TABLE.name} ORDER BY rowid`);
        const read = rows.getRows().map(([value]) => String(value));
        if (JSON.stringify(read) !== JSON.stringify(texts)) return otherLayout(String(row?.[0]));
        await connection.run(`TRUNCATE ${TABLE.name}`);
      }
    }
    appenders.close();
    connection.closeSync();
    return success(null);
  } catch (error) {
    return failure('internal_error', `telemetry: DuckDB cannot be tried: ${messageOf(error)}`);
  } finally {
    instance.closeSync();
  }
}

function otherLayout(duckdb: string): Outcome<never> {
  return failure(
    'internal_error',
    `telemetry: DuckDB ${duckdb} keeps texts in another layout than meshscope ${VERSION} writes, so nothing can be stored; ` +
      'install the DuckDB version that meshscope asks for (npm ci)',
    { reason: 'text_layout', duckdb, meshscope: VERSION },
  );
}

function packed(texts: readonly string[], isDictionary: boolean): PackedTable {
  const bytes = Buffer.from(texts.join(''));
  const offsets = new Uint32Array(texts.length + 1);
  for (const [index, text] of texts.entries()) offsets[index + 1] = (offsets[index] ?? 0) + Buffer.byteLength(text);
  const codes = isDictionary ? Uint32Array.from(texts.keys()) : null;
  const text: PackedText = { bytes, offsets, codes };
  return { table: TABLE, rows: texts.length, columns: [{ column: COLUMN, validity: null, values: null, text }] };
}
