import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sleep } from '../../../src/base/index.ts';
import { pack, TABLES } from '../../../src/contract/index.ts';
import { LIMITS, type TelemetryLimits, type TelemetryService } from '../../../src/telemetry/index.ts';
import { StoreCopy } from '../../../src/telemetry/query/process/store-copy.ts';
import { VIEW_NAMES } from '../../../src/telemetry/query/process/views.ts';
import { until } from '../../support/until.ts';
import { GREEDY, REFUSED } from './attacks.ts';
import { batch, isAlive, post, query, rowsOf, startService, statusRow, TOKEN, temporaryFolder } from './support.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let service: TelemetryService | null = null;

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(async () => {
  await service?.close();
  service = null;
  await folder.remove();
});

async function start(limits: Partial<TelemetryLimits> = {}, warm_processes = 0): Promise<TelemetryService> {
  service = await startService(join(folder.path, 'data'), limits, warm_processes);
  return service;
}

async function health(url: string): Promise<Record<string, unknown>> {
  return (await (await fetch(`${url}/healthz`)).json()) as Record<string, unknown>;
}

async function untilRunning(url: string, queries: number): Promise<void> {
  await until(async () => (await health(url)).sql_running === queries, `${queries} queries to run`);
}

/** Time of the processor that a process has used. */
async function cpuTicks(pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[11]);
}

const ENDLESS = 'select count(*) from range(10000000) a, range(10000000) b';

describe('attacks', () => {
  const SECRET = 'secret-4711';
  let canary = '';
  let outside = '';

  const arm = (sql: string): string => sql.replaceAll('CANARY', canary).replaceAll('FOLDER', outside);

  beforeEach(async () => {
    outside = join(folder.path, 'outside');
    await mkdir(outside);
    canary = join(outside, 'canary.csv');
    await writeFile(canary, `name\n${SECRET}\n`);
  });

  test(`${REFUSED.length} statements that are no query of the tables are refused, and change nothing`, async () => {
    const { url, sqlPids } = await start();
    await post(url, '/ingest', batch(randomUUID(), 1, [statusRow(1)]));
    await rowsOf(url, 'select 1 as one');
    const before = sqlPids();
    const wrong: string[] = [];
    for (const sql of REFUSED.map(arm)) {
      const answer = await query(url, sql);
      const isRefusal = answer.status === 400 && answer.code === 'bad_request' && answer.message.length > 10;
      if (!isRefusal || answer.text.includes(SECRET) || answer.text.includes('/data/')) {
        wrong.push(`${sql.slice(0, 100)} -> ${answer.status} ${answer.text.slice(0, 200)}`);
      }
    }
    expect(wrong).toEqual([]);
    // None of them even cost the process.
    expect(sqlPids()).toEqual(before);
    expect(await readdir(outside)).toEqual(['canary.csv']);
    expect(await readFile(canary, 'utf8')).toContain(SECRET);
    const kinds = 'select table_type, count(*) as n from information_schema.tables group by all order by all';
    expect(await rowsOf(url, kinds)).toEqual([
      { table_type: 'BASE TABLE', n: TABLES.length },
      { table_type: 'VIEW', n: VIEW_NAMES.size },
    ]);
    expect(await rowsOf(url, 'select id from actor_status_events')).toEqual([{ id: 1 }]);
  });

  test('the second wall holds alone: without the check, no file, setting or write is reached', async () => {
    await (await start()).close();
    const copyFolder = join(folder.path, 'copy');
    await mkdir(copyFolder);
    const copy = await StoreCopy.open(join(folder.path, 'data', 'telemetry.duckdb'), copyFolder, LIMITS);
    for (const sql of [
      "select * from read_text('CANARY')",
      "select * from 'CANARY'",
      "copy (select 1) to 'FOLDER/out.csv'",
      "attach 'FOLDER/x.duckdb'",
      'set enable_external_access = true',
      "set temp_directory = 'FOLDER'",
      'install httpfs',
      'delete from actors',
      'drop table actors',
      'create table x as select 1',
    ]) {
      await expect(copy.runUnchecked(arm(sql)), sql).rejects.toThrow(/disabled|read-only|locked|Cannot/i);
    }
    expect(await readdir(outside)).toEqual(['canary.csv']);
  });

  test(`${GREEDY.length} greedy queries end by a limit or an answer, and ingestion does not notice`, async () => {
    const timeout_ms = 1_000;
    const { url } = await start({ sql_timeout_ms: timeout_ms });
    const producer = randomUUID();
    let isOver = false;
    let slowest_ms = 0;
    let seq = 0;
    const ingestion = (async () => {
      while (!isOver) {
        const begin = performance.now();
        seq += 1;
        const answer = await post(url, '/ingest', batch(producer, seq, [statusRow(seq)]));
        expect(answer.json).toEqual({ acked: seq });
        slowest_ms = Math.max(slowest_ms, performance.now() - begin);
        await sleep(5);
      }
    })();
    const wrong: string[] = [];
    const left = [...GREEDY];
    // As many at a time as may run: none waits for another.
    const lane = async (): Promise<void> => {
      for (let sql = left.shift(); sql !== undefined; sql = left.shift()) {
        const begin = performance.now();
        const answer = await query(url, sql);
        const took_ms = performance.now() - begin;
        const isKnown = [200, 400, 504].includes(answer.status);
        // A process may have to be started first, on a machine that is busy with other tests too.
        if (!isKnown || took_ms > timeout_ms + 3_000)
          wrong.push(`${sql.slice(0, 80)}: ${answer.status}, ${took_ms} ms, ${answer.message}`);
      }
    };
    await Promise.all(Array.from({ length: LIMITS.sql_processes_max }, lane));
    isOver = true;
    await ingestion;
    expect(wrong).toEqual([]);
    expect(seq).toBeGreaterThan(100);
    expect(slowest_ms).toBeLessThan(2_000);
    expect(await rowsOf(url, 'select count(*) as n from actor_status_events')).toEqual([{ n: seq }]);
  });

  test('queries people write are allowed', async () => {
    const { url } = await start();
    await post(url, '/ingest', batch(randomUUID(), 1, [statusRow(1), statusRow(2)]));
    for (const sql of [
      'show tables',
      'describe actors',
      'summarize actor_status_events',
      'from actors',
      'table actors',
      'values (1, 2)',
      'explain select * from actors',
      'EXPLAIN ANALYZE\nselect * from actors',
      '-- comment\nexplain select 1',
      'select * from Actors',
      'with a as (select * from actors), b as (select * from a) select a.* from b join a using (id)',
      'with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) select sum(n) as s from t',
      "select a.id, m.given_name from actors a left join meshes m on m.id = a.mesh_id where a.full_name like 'x%' escape '\\'",
      'select new_status, count(*) as n, max(timestamp_us) as last from actor_status_events group by all having count(*) > 0',
      'select *, row_number() over (partition by new_status order by timestamp_us desc) as place from actor_status_events qualify place = 1',
      "select json_extract_string(fields_json, '$.a') as a, fields_json->>'$.b' as b from events",
      'select make_timestamp(timestamp_us) as t, time_bucket(interval 1 minute, make_timestamp(timestamp_us)) as bucket from actor_status_events',
      "select extract(hour from now()) as h, current_date as d, date '2024-01-01' + interval 1 day as e, age(now()) as a",
      "select [x * 2 for x in [1, 2, 3] if x > 1] as l, {'a': 1}.a as s, map {'k': 1}['k'] as m, unnest([1, 2]) as u",
      'select count(*) filter (where id > 1) as n, list(id order by id desc) as l, approx_quantile(id, 0.5) as q from actor_status_events',
      'select d."binary", f.name from pyspy_dumps d join pyspy_frames f using (dump_id) order by f.frame_depth limit 10',
      "select case when id = 1 then 'a' else coalesce(reason, 'b') end as c, nullif(id, 1) as z, id in (select id from actors) as i from actor_status_events",
      'select * from range(3) r, generate_series(1, 2) g',
      "select columns('.*id') from actors",
      'select cast(id as varchar) as t, id::hugeint as h, try_cast(new_status as integer) as i from actor_status_events',
      "select column_name from information_schema.columns where table_name = 'actors'",
      "select * from duckdb_columns() where table_name = 'actors'",
      'unpivot (select id, rank from actors) on id, rank',
      'select * from actors using sample 10',
      'select id from actors except select id from actors union (select 1 intersect select 2)',
      'select grouping(id) as g, id from actors group by rollup (id)',
      "select substring(full_name from 1 for 3) as s, position('a' in full_name) as p, trim(both 'x' from full_name) as t from actors",
      "select id // 2 as a, id % 2 as b, id & 1 as c, -id::hugeint as d, not true as e, 'a' || 'b' as f, 'x' ~ 'y' as g from actors",
      'select * from actors a positional join actors b limit 0'.replace('* from', 'a.id from'),
      'select * from actor_status_events order by timestamp_us desc nulls last limit 5 offset 1;',
    ]) {
      const answer = await query(url, sql);
      expect([sql, answer.status, answer.message]).toEqual([sql, 200, '']);
    }
  });
});

describe('results', () => {
  test('rows keep the order of columns, name their types and lose nothing', async () => {
    const { url } = await start();
    const answer = await query(
      url,
      `select 18446744073709551615::ubigint as z, 170141183460469231731687303715884105727::hugeint as a, 1.50::decimal(9,2) as d,
         'nan'::double as n, 'infinity'::float as i, '2024-01-02 03:04:05.1234'::timestamp as t, date '2024-01-02' as day,
         '2024-01-02 03:04:05+02'::timestamptz as tz, '\\xAA\\x01'::blob as b, {'x': [1, null], 'y': {'z': true}} as s,
         map {'k': 9007199254740993} as m, interval 90 minute as iv, time '01:02:03' as tm, null as nothing, 'é"' as txt`,
    );
    expect(answer.text).toBe(
      '{"rows":[{"z":18446744073709551615,"a":170141183460469231731687303715884105727,"d":"1.50","n":null,"i":null,' +
        '"t":"2024-01-02T03:04:05.1234Z","day":"2024-01-02","tz":"2024-01-02T01:04:05Z","b":"aa01",' +
        '"s":{"x":[1,null],"y":{"z":true}},"m":{"k":9007199254740993},"iv":"01:30:00","tm":"01:02:03","nothing":null,' +
        '"txt":"é\\""}],"columns":[{"name":"z","type":"UBIGINT"},{"name":"a","type":"HUGEINT"},' +
        '{"name":"d","type":"DECIMAL(9,2)"},{"name":"n","type":"DOUBLE"},{"name":"i","type":"FLOAT"},' +
        '{"name":"t","type":"TIMESTAMP"},{"name":"day","type":"DATE"},{"name":"tz","type":"TIMESTAMP WITH TIME ZONE"},' +
        '{"name":"b","type":"BLOB"},{"name":"s","type":"STRUCT(\\"x\\" INTEGER[], \\"y\\" STRUCT(\\"z\\" BOOLEAN))"},' +
        '{"name":"m","type":"MAP(VARCHAR, BIGINT)"},{"name":"iv","type":"INTERVAL"},{"name":"tm","type":"TIME"},' +
        '{"name":"nothing","type":"INTEGER"},{"name":"txt","type":"VARCHAR"}]}',
    );
  });

  test('an empty result names its columns; a name that comes twice is refused', async () => {
    const { url } = await start();
    expect((await query(url, 'select id from actors')).text).toBe(
      '{"rows":[],"columns":[{"name":"id","type":"UBIGINT"}]}',
    );
    const twice = await query(url, 'select a.id, b.id from actors a, actors b');
    expect([twice.status, twice.message]).toEqual([400, expect.stringContaining('"id"')]);
  });

  test('an error is DuckDB’s, without the folder of the store', async () => {
    const { url } = await start();
    const answer = await query(url, 'select nope from actors');
    expect([answer.status, answer.code]).toEqual([400, 'bad_request']);
    expect(answer.message).toContain('Referenced column "nope" not found');
    expect(answer.message).not.toContain(folder.path);
  });
});

describe('limits', () => {
  test('rows and characters of a result: n are answered, n + 1 refused', async () => {
    const { url } = await start({ sql_rows_max: 3_000, sql_result_max_chars: 40_000 });
    expect(await rowsOf(url, 'select 1 as x from range(3000)')).toHaveLength(3_000);
    expect((await query(url, 'select 1 as x from range(3001)')).message).toContain('more than 3000 rows');
    // One row of {"x":"…"} and a separator.
    expect((await query(url, `select repeat('y', ${40_000 - 9}) as x`)).status).toBe(200);
    expect((await query(url, `select repeat('y', ${40_000 - 8}) as x`)).message).toContain('40000 characters');
  });

  test('SQL text: n bytes run, n + 1 are refused', async () => {
    const { url } = await start({ sql_max_bytes: 100 });
    const fits = `select '${'é'.repeat(43)}' as x`.padEnd(100 - 43);
    expect((await query(url, fits)).status).toBe(200);
    expect((await query(url, `${fits} `)).message).toContain('longer than 100 bytes');
  });

  test('nesting: what the limit allows runs, what is deeper is refused', async () => {
    const { url } = await start({ sql_depth_max: 40 });
    expect((await query(url, 'select ((1 + 1) + 1) as x')).status).toBe(200);
    expect((await query(url, `select ${'abs('.repeat(30)}1${')'.repeat(30)} as x`)).message).toContain(
      'nested deeper than 40',
    );
  });

  test('time: the query’s process is killed, the error says the limit, and the next query runs', async () => {
    const { url, sqlPids } = await start({ sql_timeout_ms: 300 });
    await rowsOf(url, 'select 1 as one');
    const [victim = 0] = sqlPids();
    const answer = await query(url, ENDLESS);
    expect([answer.status, answer.code]).toEqual([504, 'gateway_timeout']);
    expect(answer.message).toContain('300 ms');
    await until(() => !isAlive(victim), 'it to be gone');
    expect(await rowsOf(url, 'select 2 as two')).toEqual([{ two: 2 }]);
  });

  test('time: whatever it is at, the answer is out, and its process gone, within 250 ms of the limit', async () => {
    const limit_ms = 300;
    const { url, sqlPids } = await start({ sql_timeout_ms: limit_ms });
    const answered_ms: number[] = [];
    const ended_ms: number[] = [];
    for (const sql of [
      ENDLESS,
      'select count(*) from range(1000000000000) a',
      'select sum(sin(a.range) * cos(b.range)) from range(1000000) a, range(1000000) b',
      "select levenshtein(repeat('a', 1000000), repeat('b', 1000000))",
      'select count(distinct hash(a.range) % 1000) from range(10000000) a, range(10000000) b',
    ]) {
      await rowsOf(url, 'select 1 as one');
      const [pid = 0] = sqlPids();
      const begin_ms = performance.now();
      const { status, json } = await query(url, sql);
      answered_ms.push(Math.round(performance.now() - begin_ms) - limit_ms);
      expect([sql, status, json.error]).toMatchObject([sql, 504, { details: { limit_ms } }]);
      await until(() => !isAlive(pid), 'its process to be gone');
      ended_ms.push(Math.round(performance.now() - begin_ms) - limit_ms);
    }
    process.stdout.write(`after their limit: answers ${answered_ms.join(', ')} ms, ends ${ended_ms.join(', ')} ms\n`);
    // The middle ones: a machine that is busy with other things may keep one of them from ending.
    expect(answered_ms.sort((a, b) => a - b)[2]).toBeLessThanOrEqual(250);
    expect(ended_ms.sort((a, b) => a - b)[2]).toBeLessThanOrEqual(250);
  });

  test('memory: the query gets an error that names the limit, and the next query runs', async () => {
    const { url } = await start({ sql_memory_mib: 64 });
    const answer = await query(url, 'select list(range) as l from range(100000000)');
    expect([answer.status, answer.message]).toEqual([400, expect.stringContaining('64 MiB')]);
    expect(await rowsOf(url, 'select 2 as two')).toEqual([{ two: 2 }]);
  });

  test('concurrency and queue: n run, m wait, one more is refused, and a wait has its end', async () => {
    const limits = { sql_processes_max: 2, sql_queue_max: 2, sql_queue_timeout_ms: 500, sql_timeout_ms: 1_500 };
    const { url } = await start(limits);
    await Promise.all([query(url, 'select 1 as x'), query(url, 'select 1 as x')]);
    const running = [query(url, ENDLESS), query(url, ENDLESS)];
    await untilRunning(url, 2);
    const waiting = [query(url, 'select 1 as x'), query(url, 'select 1 as x')];
    await until(async () => (await health(url)).sql_waiting === 2, 'both to wait');
    const refused = await query(url, 'select 1 as x');
    expect([refused.status, refused.message]).toEqual([503, expect.stringContaining('2 queries are waiting')]);
    for (const answer of await Promise.all(waiting)) {
      expect([answer.status, answer.message]).toEqual([503, expect.stringContaining('500 ms')]);
    }
    for (const answer of await Promise.all(running)) expect(answer.status).toBe(504);
    expect(await rowsOf(url, 'select 1 as x')).toEqual([{ x: 1 }]);
  });
});

describe('query processes', () => {
  test('a query sees every row that was acknowledged before it, while other producers go on', async () => {
    const { url } = await start({ copy_checkpoint_rows: 100 });
    let isOver = false;
    const others = Array.from({ length: 3 }, async () => {
      const producer = randomUUID();
      for (let seq = 1; !isOver; seq++) await post(url, '/ingest', batch(producer, seq, [statusRow(0), statusRow(0)]));
    });
    const producer = randomUUID();
    for (let seq = 1; seq <= 60; seq++) {
      await post(url, '/ingest', batch(producer, seq, [statusRow(seq)]));
      const [row] = await rowsOf(
        url,
        'select max(id) as id, count(*) filter (where id > 0) as n from actor_status_events',
      );
      expect(row).toEqual({ id: seq, n: seq });
    }
    isOver = true;
    await Promise.all(others);
    const { rows_stored } = (await (await fetch(`${url}/healthz`)).json()) as { rows_stored: number };
    expect(await rowsOf(url, 'select count(*) as n from actor_status_events')).toEqual([{ n: rows_stored }]);
  });

  test('it starts with the first query, ends after its rest, and leaves no copy', async () => {
    const { url, sqlPids } = await start({ sql_idle_ms: 300 });
    expect(sqlPids()).toEqual([]);
    await rowsOf(url, 'select 1 as x');
    const [pid = 0] = sqlPids();
    expect(await readdir(join(folder.path, 'data', 'telemetry-copies'))).toHaveLength(1);
    await until(() => !isAlive(pid), 'its end');
    await until(
      async () => (await readdir(join(folder.path, 'data', 'telemetry-copies'))).length === 0,
      'its copy goes',
    );
    expect(sqlPids()).toEqual([]);
    expect(await rowsOf(url, 'select 2 as x')).toEqual([{ x: 2 }]);
  });

  test('kept warm: one is up before any query, its rest has no end, and what is spent is replaced at once', async () => {
    const { url, sqlPids } = await start({ sql_idle_ms: 1, sql_timeout_ms: 300, sql_warm_pause_ms: 1 }, 1);
    await until(() => sqlPids().length === 1, 'one to be up');
    const [first = 0] = sqlPids();
    expect(await rowsOf(url, 'select 1 as x')).toEqual([{ x: 1 }]);
    expect(sqlPids()).toEqual([first]);
    // A second one, made for a second query, has its rest; the warm one stays.
    await Promise.all([query(url, ENDLESS), query(url, 'select 1 as x')]);
    await until(() => sqlPids().length === 1, 'one of them to be left');
    await query(url, ENDLESS);
    await until(() => sqlPids().length === 1 && sqlPids().every(isAlive), 'another to be up');
    expect(sqlPids()).not.toContain(first);
    const [second = 0] = sqlPids();
    process.kill(second, 'SIGKILL');
    await until(() => sqlPids().length === 1 && sqlPids()[0] !== second, 'the killed one to be replaced');
    expect(await rowsOf(url, 'select 2 as x')).toEqual([{ x: 2 }]);
  });

  test('no more are kept warm than may run', async () => {
    const { url, sqlPids } = await start({ sql_processes_max: 2, sql_warm_pause_ms: 1 }, 5);
    await until(() => sqlPids().length === 2, 'two to be up');
    const pids = sqlPids();
    // A third would begin as soon as the second is up, or one of them is back from a query, and its copy with it.
    for (let round = 0; round < 5; round++) {
      await Promise.all([rowsOf(url, 'select 1 as x'), rowsOf(url, 'select 2 as x')]);
      expect(await readdir(join(folder.path, 'data', 'telemetry-copies'))).toHaveLength(2);
    }
    expect([...sqlPids()].sort()).toEqual([...pids].sort());
  });

  test('killed from outside, it is replaced', async () => {
    const { url, sqlPids } = await start();
    await rowsOf(url, 'select 1 as x');
    const [pid = 0] = sqlPids();
    // At once, so that the query may be handed to a process that is ending.
    process.kill(pid, 'SIGKILL');
    expect(await rowsOf(url, 'select 2 as x')).toEqual([{ x: 2 }]);
    expect(isAlive(pid)).toBe(false);
    const running = query(url, ENDLESS);
    await untilRunning(url, 1);
    const [busy = 0] = sqlPids();
    // A process that had not begun with the query would only be replaced.
    const begin_ticks = await cpuTicks(busy);
    await until(async () => (await cpuTicks(busy)) > begin_ticks + 10, 'it to work on the query');
    process.kill(busy, 'SIGKILL');
    expect(await running).toMatchObject({ status: 400, message: expect.stringContaining('brought its process down') });
  });

  test.each([
    ['rows', { copy_backlog_max_rows: 100 }],
    ['bytes', { copy_backlog_max_bytes: 'of 100 rows' }],
  ])('too far behind the store, by %s, it is replaced by one with a fresh copy', async (_, bound) => {
    const rows = Array.from({ length: 100 }, (_, index) => statusRow(index));
    const packed = pack({ actor_status_events: rows });
    if (!packed.ok) throw new Error(packed.failure.message);
    const { url, sqlPids } = await start(
      'copy_backlog_max_bytes' in bound ? { copy_backlog_max_bytes: packed.value.length } : bound,
    );
    await rowsOf(url, 'select 1 as x');
    const [first] = sqlPids();
    const producer = randomUUID();
    await post(url, '/ingest', batch(producer, 1, rows));
    expect(await rowsOf(url, 'select count(*) as n from actor_status_events')).toEqual([{ n: 100 }]);
    expect(sqlPids()).toEqual([first]);
    await post(url, '/ingest', batch(producer, 2, [...rows, statusRow(100)]));
    expect(await rowsOf(url, 'select count(*) as n from actor_status_events')).toEqual([{ n: 201 }]);
    expect(sqlPids()).not.toEqual([first]);
  });

  test('holding more memory after a query than it may at rest, it is replaced', async () => {
    const { url, sqlPids } = await start({ sql_rest_memory_mib: 1 });
    expect(await rowsOf(url, 'select 1 as x')).toEqual([{ x: 1 }]);
    await until(() => sqlPids().length === 0, 'its end');
    expect(await rowsOf(url, 'select 2 as x')).toEqual([{ x: 2 }]);
  });

  test('an abandoned query does not hold its process until its limit', async () => {
    const { url, sqlPids } = await start({ sql_processes_max: 1 });
    await rowsOf(url, 'select 1 as x');
    const [pid = 0] = sqlPids();
    const abandon = new AbortController();
    const abandoned = fetch(`${url}/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ sql: ENDLESS }),
      signal: abandon.signal,
    }).catch(() => null);
    await untilRunning(url, 1);
    abandon.abort();
    await abandoned;
    await until(() => !isAlive(pid), 'its process to be killed', 3_000);
    expect(await rowsOf(url, 'select 2 as x')).toEqual([{ x: 2 }]);
  });

  test('its environment is empty and its folder is its own', async () => {
    const { url, sqlPids } = await start();
    await rowsOf(url, 'select 1 as x');
    const [pid] = sqlPids();
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
    expect(environment.split('\0').map((entry) => entry.split('=')[0])).not.toContain('PATH');
    expect(environment).not.toContain(TOKEN);
    expect(await readFile(`/proc/${pid}/limits`, 'utf8')).toMatch(
      new RegExp(`Max data size +${LIMITS.sql_process_memory_mib * 1024 * 1024} `),
    );
  });
});
