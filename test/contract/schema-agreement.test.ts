/**
 * valibot, which judges what comes in, and the published JSON Schemas, by which clients judge what they get, agree: on
 * documents made from each schema, whole and broken (SC-1, SC-3). The published schemas say less than valibot on purpose,
 * where every client of a mesh admin API knows them so; `UNSAID` lists each such thing, and `published` takes exactly
 * these out of a valibot schema before the two are compared.
 */
import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import * as generated from '../../src/contract/generated/schemas.ts';
import * as contract from '../../src/contract/index.ts';
import { documents, type Json, partsOf } from '../support/arbitrary-json.ts';
import { createJudge, INTEGER_RANGES, type Judge } from '../support/json-schema.ts';

const SEED = 20_260_302;
const RUNS = 1_000;

/** What the published schemas leave unsaid, with the reason and a document of which only valibot knows that it is wrong. */
const UNSAID: Record<string, { readonly why: string; readonly schema: v.GenericSchema; readonly wrong: Json }> = {
  regex: {
    why: 'a timestamp is published as plain text',
    schema: contract.ActiveHandler,
    wrong: { name: 'h', active_count: 1, oldest_since: 'yesterday' },
  },
  check: {
    why: 'that a date exists cannot be said by a pattern',
    schema: contract.ActiveHandler,
    wrong: { name: 'h', active_count: 1, oldest_since: '2026-99-99T00:00:00Z' },
  },
  uuid: {
    why: 'an id is published as plain text',
    schema: contract.OrderingSessionSnapshot,
    wrong: { session_id: 'x', last_released_seq: 1, expected_next_seq: 2, buffered_count: 0 },
  },
  safe_integer: {
    why: 'a counter is published with all its 64 bits; one that a JavaScript number cannot hold is refused at ingest',
    schema: contract.ProcessMemoryStats,
    wrong: { process_rss_bytes: 2 ** 60 },
  },
};

/** Fields that meshscope adds: open objects take them, whatever is in them. */
const ADDED: Record<string, { readonly field: string; readonly wrong: Json }> = {
  NodePayload: { field: 'process', wrong: node({ Actor: { ...actor(), process: 'none' } }) },
  QueryResponse: { field: 'columns', wrong: { rows: [], columns: 'none' } },
};
/** ... but in the schemas that only meshscope has. */
const OURS = ['LiveEvent', 'LiveStatus', 'LiveProcess', 'LiveActor'];

/** The schema without what is left unsaid. */
function published(schema: v.GenericSchema, isOurs: boolean): v.GenericSchema {
  const { type, entries = {}, options = [], item, wrapped, pipe = [] } = partsOf(schema);
  const inner = (each: v.GenericSchema = v.never()) => published(each, isOurs);
  switch (type) {
    case 'string': {
      const left = pipe.slice(1).filter((action) => UNSAID[action.type] === undefined);
      if (left.length > 0) throw new RangeError(`schema: text with ${left.map((action) => action.type)}`);
      return v.string();
    }
    case 'number': {
      const format = pipe.find((action) => action.type === 'metadata')?.metadata?.format ?? '';
      const [min, max] = INTEGER_RANGES[format] ?? [0, 0];
      return v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
    }
    case 'array':
      return v.array(inner(item));
    case 'nullable':
      return v.nullable(inner(wrapped));
    case 'optional':
      return v.optional(inner(wrapped), null as never);
    case 'union':
    case 'variant':
      return v.union((options as readonly v.GenericSchema[]).map(inner));
    case 'object': {
      const object = v.object(publishedEntries(entries, isOurs));
      return v.pipe(
        v.unknown(),
        v.check((value) => !Array.isArray(value)),
        object,
      ) as v.GenericSchema;
    }
    case 'strict_object':
      return v.strictObject(publishedEntries(entries, isOurs));
    case 'boolean':
    case 'null':
    case 'unknown':
    case 'literal':
    case 'picklist':
      return schema;
    default:
      throw new RangeError(`schema: type '${type}' is not known here`);
  }
}

function publishedEntries(entries: Readonly<Record<string, v.GenericSchema>>, isOurs: boolean) {
  const added = Object.values(ADDED).map(({ field }) => field);
  const kept = Object.entries(entries).filter(([name]) => isOurs || !added.includes(name));
  return Object.fromEntries(kept.map(([name, schema]) => [name, published(schema, isOurs)]));
}

const { components } = generated.OPENAPI_DOCUMENT as { components: { schemas: Record<string, object> } };

/** Every published schema: the three documents, and every component of the OpenAPI document, with its valibot schema. */
function subjects(): [string, v.GenericSchema, Judge][] {
  const judge = createJudge();
  judge.addSchema({ $id: 'mesh://openapi', components });
  const schemas = contract as unknown as Record<string, v.GenericSchema>;
  const served: [string, v.GenericSchema, Judge][] = [
    ['/v1/schema', contract.NodePayload, judge.compile(generated.NODE_PAYLOAD_SCHEMA)],
    ['/v1/schema/admin', contract.AdminInfo, judge.compile(generated.ADMIN_INFO_SCHEMA)],
    ['/v1/schema/error', contract.ApiErrorEnvelope, judge.compile(generated.API_ERROR_SCHEMA)],
  ];
  const components_ = Object.keys(components.schemas).map((name): [string, v.GenericSchema, Judge] => [
    name,
    schemas[name] ?? v.never(),
    judge.compile({ $ref: `mesh://openapi#/components/schemas/${name}` }),
  ]);
  return [...served, ...components_];
}

const SUBJECTS = subjects();

/** Options of a profile are judged in two steps: their shape, then their ranges, of which the schema says the lower. */
function profileOpts(): v.GenericSchema {
  const isInRange = (opts: unknown) => {
    const { duration_s, ...rest } = opts as contract.PySpyProfileOpts;
    const unsaid = { duration_s: Math.min(duration_s, contract.PROFILE_MAX_S), nonblocking: false };
    return contract.profileOptsError({ ...rest, ...unsaid }, contract.PROFILE_MAX_S) === null;
  };
  return v.pipe(published(contract.PySpyProfileOpts, false), v.check(isInRange));
}

describe.each(SUBJECTS)('%s', (name, schema, judge) => {
  const strict = v.safeParse.bind(null, schema);
  const twin = name === 'PySpyProfileOpts' ? profileOpts() : published(schema, OURS.includes(name));

  it('takes and refuses what valibot does', () => {
    const verdicts = { taken: 0, refused: 0 };
    const property = fc.property(documents(schema), (document) => {
      const isTaken = judge(document);
      verdicts[isTaken ? 'taken' : 'refused'] += 1;
      expect(v.is(twin, document), isTaken ? 'valibot alone refuses it' : 'valibot alone takes it').toBe(isTaken);
      // What valibot takes in full, every client finds in order.
      if (name !== 'PySpyProfileOpts' && strict(document).success) expect(isTaken).toBe(true);
    });
    fc.assert(property, { seed: SEED, numRuns: RUNS });
    if (name !== 'QueryResponse') expect(verdicts.refused).toBeGreaterThan(RUNS / 20);
    expect(verdicts.taken).toBeGreaterThan(RUNS / 20);
  });

  it('takes what valibot makes of a document', () => {
    const property = fc.property(documents(schema), (document) => {
      const parsed = strict(document);
      fc.pre(parsed.success);
      expect(judge(JSON.parse(JSON.stringify(parsed.output)))).toBe(
        name !== 'PySpyProfileOpts' || v.is(twin, document),
      );
    });
    fc.assert(property, { seed: SEED, numRuns: RUNS / 8 });
  });
});

describe('what the published schemas leave unsaid', () => {
  const judgeOf = (schema: v.GenericSchema) => SUBJECTS.find(([, each]) => each === schema)?.[2];

  it.each(Object.entries(UNSAID))('%s', (type, { schema, wrong }) => {
    const parsed = v.safeParse(schema, wrong);
    expect(parsed.issues?.map((issue) => issue.type)).toContain(type);
    expect(judgeOf(schema)?.(wrong)).toBe(true);
  });

  it.each(Object.entries(ADDED))('a field that is added to %s', (name, { wrong }) => {
    const schema = (contract as unknown as Record<string, v.GenericSchema>)[name] ?? v.never();
    expect(v.is(schema, wrong)).toBe(false);
    expect(judgeOf(schema)?.(wrong)).toBe(true);
  });

  it.each([
    [{ duration_s: 301 }, 'duration_s 301s exceeds max 300s'],
    [{ native: true, nonblocking: true }, 'native and nonblocking cannot both be true'],
  ])('ranges of profile options are said in words: %o', (change, message) => {
    const opts = { duration_s: 1, rate_hz: 100, native: false, threads: false, nonblocking: false, ...change };
    expect(judgeOf(contract.PySpyProfileOpts)?.(opts)).toBe(true);
    expect(contract.profileOptsError(opts, contract.PROFILE_MAX_S)).toContain(message);
    expect(JSON.stringify(components.schemas.PySpyProfileOpts)).toContain('cannot both be true');
  });
});

function actor(): Record<string, Json> {
  return {
    actor_status: 'idle',
    actor_type: 't',
    instance_id: '0195a1c2-7d10-7c33-9f00-2b6a5d1e9c01',
    messages_processed: 0,
    total_processing_time_us: 0,
    queue_depth: 0,
    is_system: false,
  };
}

function node(properties: Json): Json {
  return { identity: 'a', properties, children: [], as_of: '2026-03-02T09:15:02.004Z' };
}
