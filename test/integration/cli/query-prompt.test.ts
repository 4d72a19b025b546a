/** `meshscope query`: its prompt in a real terminal, standard input elsewhere, and the forms of its output. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { tableFromIPC } from '@uwdata/flechette';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/cli/limits.ts';
import { CATALOG_SQL, complete, readCatalog } from '../../../src/cli/query/catalog.ts';
import { historyFile, readHistory, writeHistory } from '../../../src/cli/query/history.ts';
import { readTyped } from '../../../src/cli/query/statement.ts';
import { TABLES } from '../../../src/contract/index.ts';
import { MAIN, runCli, type Site, startSite } from '../../support/cli.ts';
import { startTerminal, type Terminal } from '../../support/terminal.ts';

let site: Site;
let state: string;
let terminal: Terminal | null = null;

beforeAll(async () => {
  state = mkdtempSync(path.join(tmpdir(), 'meshscope-state-'));
  site = await startSite(['up', '--quiet', '--', 'sleep', '1000']);
});

afterEach(async () => {
  terminal?.kill();
  terminal = null;
});

afterAll(async () => {
  await site.stop();
  rmSync(state, { recursive: true, force: true });
});

async function prompt(env: Record<string, string> = {}): Promise<Terminal> {
  terminal = startTerminal([process.execPath, MAIN, 'query'], { ...site.env, XDG_STATE_HOME: state, ...env });
  await terminal.shows(/tables and views; \\\? helps\n.*meshscope> $/);
  return terminal;
}

describe('the prompt', () => {
  it('runs statements over several lines, and shows rows and time', async () => {
    const { type, shows } = await prompt();
    type('select 18446744073709551615::ubigint as big,\r');
    await shows(/\.\.\.> $/);
    type('null as nothing -- not yet;\r;\r');
    expect(await shows(/meshscope> $/)).toMatch(
      /big +nothing\n18446744073709551615 +-\n\(1 row, \d+ ms\)\nmeshscope> $/,
    );
  });

  it('shows an error with the place that it means, and goes on', async () => {
    const { type, shows } = await prompt();
    type('select nope from actors;\r');
    expect(await shows(/meshscope> $/)).toMatch(
      /\nerror: .*Referenced column "nope" not found[^\n]*\n(?:Candidate[^\n]*\n)?LINE 1: select nope from actors\n +\^\nmeshscope> $/,
    );
    type('drop table actors;\r');
    expect(await shows(/meshscope> $/)).toMatch(/\nerror: sql: only one SELECT[^\n]*\nmeshscope> $/);
    type('select 7 as seven;\r');
    await shows(/seven\n7\n\(1 row/);
  });

  it('knows its commands', async () => {
    const { type, shows } = await prompt();
    type('\\dt\r');
    const tables = await shows(/meshscope> $/);
    expect(tables.match(/ table +\d+/g)).toHaveLength(TABLES.length);
    type('\\d\r');
    expect(await shows(/meshscope> $/)).toMatch(/actor_current +view +8\n/);
    type('\\d actors\r');
    expect(await shows(/meshscope> $/)).toMatch(/display_name +VARCHAR +may be null\n/);
    type('\\d nowhere\r');
    await shows(/error: there is no table or view nowhere; \\d lists them\n/);
    type('\\y\r');
    await shows(/error: there is no \\y; \\\? lists what there is\n/);
    type('\\?\r');
    await shows(/Ctrl-C +gives up/);
    type('\\q\r');
    expect(await terminal?.ended).toBe(0);
  });

  it('shows a line for each value when rows are wide, and tables again', async () => {
    const { type, shows } = await prompt();
    const long = 'x'.repeat(LIMITS.cell_max_chars + 1);
    type('\\x\r');
    await shows(/a line for each value\nmeshscope> $/);
    type(`select range as n, null as nothing, repeat('x', ${long.length}) as long from range(2);\r`);
    const lines = (n: number) => `row ${n + 1}\n  n        ${n}\n  nothing  -\n  long     ${long}\n`;
    expect(await shows(/\(2 rows/)).toContain(`;\n${lines(0)}${lines(1)}(2 rows`);
    type('\\x\r');
    await shows(/a line for each row\nmeshscope> $/);
    type('select 1 as one;\r');
    await shows(/;\none\n1\n\(1 row/);
  });

  it.each(['exit', 'quit;', ' EXIT '])('takes %j for what it means, and help too', async (word) => {
    const { type, shows } = await prompt();
    type('help\r');
    await shows(/Ctrl-C +gives up[\s\S]*meshscope> $/);
    type('select 1 as exit,\r');
    await shows(/\.\.\.> $/);
    type('2 as quit;\r');
    await shows(/exit +quit\n1 +2\n[\s\S]*meshscope> $/);
    type(`${word}\r`);
    expect(await terminal?.ended).toBe(0);
  });

  it('finishes what runs when Ctrl-D comes meanwhile, and leaves', async () => {
    const { type, shows } = await prompt();
    type('select count(*) as n from range(60000000) a where a.range % 7 = 3;\r');
    await shows(/= 3;\n/);
    type('\x04');
    await shows(/n\n8571429\n\(1 row/);
    expect(await terminal?.ended).toBe(0);
  });

  it('completes tables, columns behind a dot, and keywords', async () => {
    const { type, shows } = await prompt();
    // Readline takes a tab that comes together with other keys for text that was pasted.
    const typed = async (text: string, becomes: RegExp): Promise<void> => {
      type(text);
      await shows(new RegExp(`${text.slice(-2)}$`));
      type('\t');
      await shows(becomes);
    };
    await typed('sel', /ect$/);
    await typed(' actor_current.disp', /lay_name$/);
    await typed(' from actor_cur', /rent$/);
    type(' limit 0;\r');
    expect(await shows(/meshscope> $/)).toMatch(/display_name\n\(0 rows, \d+ ms\)/);
  });

  it('drops the line at Ctrl-C, gives up what runs at the next, and leaves at Ctrl-D', async () => {
    const { type, shows } = await prompt();
    type('select 1 as one,\r');
    await shows(/\.\.\.> $/);
    type('and some more');
    await shows(/and some more$/);
    type('\x03');
    await shows(/\^C\nmeshscope> $/);
    type('select 2 as two;\r');
    await shows(/two\n2\n\(1 row, \d+ ms\)\nmeshscope> $/);
    type('select count(*) as n from range(10000000) a, range(10000000) b;\r');
    await shows(/range\(10000000\) b;\n/);
    type('\x03');
    await shows(/given up\nmeshscope> $/);
    type('select 3 as three;\r');
    await shows(/three\n3\n/);
    type('\x04');
    expect(await terminal?.ended).toBe(0);
  });

  it('remembers what was typed, for its owner alone', async () => {
    const own = mkdtempSync(path.join(state, 'own-'));
    const first = await prompt({ XDG_STATE_HOME: own });
    first.type("select 'remembered' as r;\r");
    await first.shows(/\(1 row/);
    first.type('\x04');
    expect(await first.ended).toBe(0);
    const file = path.join(own, 'meshscope', 'query_history');
    expect(readFileSync(file, 'utf8')).toBe("select 'remembered' as r;\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
    const second = await prompt({ XDG_STATE_HOME: own });
    second.type('\x1b[A\r');
    await second.shows(/r\nremembered\n\(1 row/);
  });

  it('remembers the statements of two prompts that are open at once, and of one whose terminal was closed', async () => {
    const own = mkdtempSync(path.join(state, 'two-'));
    const [first, second] = [await prompt({ XDG_STATE_HOME: own }), await prompt({ XDG_STATE_HOME: own })];
    const run = async (at: Terminal, sql: string) => {
      at.type(`${sql}\r`);
      await at.shows(/\(1 row/);
    };
    await run(first, "select 'one' as r;");
    await run(second, "select 'two' as r;");
    await run(first, "select 'three' as r;");
    first.kill();
    second.type('\x04');
    expect(await second.ended).toBe(0);
    const lines = ['one', 'two', 'three'].map((word) => `select '${word}' as r;\n`);
    expect(readFileSync(path.join(own, 'meshscope', 'query_history'), 'utf8')).toBe(lines.join(''));
  });

  it('says at the start why there is nothing to ask', async () => {
    terminal = startTerminal([process.execPath, MAIN, 'query'], { ...site.env, MESHSCOPE_URL: 'http://127.0.0.1:9' });
    expect(await terminal.ended).toBe(3);
    expect(terminal.shown()).toContain('cannot reach the gateway');
  });
});

describe('what was typed', () => {
  it.each([
    ['', 'empty'],
    [' \n ', 'empty'],
    [';', 'empty'],
    ['select 1', 'more'],
    ['select 1;', 'select 1'],
    ['select 1; ', 'select 1'],
    ['select 1; -- done', 'select 1'],
    ["select ';'", 'more'],
    ["select ';';", "select ';'"],
    ["select 'it''s;", 'more'],
    ['select ";";', 'select ";"'],
    ['select $$;$$;', 'select $$;$$'],
    ['select 1 -- ;', 'more'],
    ['select 1 -- ;\n;', 'select 1 -- ;'],
    ['select /* ; */ 1;', 'select /* ; */ 1'],
    ['select /* /* ; */ ; */ 1;', 'select /* /* ; */ ; */ 1'],
    ['select /* ;', 'more'],
    ['select 1; select 2', 'more'],
    ['select 1; select 2;', 'select 1; select 2'],
  ])('%j is %s', (text, expected) => {
    const read = readTyped(text);
    expect(read.kind === 'whole' ? read.sql : read.kind).toBe(expected);
  });
});

describe('completion', () => {
  const row = (table_name: string, column_name: string, table_type = 'BASE TABLE') => ({
    table_name,
    table_type,
    column_name,
    data_type: 'VARCHAR',
    is_nullable: 'NO',
  });
  const relations = readCatalog([row('actors', 'id'), row('actors', 'full_name'), row('actor_current', 'id', 'VIEW')]);

  it.each([
    ['select * from act', ['actor_current', 'actors'], 'act'],
    ['select full', ['full', 'full_name'], 'full'],
    ['select actors.f', ['actors.full_name'], 'actors.f'],
    ['select nowhere.f', [], 'nowhere.f'],
    ['\\d', ['\\d', '\\dt'], '\\d'],
    ['\\d actors', ['actors'], 'actors'],
    ['WHE', ['when', 'where'], 'WHE'],
  ])('of %j is %j', (line, candidates, word) => {
    expect(complete(relations, line)).toEqual([candidates, word]);
  });

  it('has every table and view of the store', async () => {
    const rows = await site.query(CATALOG_SQL);
    const catalog = readCatalog(rows);
    expect(catalog.filter(({ kind }) => kind === 'table')).toHaveLength(TABLES.length);
    expect(catalog.find(({ name }) => name === 'latest_nodes')?.columns.map(({ name }) => name)).toEqual([
      'snapshot_id',
      'node_id',
      'node_kind',
      'as_of',
    ]);
  });
});

describe('the history', () => {
  it('keeps the newest lines within both bounds', () => {
    const file = path.join(state, 'bounded', 'query_history');
    const lines = Array.from({ length: LIMITS.history_lines_max + 1 }, (_, i) => `line ${i}`);
    expect(writeHistory(file, lines)).toBeNull();
    expect(readHistory(file)).toEqual(lines.slice(0, -1));
    const long = 'x'.repeat(LIMITS.history_max_chars / 2 - 1);
    expect(writeHistory(file, [long, long, 'one too many'])).toBeNull();
    expect(readHistory(file)).toEqual([long, long]);
  });

  it('is in the folder for state, and its absence or loss is no failure', () => {
    expect(historyFile({ XDG_STATE_HOME: '/x' })).toBe('/x/meshscope/query_history');
    expect(historyFile({ XDG_STATE_HOME: 'relative' })).toMatch(/\/\.local\/state\/meshscope\/query_history$/);
    expect(readHistory(path.join(state, 'nowhere'))).toEqual([]);
    const blocked = path.join(state, 'blocked');
    writeFileSync(blocked, '');
    expect(writeHistory(path.join(blocked, 'meshscope', 'query_history'), ['x'])).toContain(blocked);
    expect(existsSync(path.join(blocked, 'meshscope'))).toBe(false);
  });
});

describe('without a terminal', () => {
  it('SQL is read from standard input', async () => {
    const child = spawn(process.execPath, [MAIN, 'query', '--format', 'csv'], { env: { ...process.env, ...site.env } });
    child.stdin.end("select 1 as a, null as b, 'x,y' as c");
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('a,b,c\r\n1,,"x,y"\r\n');
  });

  it('Arrow goes to standard output as it is', async () => {
    const sql = 'select range as n from range(3000)';
    const child = spawn(process.execPath, [MAIN, 'query', sql, '--format', 'arrow'], {
      env: { ...process.env, ...site.env },
    });
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    expect(tableFromIPC(Buffer.concat(chunks)).numRows).toBe(3_000);
  });

  it.each([
    [['select 1', '--format', 'xml'], '"xml" is not one of table, json, csv, arrow'],
    [['select 1', '--json', '--format', 'csv'], '--json and --format csv exclude each other'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, stderr } = await runCli(['query', ...args], site.env);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});
