/** What DuckDB says when it fails, each failure brought about for real: a wording that changes fails here. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { quoteText } from './ddl.ts';
import { type EngineError, readEngineError } from './engine-error.ts';

const MEMORY_MIB = 24;

let folder: string;
let instance: DuckDBInstance;
let connection: DuckDBConnection;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshscope-engine-error-'));
  instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${MEMORY_MIB}MiB`,
    temp_directory: '',
    threads: '1',
  });
  connection = await instance.connect();
  await connection.run(`ATTACH ${quoteText(path('good'))} AS good (BLOCK_SIZE 16384)`);
  await connection.run('CREATE TABLE good.t AS SELECT range AS x FROM range(20000)');
  await connection.run('DETACH good');
});

afterAll(async () => {
  connection.closeSync();
  instance.closeSync();
  await rm(folder, { recursive: true, force: true });
});

const path = (name: string): string => join(folder, `${name}.duckdb`);

async function errorOf(sql: string): Promise<EngineError> {
  const error: unknown = await connection.run(sql).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error === null) throw new Error(`no error: ${sql}`);
  return readEngineError(error);
}

const opening = (name: string): Promise<EngineError> => errorOf(`ATTACH ${quoteText(path(name))} AS opened`);

/** A process that opens a database of its own, runs `sql`, and writes what that threw, or `done`, to its output. */
function elsewhere(sql: string, rest = ''): string {
  return `import { DuckDBInstance } from '@duckdb/node-api';
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    console.log(await connection.run(${JSON.stringify(sql)}).then(() => 'done', (error) => error.message));
    ${rest}`;
}

describe('statements', () => {
  test('that need more memory than there is', async () => {
    const error = await errorOf('SELECT * FROM range(100000000) ORDER BY hash(range)');
    expect(error).toMatchObject({ isOutOfMemory: true, isDatabaseLost: false, isEngineFault: false });
    const list = await errorOf('SELECT list(range) FROM range(100000000)');
    expect(list.isOutOfMemory).toBe(true);
  });

  test('that are wrong, whatever their text quotes', async () => {
    for (const sql of [
      'SELEC 1',
      'SELECT nope',
      'SELECT * FROM "could not allocate, database has been invalidated"',
      `SELECT error('Out of Memory: could not allocate; database has been invalidated')`,
      `SELECT 'failed to pin'::INTEGER`,
    ]) {
      const { isOutOfMemory, isDatabaseLost, isEngineFault, message } = await errorOf(sql);
      expect([message, isOutOfMemory, isDatabaseLost, isEngineFault]).toEqual([message, false, false, false]);
    }
  });

  test('on a database that DuckDB has given up after a failed checkpoint', async () => {
    await connection.run(`ATTACH ${quoteText(path('lost'))} AS lost`);
    await connection.run('CREATE TABLE lost.t AS SELECT 1 AS x');
    await connection.run(`SET debug_checkpoint_abort = 'before_header'`);
    try {
      expect((await errorOf('CHECKPOINT lost')).isDatabaseLost).toBe(true);
      expect((await errorOf('INSERT INTO lost.t VALUES (2)')).isDatabaseLost).toBe(true);
    } finally {
      await connection.run(`RESET debug_checkpoint_abort`);
      await connection.run('DETACH lost');
    }
  });
});

test('faults of the engine, which nothing brings about at will, by the type that their text begins with', () => {
  expect(readEngineError(new Error('INTERNAL Error: assertion failed'))).toMatchObject({
    isEngineFault: true,
    isDatabaseLost: false,
    openReason: 'broken',
  });
  expect(readEngineError(new Error('FATAL Error: Out of Memory Error: failed to pin block'))).toMatchObject({
    isEngineFault: true,
    isDatabaseLost: true,
    isOutOfMemory: true,
  });
});

describe('files', () => {
  test.each<[what: string, damage: (path: string) => Promise<void>]>([
    ['are something else', (damaged) => writeFile(damaged, 'something else'.repeat(1_000))],
    ['are cut off', (damaged) => truncate(damaged, 14_000)],
    ['have another byte in a header', (damaged) => flip(damaged, 4_096 + 16)],
    ['have another byte in a block', (damaged) => flip(damaged, 12_288 + 100)],
  ])('that %s are broken', async (what, damage) => {
    const name = what.replaceAll(' ', '-');
    await copyFile(path('good'), path(name));
    await damage(path(name));
    expect((await opening(name)).openReason).toBe('broken');
  });

  test('that nobody may write here are not permitted', async () => {
    expect(await errorOf(`ATTACH '/sys/meshscope.duckdb' AS opened`)).toMatchObject({ openReason: 'not_permitted' });
  });

  test('that are none say nothing about what is in them', async () => {
    expect(await errorOf(`ATTACH ${quoteText(folder)} AS opened`)).toMatchObject({ openReason: 'other' });
  });

  test('that another process has are in use, by that process', async () => {
    const sql = `ATTACH ${quoteText(path('good'))} AS good`;
    const script = elsewhere(sql, 'setInterval(() => {}, 60_000);');
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(owner.stdout, 'data');
      expect(await opening('good')).toMatchObject({ openReason: 'in_use', holder: { pid: owner.pid } });
    } finally {
      owner.kill('SIGKILL');
      await once(owner, 'exit');
    }
  });

  test('for which the disk has no room are not broken', async () => {
    const sql = `ATTACH ${quoteText(path('full'))} AS t; CREATE TABLE t.t AS SELECT hash(range) AS x FROM range(1000000); CHECKPOINT t`;
    const { stdout } = await promisify(execFile)('/bin/sh', [
      '-c',
      'trap "" XFSZ; ulimit -S -f 1024; exec "$@"',
      'sh',
      process.execPath,
      '--input-type=module',
      '-e',
      elsewhere(sql),
    ]);
    expect(readEngineError(new Error(stdout.trim()))).toMatchObject({ openReason: 'other', isOutOfMemory: false });
    expect(stdout).toMatch(/File too large|No space left/);
  });
});

async function flip(damaged: string, at: number): Promise<void> {
  const bytes = await readFile(damaged);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  await writeFile(damaged, bytes);
}
