/** The forms of results: JSON, CSV and Arrow, the same rows in each; streamed, whole or an error. */
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { telemetryOverHttp } from '../../../src/edge-gateway/store/http-store.ts';
import type { TelemetryLimits, TelemetryService } from '../../../src/telemetry/index.ts';
import { chooseFormat } from '../../../src/telemetry/query/formats.ts';
import { readArrow } from '../../support/arrow-reader.ts';
import { until } from '../../support/until.ts';
import { batch, post, query, startService, statusRow, TOKEN, temporaryFolder } from './support.ts';

const ARROW = 'application/vnd.apache.arrow.stream';
const LARGE = "select range as n, repeat('x', 150) as x from range(60000)";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let service: TelemetryService;
let other: TelemetryService | null = null;

beforeAll(async () => {
  folder = await temporaryFolder();
  service = await startService(`${folder.path}/data`);
  await post(service.url, '/ingest', batch(randomUUID(), 1, [statusRow('18446744073709551615', 1), statusRow(2, 2)]));
});

afterEach(async () => {
  await other?.close();
  other = null;
});

afterAll(async () => {
  await service.close();
  await folder.remove();
});

async function startOther(limits: Partial<TelemetryLimits>): Promise<string> {
  other = await startService(`${folder.path}/${randomUUID()}`, limits);
  return other.url;
}

async function ask(accept: string, sql: string, url = service.url) {
  const response = await fetch(`${url}/query`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', accept },
    body: JSON.stringify({ sql }),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    length: Number(response.headers.get('content-length')),
    bytes,
    text: Buffer.from(bytes).toString('utf8'),
  };
}

describe('the form', () => {
  test.each([
    ['', 'json'],
    ['*/*', 'json'],
    ['application/json', 'json'],
    ['text/csv', 'csv'],
    ['TEXT/CSV; charset=utf-8', 'csv'],
    ['text/*', 'csv'],
    [ARROW, 'arrow'],
    ['application/*', 'json'],
    [`${ARROW}, text/csv`, 'arrow'],
    [`text/csv, ${ARROW}`, 'csv'],
    [`text/csv;q=0.5, ${ARROW}; q=0.8, */*;q=0.1`, 'arrow'],
    [`text/csv;q=0.9, application/json;q=0.3`, 'csv'],
    ['text/csv;q=0.2, */*', 'json'],
    ['text/csv;q=0', 'json'],
    ['application/json;q=0, */*', 'csv'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'json'],
    ['image/png', 'json'],
    ['text/csv;q=2', 'json'],
    ['text/csv;q=x', 'json'],
    [`${'x,'.repeat(5_000)}text/csv`, 'json'],
  ])('for Accept "%.40s" is %s', (accept, format) => {
    expect(chooseFormat(accept)).toBe(format);
  });

  test('is told by the type, with the length', async () => {
    for (const [accept, type] of [
      ['*/*', 'application/json'],
      ['text/csv', 'text/csv; charset=utf-8'],
      [ARROW, ARROW],
    ] as const) {
      const answer = await ask(accept, 'select 1 as a');
      expect([answer.status, answer.type, answer.length]).toEqual([200, type, answer.bytes.length]);
    }
  });

  test('of an error is the envelope, whatever was asked for', async () => {
    for (const accept of ['text/csv', ARROW]) {
      for (const sql of ['select nope from actors', 'drop table actors', 'select 1 as a, 2 as a']) {
        const answer = await ask(accept, sql);
        expect([answer.status, answer.type]).toEqual([400, 'application/json']);
        expect(JSON.parse(answer.text).error.code).toBe('bad_request');
      }
    }
  });

  test('with no rows still has its columns', async () => {
    const sql = 'select id, new_status, timestamp_us > 1 as late from actor_status_events where false';
    expect(JSON.parse((await ask('*/*', sql)).text)).toEqual({
      rows: [],
      columns: [
        { name: 'id', type: 'UBIGINT' },
        { name: 'new_status', type: 'VARCHAR' },
        { name: 'late', type: 'BOOLEAN' },
      ],
    });
    expect((await ask('text/csv', sql)).text).toBe('id,new_status,late\r\n');
    const { fields, batches } = readArrow((await ask(ARROW, sql)).bytes);
    expect(batches).toEqual([]);
    expect(fields).toEqual([
      { name: 'id', type: 'uint64', nullable: true },
      { name: 'new_status', type: 'utf8', nullable: true },
      { name: 'late', type: 'bool', nullable: true },
    ]);
  });
});

const EVERY_TYPE = `select 1::tinyint as i8, -2::smallint as i16, 3::integer as i32, 9223372036854775807::bigint as i64,
  255::utinyint as u8, 65535::usmallint as u16, 4294967295::uinteger as u32, 18446744073709551615::ubigint as u64,
  -99999999999999999999999999999999999999::hugeint as huge, 340282366920938463463374607431768211455::uhugeint as uhuge,
  -1.50::decimal(9, 2) as d, 0.1::decimal(38, 20) as wide, 1.5::float as f32, 'nan'::double as nan, '-infinity'::double as inf,
  true as yes, 'é"x' as txt, '' as empty, null::varchar as nothing, 'a,b' || chr(10) || 'c' as tricky, ' x' as blank,
  timestamp '2024-01-02 03:04:05.123456' as t, '2024-01-02 03:04:05+02'::timestamptz as tz,
  '2024-01-02 03:04:05'::timestamp_s as ts, '2024-01-02 03:04:05.5'::timestamp_ms as tms,
  '2024-01-02 03:04:05.123456789'::timestamp_ns as tns, 'infinity'::timestamp as forever,
  date '2024-01-02' as day, time '01:02:03' as tm, interval 90 minute as iv, '\\xAA\\x01'::blob as b,
  [1, null] as l, {'x': 9007199254740993, 'y': 'z'} as s, map {'k': 1.5} as m,
  'c1f2b6b0-6f2c-4b57-9c3e-0123456789ab'::uuid as u`;

describe('values', () => {
  test('in CSV: exact integers, ISO times, an empty field for null, quotes for the empty text', async () => {
    const { text } = await ask('text/csv', EVERY_TYPE);
    expect(text.slice(text.indexOf('\r\n') + 2)).toBe(
      '1,-2,3,9223372036854775807,255,65535,4294967295,18446744073709551615,' +
        '-99999999999999999999999999999999999999,340282366920938463463374607431768211455,' +
        '-1.50,0.10000000000000000000,1.5,NaN,-Infinity,true,"é""x","",,"a,b\nc"," x",' +
        '2024-01-02T03:04:05.123456Z,2024-01-02T01:04:05Z,2024-01-02T03:04:05Z,2024-01-02T03:04:05.5Z,' +
        '2024-01-02T03:04:05.123456789Z,infinity,2024-01-02,01:02:03,01:30:00,aa01,' +
        '"[1,null]","{""x"":9007199254740993,""y"":""z""}","{""k"":""1.5""}",c1f2b6b0-6f2c-4b57-9c3e-0123456789ab\r\n',
    );
  });

  test('in Arrow: types of their own where it has them, text of JSON otherwise', async () => {
    const { fields, columns } = readArrow((await ask(ARROW, EVERY_TYPE)).bytes);
    const shown = fields.map(({ name, type }) => [name, type, columns[name]?.[0]]);
    const day_us = 1_704_153_600_000_000n;
    const time_us = day_us + 11_045_000_000n;
    expect(shown).toEqual([
      ['i8', 'int8', 1],
      ['i16', 'int16', -2],
      ['i32', 'int32', 3],
      ['i64', 'int64', 9_223_372_036_854_775_807n],
      ['u8', 'uint8', 255],
      ['u16', 'uint16', 65_535],
      ['u32', 'uint32', 4_294_967_295],
      ['u64', 'uint64', 18_446_744_073_709_551_615n],
      ['huge', 'decimal(38, 0)', -(10n ** 38n - 1n)],
      ['uhuge', 'utf8', '340282366920938463463374607431768211455'],
      ['d', 'decimal(9, 2)', -150n],
      ['wide', 'decimal(38, 20)', 10n ** 19n],
      ['f32', 'float32', 1.5],
      ['nan', 'float64', Number.NaN],
      ['inf', 'float64', Number.NEGATIVE_INFINITY],
      ['yes', 'bool', true],
      ['txt', 'utf8', 'é"x'],
      ['empty', 'utf8', ''],
      ['nothing', 'utf8', null],
      ['tricky', 'utf8', 'a,b\nc'],
      ['blank', 'utf8', ' x'],
      ['t', 'timestamp(us, UTC)', time_us + 123_456n],
      ['tz', 'timestamp(us, UTC)', time_us - 7_200_000_000n],
      ['ts', 'timestamp(us, UTC)', time_us],
      ['tms', 'timestamp(us, UTC)', time_us + 500_000n],
      ['tns', 'timestamp(ns, UTC)', (time_us + 123_456n) * 1_000n + 789n],
      ['forever', 'timestamp(us, UTC)', null],
      ['day', 'date32', 19_724],
      ['tm', 'utf8', '01:02:03'],
      ['iv', 'utf8', '01:30:00'],
      ['b', 'utf8', 'aa01'],
      ['l', 'utf8', '[1,null]'],
      ['s', 'utf8', '{"x":9007199254740993,"y":"z"}'],
      ['m', 'utf8', '{"k":"1.5"}'],
      ['u', 'utf8', 'c1f2b6b0-6f2c-4b57-9c3e-0123456789ab'],
    ]);
  });

  test('made of others lose nothing: entries without names, of number-like and special names, and no order', async () => {
    const sql = `select row(1, null) as r, struct_pack(b := 1, "1" := [{'2': 2, '1': null}], "__proto__" := 3) as s,
      [row('x'), null] as l, array_value({'k': 1}, null) as a, {'k': 'y'}::union(n int, s struct(k varchar)) as u,
      map {row(1): {'z': []::int[]}} as m, map {'\\xAA'::blob: 1} as mb, map {'2024-01-02'::timestamp: null} as mt,
      map {}::map(int, int) as me, []::varchar[] as e, null::struct(a int) as n, 'null'::union(t varchar) as word,
      '-infinity'::date as di, 'infinity'::timestamp_s as si, '-infinity'::timestamp_ms as mi, 'infinity'::timestamp_ns as ni,
      '-infinity'::timestamptz as zi`;
    const nested = {
      r: '[1,null]',
      s: '{"b":1,"1":[{"2":2,"1":null}],"__proto__":3}',
      l: '[["x"],null]',
      a: '[{"k":1},null]',
      u: '{"k":"y"}',
      m: '{"[1]":{"z":[]}}',
      mb: '{"aa":1}',
      mt: '{"2024-01-02T00:00:00Z":null}',
      me: '{}',
      e: '[]',
    };
    const infinite = { di: '-infinity', si: 'infinity', mi: '-infinity', ni: 'infinity', zi: '-infinity' };
    const json = (await ask('*/*', sql)).text;
    const entries = [
      ...Object.entries({ ...nested, n: 'null', word: '"null"' }),
      ...Object.entries(infinite).map(([name, text]) => [name, `"${text}"`]),
    ].map(([name, text]) => `"${name}":${text}`);
    expect(json.slice(0, json.indexOf(',"columns"'))).toBe(`{"rows":[{${entries.join(',')}}]`);
    const { columns } = readArrow((await ask(ARROW, sql)).bytes);
    for (const [name, text] of Object.entries(nested)) expect([name, columns[name]]).toEqual([name, [text]]);
    expect([columns.n, columns.word, columns.di, columns.ni]).toEqual([[null], ['null'], [null], [null]]);
    const csv = (await ask('text/csv', sql)).text.split('\r\n')[1];
    const fields = [...Object.values(nested), '', 'null', ...Object.values(infinite)];
    expect(csv).toBe(fields.map((text) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(','));
  });

  test('made of others come row by row, whatever is null and however many chunks there are', async () => {
    const sql = `select range as n, case when range % 3 = 0 then null else [range, null] end as l,
      case when range % 5 = 0 then null else {'a': case when range % 2 = 0 then null else 'é' || repeat('y', 20) || range end} end as s,
      case when range % 7 = 0 then null else map {range: [range]} end as m from range(5000) where range % 11 > 0`;
    const { rows } = JSON.parse((await ask('*/*', sql)).text) as { rows: Record<string, unknown>[] };
    const expected = Array.from({ length: 5_000 }, (_, n) => ({
      n,
      l: n % 3 === 0 ? null : [n, null],
      s: n % 5 === 0 ? null : { a: n % 2 === 0 ? null : `é${'y'.repeat(20)}${n}` },
      m: n % 7 === 0 ? null : { [n]: [n] },
    })).filter(({ n }) => n % 11 > 0);
    expect(rows).toEqual(expected);
  });

  test('that Arrow has no room for are refused, with the column and what to do', async () => {
    const answer = await ask(ARROW, 'select 170141183460469231731687303715884105727::hugeint as z');
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text).error.message).toMatch(/column "z".*38 digits.*cast it to VARCHAR/);
  });

  test('are the same in all forms, over several batches and chunks', async () => {
    const sql = `select range as n, case when range % 7 = 0 then null else 'x' || range end as x, range % 3 = 0 as b,
      case when range % 5 = 0 then null else range / 2 end as d from range(50000)`;
    const json = JSON.parse((await ask('*/*', sql)).text).rows as { n: number; x: string; b: boolean; d: number }[];
    const csv = (await ask('text/csv', sql)).text.split('\r\n').slice(1, -1);
    const { columns, batches } = readArrow((await ask(ARROW, sql)).bytes);
    expect(batches.reduce((sum, rows) => sum + rows, 0)).toBe(50_000);
    expect(batches.length).toBeGreaterThan(1);
    expect(csv).toEqual(json.map(({ n, x, b, d }) => [n, x ?? '', b, d ?? ''].join(',')));
    expect(columns.n).toEqual(json.map(({ n }) => BigInt(n)));
    for (const name of ['x', 'b', 'd'] as const) expect(columns[name]).toEqual(json.map((row) => row[name]));
  });

  test('of many columns fit, too', async () => {
    const sql = `select ${Array.from({ length: 3_000 }, (_, i) => `range + ${i} as c${i}`).join(',')} from range(200)`;
    const { fields, columns } = readArrow((await ask(ARROW, sql)).bytes);
    expect(fields).toHaveLength(3_000);
    expect(columns.c2999?.at(-1)).toBe(3_198n);
  });
});

describe('bounds', () => {
  test('rows: n are answered, n + 1 refused, in every form', async () => {
    const url = await startOther({ sql_rows_max: 3_000 });
    for (const accept of ['*/*', 'text/csv', ARROW]) {
      expect((await ask(accept, 'select 1 as x from range(3000)', url)).status).toBe(200);
      const answer = await ask(accept, 'select 1 as x from range(3001)', url);
      expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('more than 3000 rows')]);
    }
  });

  test('size: n are answered, n + 1 refused, in every form', async () => {
    const url = await startOther({ sql_result_max_chars: 40_000 });
    const text = (chars: number) => `select repeat('y', ${chars}) as x`;
    expect((await ask('text/csv', text(40_000 - 5), url)).length).toBe(40_000);
    expect((await ask('text/csv', text(40_000 - 4), url)).text).toContain('longer than 40000 characters of CSV');
    const { length } = await ask(ARROW, text(1_000), url);
    expect((await ask(ARROW, text(1_000 + 40_000 - length), url)).length).toBe(40_000);
    expect((await ask(ARROW, text(1_000 + 40_001 - length), url)).text).toContain('longer than 40000 bytes of Arrow');
  });

  test.each([
    [
      'a list',
      40_000,
      (chars: number) => `select [repeat('y', ${chars - 30}), 'a', null, repeat('z', 6)] as x`,
      '["","a",null,""]',
    ],
    [
      'a struct',
      40_000,
      (chars: number) => `select {'a': repeat('y', ${chars - 30}), 'b': 'zzzzzz'} as x`,
      '{"a":"","b":""}',
    ],
    [
      'a map',
      40_000,
      (chars: number) => `select map {'k': repeat('y', ${chars - 30}), 'zzzzzz': null} as x`,
      '{"k":"","":null}',
    ],
  ])('characters of %s: n are answered, n + 1 refused', async (_, max, sqlOf, frame) => {
    const url = await startOther({ sql_result_max_chars: max });
    // The row is {"x":…}, and has a separator.
    const fits = max - '{"x":}'.length - 1 - frame.length - 6 + 30;
    const answer = await ask('*/*', sqlOf(fits), url);
    expect([answer.status, answer.text.indexOf('}],"columns"') + 1 - '{"rows":['.length + 1]).toEqual([200, max]);
    expect((await ask('*/*', sqlOf(fits + 1), url)).text).toContain(`longer than ${max} characters of JSON`);
  });

  test('a result that is far too long is refused by its bound, not by the memory of the process', async () => {
    // Far more than it takes: its time is not what this is about.
    const url = await startOther({ sql_timeout_ms: 60_000 });
    const many = (columns: number) => Array.from({ length: columns }, (_, i) => `1 as ${'c'.repeat(50)}${i}`).join(',');
    for (const sql of [
      "select repeat('x', 50000) as x from range(2000)",
      "select repeat('x', 1000000) as x from range(20)",
      'select l from range(2000), (select list(range) as l from range(2000))',
      `select ${many(900)} from range(2000)`,
    ]) {
      for (const accept of ['*/*', 'text/csv', ARROW]) {
        const { status, text } = await ask(accept, sql, url);
        // Fifty-character names are in each row of JSON, and once in the other forms.
        const fits = sql.includes('cccc') && accept !== '*/*';
        if (fits) expect(status).toBe(200);
        else
          expect([sql.slice(0, 60), accept, text]).toEqual([
            sql.slice(0, 60),
            accept,
            expect.stringContaining('the result is longer'),
          ]);
      }
    }
  });

  test('answers that nobody reads: n bytes are held, more are refused, and room comes back', async () => {
    const size_bytes = (await ask('*/*', LARGE)).length;
    const url = await startOther({ sql_answers_max_bytes: size_bytes });
    const reader = readNothing(url, LARGE);
    await reader.begun;
    expect((await ask('*/*', LARGE, url)).text).toContain(`more than ${size_bytes} bytes of answers`);
    expect((await ask('*/*', 'select 1 as a', url)).status).toBe(200);
    reader.destroy();
    await until(async () => (await ask('*/*', LARGE, url)).status === 200, 'room');
  });

  test('an answer that is not read in its time is cut, and room comes back', async () => {
    const url = await startOther({ sql_answer_timeout_ms: 2_500, sql_answers_max_bytes: 20_000_000 });
    const reader = readNothing(url, LARGE);
    await reader.begun;
    expect((await ask('*/*', LARGE, url)).text).toContain('bytes of answers');
    await until(async () => (await ask('*/*', LARGE, url)).status === 200, 'room');
    reader.resume();
    expect(await reader.ended).toBe('cut');
  });
});

/** A client that begins to read an answer, and then does not go on. */
function readNothing(url: string, sql: string) {
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<'whole' | 'cut'>();
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  let resume = (): void => undefined;
  const sent = request(`${url}/query`, { method: 'POST', headers }, (response) => {
    response.pause();
    resume = () => response.resume();
    response.on('end', () => ended.resolve('whole'));
    response.on('error', () => ended.resolve('cut'));
    begun.resolve();
  });
  sent.on('error', () => undefined);
  sent.end(JSON.stringify({ sql }));
  return { begun: begun.promise, ended: ended.promise, destroy: () => sent.destroy(), resume: () => resume() };
}

describe('streams', () => {
  test('a large answer comes in parts, and the query process is free before it is read', async () => {
    const url = await startOther({ sql_processes_max: 1 });
    const reader = readNothing(url, LARGE);
    await reader.begun;
    expect((await query(url, 'select 1 as x')).status).toBe(200);
    reader.resume();
    expect(await reader.ended).toBe('whole');
  });

  test('the gateway gives the same bytes, over HTTP and as text for a link', async () => {
    const telemetry = telemetryOverHttp({ url: service.url, token: TOKEN });
    for (const accept of [null, 'text/csv', ARROW]) {
      for (const sql of ['select 1 as a, \'é\' as "b,"', LARGE, EVERY_TYPE]) {
        const direct = await ask(accept ?? '*/*', sql);
        const passed = await telemetry.query(sql, accept);
        if (!passed.ok) throw new Error(passed.failure.message);
        expect(passed.value.headers.get('content-type')).toBe(direct.type);
        expect(Buffer.from(await passed.value.arrayBuffer()).equals(direct.bytes)).toBe(true);
        const linked = await service.requests.answer('query', accept === null ? { sql } : { sql, accept });
        if (!linked.ok) throw new Error(linked.failure.message);
        const behind = `${direct.type}\n`;
        const expected =
          accept === null
            ? direct.text
            : behind + Buffer.from(direct.bytes).toString(accept === ARROW ? 'base64' : 'utf8');
        expect(linked.value).toBe(expected);
      }
    }
  });
});
