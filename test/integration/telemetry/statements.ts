/**
 * Generated statements: real queries that were mutated by hostile fragments, and statements grown from a small grammar. The
 * same seed gives the same statements, so that what one of them did can be looked at again.
 */

/** Queries that people write, to be mutated. Ranges are small: what takes long is another test's. */
const QUERIES: readonly string[] = [
  'select * from actors limit 3',
  'select full_name, new_status from actor_status_events e join actors a on a.id = e.actor_id order by e.timestamp_us limit 5',
  'with a as (select * from actors), b as (select * from a) select a.id from b join a using (id) limit 2',
  'with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) select sum(n) as s from t',
  'select count(*) filter (where id > 1) as n, list(id order by id desc) as l from actor_status_events',
  "select [x * 2 for x in [1, 2, 3] if x > 1] as l, {'a': 1}.a as s, map {'k': 1}['k'] as m",
  'select new_status, count(*) as n from actor_status_events group by new_status having count(*) > 0 order by n desc',
  'select * from range(3) r, generate_series(1, 2) g',
  'select id, row_number() over (partition by mesh_id order by rank) as r from actors qualify r = 1',
  "select column_name from information_schema.columns where table_name = 'actors' limit 4",
  'select status, count(*) as n from actor_current group by status',
  'select * from messages_by_endpoint order by messages desc limit 3',
  'describe actors',
  'show tables',
  'summarize actor_status_events',
  'explain select * from actors',
  'explain analyze select count(*) as n from actors',
  'from actors select id limit 1',
  'table meshes',
  'values (1, 2), (3, 4)',
  'select cast(id as varchar) as t, id::hugeint as h, try_cast(new_status as integer) as i from actor_status_events limit 3',
  'select d."binary", f.name from pyspy_dumps d join pyspy_frames f using (dump_id) order by f.frame_depth limit 10',
  'pivot (select new_status, id from actor_status_events) on new_status using count(id)',
  'unpivot (select id, rank from actors limit 2) on id, rank',
  'select id from actors except select id from actors union (select 1 intersect select 2)',
  "select case when id = 1 then 'a' else coalesce(reason, 'b') end as c from actor_status_events limit 2",
  'select * from actors a asof join meshes m on a.timestamp_us >= m.timestamp_us limit 1',
  'select make_timestamp(timestamp_us) as t from actor_status_events limit 2',
  "select json_extract('{\"a\": [1, 2]}', '$.a') as j, regexp_extract('abc', 'b.') as r",
  'select * from (select id from actors union all by name select id from meshes) limit 3',
];

/** Where rows come from, if an attacker has his way. */
const HOSTILE_SOURCES: readonly string[] = [
  "read_text('CANARY')",
  "read_csv('CANARY')",
  "read_blob(['CANARY'])",
  "glob('FOLDER/*')",
  "'CANARY'",
  '"CANARY"',
  "'copy.duckdb'",
  'meshscope.producers',
  'duckdb_settings()',
  'duckdb_databases()',
  'duckdb_secrets()',
  'pragma_database_list',
  'pg_catalog.pg_settings',
  "query('drop table actors')",
  "query_table('actors')",
  "json_execute_serialized_sql(json_serialize_sql('select 1'))",
  'telemetry.main.actors',
  'system.information_schema.tables',
  'memory.main.x',
  "(copy actors to 'FOLDER/x.csv')",
  '(delete from actors returning *)',
  "main.read_text('CANARY')",
  'range(20000)',
  'actors at (version => 1)',
  "(from (from 'CANARY'))",
  '(show databases)',
  "(with w as (from glob('/*')) from w)",
];

const HOSTILE_EXPRESSIONS: readonly string[] = [
  "current_setting('home_directory')",
  "getenv('HOME')",
  "getvariable('x')",
  "(select content from read_text('CANARY'))",
  '(select path from duckdb_databases() limit 1)',
  "json_serialize_plan('from actors')",
  "nextval('s')",
  "write_log('x')",
  'version()',
  "main.getenv('HOME')",
  'current_query()',
  'sleep_ms(100000)',
  '?',
  '$1',
  '9223372036854775808',
  '1e400',
  "'x'::blob",
  "repeat('x', 100000)",
  'list_transform([1, 2], x -> x / 0)',
  "error('CANARY')",
  'unnest([1, 2])',
  'columns(*)',
  "'CANARY'::json",
  "cast('CANARY' as date)",
  'struct_pack(a := id)',
  '(id, rank)',
];

const HOSTILE_STATEMENTS: readonly string[] = [
  "attach 'FOLDER/x.duckdb' as x",
  "copy actors to 'FOLDER/out.csv'",
  "copy (select 1) to 'FOLDER/out.parquet' (format parquet)",
  "export database 'FOLDER/x'",
  'drop table actors',
  'delete from actors',
  'update actors set rank = 7',
  'insert into actors select * from actors',
  'truncate actor_status_events',
  'create table x as select 1',
  'create or replace view actor_current as select 1',
  'create macro m() as 1',
  'alter table actors add column x integer',
  'set enable_external_access = true',
  'set lock_configuration = false',
  "set temp_directory = 'FOLDER'",
  "pragma temp_directory='FOLDER'",
  'call force_checkpoint()',
  'checkpoint',
  'install httpfs',
  "load 'FOLDER/x.so'",
  'prepare p as select 1',
  'execute p',
  'begin',
  'commit',
  'rollback',
  'use memory',
  'detach telemetry',
];

const HOSTILE_BITS: readonly string[] = [
  ...[
    ';',
    '; --',
    "';--",
    '/*',
    '*/',
    '--',
    '--\r',
    '/* /* */',
    '$$',
    "e'\\x27'",
    '\u037e',
    '\uff1b',
    '\u202e',
    '\u00a0',
  ],
  ...['\u2028', '\ufeff', '\u0000', "U&'\\0027'", 'exclude (id)', 'lateral', 'recursive', 'materialized', 'for update'],
  ...[
    'tablesample reservoir(10%)',
    'explain',
    'explain analyze',
    'describe',
    'summarize',
    'pivot',
    'returning *',
    'into x',
  ],
];

const HOSTILE: readonly string[] = [...HOSTILE_SOURCES, ...HOSTILE_EXPRESSIONS, ...HOSTILE_STATEMENTS, ...HOSTILE_BITS];

const FUNCTIONS: readonly string[] = [
  ...['abs', 'lower', 'length', 'hash', 'md5', 'typeof', 'list_sort', 'to_json', 'epoch_us', 'coalesce', 'concat'],
  ...[
    'regexp_matches',
    'strftime',
    'list_value',
    'struct_pack',
    'count',
    'sum',
    'min',
    'list',
    'row_number',
    'parse_path',
  ],
  ...[
    'getenv',
    'current_setting',
    'read_text',
    'nextval',
    'json_serialize_plan',
    'write_log',
    'query',
    'sleep_ms',
    'version',
  ],
];

const SOURCES: readonly string[] = [
  ...[
    'actors',
    'meshes',
    'actor_status_events',
    'messages',
    'pyspy_frames',
    'metric_sums',
    'actor_current',
    'recent_failures',
  ],
  ...[
    'range(3)',
    'generate_series(1, 2)',
    'unnest([1, 2])',
    'information_schema.tables',
    'duckdb_columns()',
    'sqlite_master',
  ],
  ...[
    "'CANARY'",
    "read_text('CANARY')",
    'duckdb_settings()',
    'meshscope.producers',
    "glob('/*')",
    '"x.csv"',
    'memory.main.x',
  ],
];

const ATOMS: readonly string[] = [
  ...['1', '0', '-1', "'x'", 'null', 'true', '1.5', 'id', 'rank', '*', "'CANARY'", '[1, 2]', "{'a': 1}", 'x'],
  ...[
    "date '2024-01-02'",
    'interval 1 day',
    '18446744073709551615',
    "'1'::int",
    'now()',
    'columns(*)',
    '?',
    '(select 1)',
  ],
];

const OPERATORS: readonly string[] = [
  '+',
  '-',
  '*',
  '/',
  '//',
  '%',
  '||',
  '=',
  '<',
  'and',
  'or',
  'like',
  '~',
  '->',
  '[1]::',
  'in',
];
const TOKEN = /\s+|[\p{L}_][\p{L}\p{N}_]*|\d+|'(?:[^']|'')*'|"[^"]*"|./gsu;

/** A source of the same numbers for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Statements {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  next(): string {
    const roll = this.#random();
    if (roll < 0.6) return this.#mutated();
    if (roll < 0.95) return this.#grown();
    return this.#wrapped(`${this.#pick(HOSTILE_STATEMENTS)} ${this.#pick(HOSTILE_BITS)}`);
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T;
  }

  #mutated(): string {
    const tokens = this.#pick(QUERIES).match(TOKEN) ?? [];
    const times = 1 + Math.floor(this.#random() * 2);
    for (let i = 0; i < times; i++) this.#mutate(tokens);
    return this.#wrapped(tokens.join(''));
  }

  #mutate(tokens: string[]): void {
    const at = Math.floor(this.#random() * (tokens.length + 1));
    const other = Math.floor(this.#random() * tokens.length);
    const roll = this.#random();
    if (roll < 0.3) this.#put(tokens, /^(from|join|table|describe|summarize)$/i, this.#pick(HOSTILE_SOURCES));
    else if (roll < 0.55)
      this.#put(tokens, /^(select|,|where|by|on|when|and|=|>|in)$/i, this.#pick(HOSTILE_EXPRESSIONS));
    else if (roll < 0.65) tokens.splice(at, 0, ' ', this.#pick(HOSTILE), ' ');
    else if (roll < 0.75) tokens.splice(at, 1, this.#pick(HOSTILE));
    else if (roll < 0.8) tokens.splice(at, 1);
    else if (roll < 0.85) tokens.splice(at, 0, tokens[other] ?? '');
    else if (roll < 0.9) tokens.splice(at, 0, ...(this.#pick(QUERIES).match(TOKEN) ?? []).slice(0, other));
    else if (roll < 0.95) tokens[other] = (tokens[other] ?? '').toUpperCase();
    else tokens[other] = `"${tokens[other] ?? ''}"`;
  }

  /** Puts something in the place of what follows one of the words, where it still parses. */
  #put(tokens: string[], word: RegExp, what: string): void {
    const places = tokens.flatMap((token, place) =>
      word.test(token) && /^\s+$/.test(tokens[place + 1] ?? '') ? place : [],
    );
    if (places.length > 0) tokens[this.#pick(places) + 2] = what;
  }

  #wrapped(sql: string): string {
    const roll = this.#random();
    if (roll < 0.8) return sql;
    const [before, after] = this.#pick([
      ['explain ', ''],
      ['explain analyze ', ''],
      ['select * from (', ') w limit 5'],
      ['with w as (', ') select * from w limit 5'],
      ['with w as (select 1) ', ''],
      ['(', ')'],
      ['describe ', ''],
      ['summarize ', ''],
      ['select exists(', ') as e'],
      ['/* x */ ', ' -- x'],
      ['--\r', '\n'],
      ['', ';'],
      ['', `; ${this.#pick(HOSTILE_STATEMENTS)}`],
      ['copy (', ") to 'FOLDER/copied.csv'"],
      ['create table x as ', ''],
      ['prepare p as ', ''],
    ] as const);
    return before + sql + after;
  }

  #grown(): string {
    const roll = this.#random();
    if (roll < 0.1) return `${this.#pick(['from', 'table', 'summarize', 'describe'])} ${this.#source(1)}`;
    return `${this.#select(2)} limit 5`;
  }

  #select(depth: number): string {
    const columns = Array.from(
      { length: 1 + Math.floor(this.#random() * 2) },
      (_, i) => `${this.#expression(depth)} as c${i}`,
    );
    let sql = `select ${columns.join(', ')} from ${this.#source(depth)}`;
    if (this.#random() < 0.3) sql += ` where ${this.#expression(depth)}`;
    if (this.#random() < 0.15) sql += ' group by all';
    if (this.#random() < 0.15) sql += ` order by ${this.#expression(1)}`;
    if (this.#random() < 0.1)
      sql = `with x as (${this.#source(1).includes('(') ? 'select 1 as id' : 'from actors'}) ${sql}`;
    return sql;
  }

  #source(depth: number): string {
    const roll = this.#random();
    if (depth > 0 && roll < 0.15) return `(${this.#select(depth - 1)}) s${Math.floor(roll * 1_000)}`;
    if (depth > 0 && roll < 0.3) {
      const join = this.#pick(['join', 'left join', 'semi join', 'cross join', 'positional join', 'asof join']);
      return `${this.#pick(SOURCES)} a ${join} ${this.#pick(SOURCES)} b ${join.endsWith('ss join') ? '' : 'on true'}`;
    }
    return this.#pick(SOURCES);
  }

  #expression(depth: number): string {
    const roll = this.#random();
    if (depth <= 0 || roll < 0.3) return this.#pick(ATOMS);
    if (roll < 0.55) return `${this.#pick(FUNCTIONS)}(${this.#expression(depth - 1)})`;
    if (roll < 0.8) return `(${this.#expression(depth - 1)} ${this.#pick(OPERATORS)} ${this.#expression(depth - 1)})`;
    if (roll < 0.9) return `(${this.#select(depth - 1)} limit 1)`;
    return `case when ${this.#expression(depth - 1)} then ${this.#expression(depth - 1)} end`;
  }
}
