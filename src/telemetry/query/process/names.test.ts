import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../limits.ts';
import { statementParts } from './check.ts';
import { checkTree } from './check-tree.ts';
import { FUNCTIONS, OPERATOR, TABLE_FUNCTIONS } from './names.ts';

/** Names that the parser gives to syntax, or that are resolved before functions are looked up. */
const GRAMMAR = new Set(['coalesce', 'if', 'ifnull', 'count_star', 'current_time', 'current_timestamp', 'localtime']);
GRAMMAR.add('localtimestamp');
/** Words in the names of what must never be on a list. */
const DANGEROUS =
  /read_|scan|glob|setting|secret|getenv|variable|sleep|attach|copy|query|execute|plan|log_|extension|nextval|currval|write/;

let instance: DuckDBInstance;
let connection: DuckDBConnection;

beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:');
  connection = await instance.connect();
});

afterAll(() => {
  connection.closeSync();
  instance.closeSync();
});

async function namesOf(types: string): Promise<Set<string>> {
  const sql = `select distinct lower(function_name) from duckdb_functions() where function_type in (${types})`;
  return new Set((await connection.runAndReadAll(sql)).getRows().map((row) => String(row[0])));
}

async function refusalOf(sql: string): Promise<string | null> {
  const parts = statementParts(sql, LIMITS);
  if (!parts.ok) return parts.failure.message;
  const reader = await connection.runAndReadAll('select json_serialize_sql(?::varchar)', [parts.value.query]);
  const checked = checkTree(String(reader.getRows()[0]?.[0]), LIMITS);
  return checked.ok ? null : checked.failure.message;
}

describe('the lists of names', () => {
  test('hold only what this DuckDB has, and nothing whose name promises files, settings or SQL from text', async () => {
    const functions = await namesOf("'scalar', 'aggregate', 'macro', 'table'");
    expect([...FUNCTIONS].filter((name) => !GRAMMAR.has(name) && !functions.has(name.toLowerCase()))).toEqual([]);
    const tableFunctions = await namesOf("'table', 'table_macro'");
    expect([...TABLE_FUNCTIONS].filter((name) => !tableFunctions.has(name))).toEqual([]);
    expect([...FUNCTIONS, ...TABLE_FUNCTIONS].filter((name) => DANGEROUS.test(name))).toEqual([]);
  });

  test('every operator of this DuckDB is one by its name, and no function is', async () => {
    const all = await namesOf("'scalar', 'aggregate', 'macro', 'table', 'table_macro'");
    const [operators, words] = [
      [...all].filter((name) => OPERATOR.test(name)),
      [...all].filter((name) => /\w/.test(name)),
    ];
    expect(operators.length).toBeGreaterThan(20);
    expect([...all].filter((name) => !operators.includes(name) && !words.includes(name))).toEqual([]);
    expect(operators.filter((name) => /[a-z0-9]/i.test(name))).toEqual([]);
  });
});

describe('the check', () => {
  test.each([
    ["select * from read_text('x')", 'table function read_text'],
    ["select getenv('x')", 'function getenv'],
    ["select * from 'x.csv'", '"x.csv"'],
    ['select * from meshscope.producers', '"meshscope.producers"'],
    ['select * from a.b.c', 'a.b.c'],
    ['select 1; select 2', '2 statements'],
    ['drop table actors', 'only one SELECT'],
    ['', 'empty'],
    ['selec', 'Parser Error'],
    ['select ?', 'parameters'],
    ['with "a.b" as (select 1) select 1', '"a.b"'],
  ])('names what it refuses: %s', async (sql, named) => {
    expect(await refusalOf(sql)).toContain(named);
  });

  test('a name from WITH holds inside its query, after its place in the list, and nowhere else', async () => {
    const inScope = 'with a as (select 1), b as (select * from a) select * from b, (select * from a) c';
    expect(await refusalOf(inScope)).toBeNull();
    expect(await refusalOf('with a as (select * from b), b as (select 1) select * from a')).toContain('"b"');
    expect(await refusalOf('select * from (with a as (select 1) from a) x, a')).toContain('"a"');
    expect(await refusalOf('with a as (select * from a) select * from a')).toContain('"a"');
    expect(await refusalOf('with recursive a as (select 1 union select * from a) from a')).toBeNull();
    expect(await refusalOf('with recursive a as (select * from a union select 1) from a')).toContain('"a"');
  });

  test('what runs is what was checked, whatever stands before EXPLAIN', () => {
    for (const [sql, head, query] of [
      ['select 1', '', 'select 1'],
      ['-- a\n/* b **/ Explain\tselect 1', 'Explain', '\tselect 1'],
      ['explain analyze(select 1)', 'explain analyze', '(select 1)'],
      // DuckDB nests comments and ends a line at a carriage return.
      ["/* /* */ explain select ' */ pragma database_list --'", 'explain', " select ' */ pragma database_list --'"],
      ['--\r pragma database_list /*\n explain select 1 --*/', 'explain', ' select 1 --*/'],
    ] as const) {
      expect(statementParts(sql, LIMITS)).toEqual({ ok: true, value: { head, query } });
    }
  });

  test('comments before the query take no time', () => {
    const begin = performance.now();
    for (const comment of ['/**/', '/***/', '--\n', '/*', '--']) {
      const sql = `${comment.repeat(10_000)} select 1`;
      expect(statementParts(sql, LIMITS)).toEqual({ ok: true, value: { head: '', query: sql } });
    }
    expect(performance.now() - begin).toBeLessThan(1_000);
  });
});
