/**
 * JSON documents for property tests: those that a valibot schema describes, and those that are nearly so. What is made is
 * what a JSON text can hold, for every document is written and read back.
 */
import fc from 'fast-check';
import * as v from 'valibot';
import { Timestamp } from '../../src/contract/index.ts';
import { INTEGER_RANGES } from './json-schema.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The parts of a schema that are looked at here, whatever its type. */
interface SchemaParts {
  readonly type: string;
  readonly pipe?: readonly {
    readonly kind: string;
    readonly type: string;
    readonly requirement?: unknown;
    readonly metadata?: { format?: string };
  }[];
  readonly entries?: Readonly<Record<string, v.GenericSchema>>;
  readonly options?: readonly unknown[];
  readonly item?: v.GenericSchema;
  readonly wrapped?: v.GenericSchema;
  readonly literal?: string;
}

export function partsOf(schema: v.GenericSchema): SchemaParts {
  return schema as unknown as SchemaParts;
}

/** Texts that have tripped somebody: of no length, beyond the basic plane, half a character, not printable, a wrong date. */
const TEXTS = [
  '',
  ' ',
  'x',
  'é',
  '\u{1f4a5}',
  '\ud800',
  '\u0000',
  '0',
  'null',
  '2026-02-30T00:00:00Z',
  '2026-99-99T00:00:00Z',
];
const NUMBERS = [
  0,
  -0,
  -1,
  1,
  1.5,
  -1.5,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  -(2 ** 31) - 1,
  2 ** 32 - 1,
  2 ** 32,
].concat([2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64, 2 ** 65, -(2 ** 53), 1e300, -1e300, 5e-324]);
const KEYS = [
  '',
  'x',
  '__proto__',
  'constructor',
  'toString',
  'length',
  '0',
  'Root',
  'Ok',
  'identity',
  'properties',
  'type',
];

const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(...TEXTS) },
);
const anything: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(null, true, false, [], {}, [[]], [{}], { x: null }),
  fc.constantFrom<Json>(...NUMBERS),
  text,
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
);
const date = fc
  .tuple(
    fc.date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
    fc.constantFrom('Z', '+00:00'),
    fc.boolean(),
  )
  .map(([at, zone, isWhole]) =>
    isWhole ? `${at.toISOString().slice(0, 19)}${zone}` : at.toISOString().replace('Z', zone),
  );

/** A document that the schema describes. @throws RangeError for a type of schema that the contract does not use. */
function fitting(schema: v.GenericSchema): fc.Arbitrary<Json> {
  const parts = partsOf(schema);
  switch (parts.type) {
    case 'string':
      if (schema === Timestamp) return date;
      return parts.pipe?.some(({ type }) => type === 'uuid') === true ? fc.uuid() : text;
    case 'number':
      return numbers(parts);
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'unknown':
      return anything;
    case 'literal':
      return fc.constant(parts.literal ?? null);
    case 'picklist':
      return fc.constantFrom(...((parts.options ?? []) as readonly string[]));
    case 'array':
      return fc.array(fitting(parts.item ?? v.null()), { maxLength: 3 });
    case 'nullable':
    case 'optional':
      return fc.option(fitting(parts.wrapped ?? v.null()), { freq: 3 });
    case 'union':
    case 'variant':
      return fc.oneof(...((parts.options ?? []) as readonly v.GenericSchema[]).map(fitting));
    case 'object':
    case 'strict_object':
      return objects(parts);
    default:
      throw new RangeError(`schema: no documents for type '${parts.type}'`);
  }
}

function numbers({ pipe = [] }: SchemaParts): fc.Arbitrary<Json> {
  const format = pipe.find(({ type }) => type === 'metadata')?.metadata?.format ?? 'uint';
  const [min, max] = INTEGER_RANGES[format] ?? [0, 0];
  const most = Math.min(max, Number.MAX_SAFE_INTEGER);
  return fc.oneof(fc.integer({ min, max: 1_000 }), fc.integer({ min, max: most }), fc.constantFrom(min, most));
}

/** A field that may be absent sometimes is. */
function objects({ entries = {} }: SchemaParts): fc.Arbitrary<Json> {
  const fields = Object.entries(entries);
  const requiredKeys = fields.filter(([, schema]) => partsOf(schema).type !== 'optional').map(([name]) => name);
  const model = Object.fromEntries(fields.map(([name, schema]) => [name, field(schema)]));
  return fc.record(model, { requiredKeys, noNullPrototype: true }) as fc.Arbitrary<Json>;
}

function field(schema: v.GenericSchema): fc.Arbitrary<Json> {
  const { type, wrapped } = partsOf(schema);
  return type === 'optional' && wrapped !== undefined ? fitting(wrapped) : fitting(schema);
}

interface Mutation {
  /** Where, as a number that is folded into how many places there are. */
  readonly place: number;
  readonly kind: 'replace' | 'drop' | 'extra' | 'rename' | 'wrap' | 'negate' | 'fraction';
  readonly key: string;
  readonly value: Json;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  place: fc.nat({ max: 10_000 }),
  kind: fc.constantFrom('replace', 'drop', 'extra', 'rename', 'wrap', 'negate', 'fraction'),
  key: fc.oneof(fc.constantFrom(...KEYS), text),
  value: anything,
});

/** Documents for a schema: as it describes them, with up to three things wrong, or anything at all. */
export function documents(schema: v.GenericSchema): fc.Arbitrary<Json> {
  const nearly = fc.tuple(fitting(schema), fc.array(mutation, { minLength: 1, maxLength: 3 }));
  return fc
    .oneof(
      { weight: 3, arbitrary: fitting(schema) },
      { weight: 6, arbitrary: nearly.map(([document, mutations]) => mutations.reduce(mutate, document)) },
      { weight: 1, arbitrary: anything },
    )
    .map((document) => JSON.parse(JSON.stringify(document)) as Json);
}

function mutate(document: Json, { place, kind, key, value }: Mutation): Json {
  const count = countPlaces(document);
  return change(document, { left: place % count }, (old) => {
    switch (kind) {
      case 'replace':
        return value;
      case 'wrap':
        return [old];
      case 'negate':
        return typeof old === 'number' ? -old - 1 : value;
      case 'fraction':
        return typeof old === 'number' ? old + 0.5 : value;
      case 'extra':
        return isObject(old) ? Object.fromEntries([...Object.entries(old), [key, value]]) : value;
      case 'drop':
        return isObject(old) ? Object.fromEntries(Object.entries(old).slice(1)) : value;
      case 'rename':
        return isObject(old)
          ? Object.fromEntries(Object.entries(old).map(([name, each], index) => [index === 0 ? key : name, each]))
          : value;
    }
  });
}

function isObject(json: Json): json is { readonly [key: string]: Json } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function countPlaces(json: Json): number {
  if (typeof json !== 'object' || json === null) return 1;
  return Object.values(json).reduce((sum: number, each) => sum + countPlaces(each), 1);
}

/** Changes the place that is `left` steps away, in the order of writing; fields come in an order of their own each time. */
function change(json: Json, at: { left: number }, alter: (old: Json) => Json): Json {
  if (at.left === 0) {
    at.left = -1;
    return alter(json);
  }
  at.left -= 1;
  if (typeof json !== 'object' || json === null) return json;
  const entries = Object.entries(json).map(
    ([key, each]) => [key, at.left < 0 ? each : change(each, at, alter)] as const,
  );
  return Array.isArray(json) ? entries.map(([, each]) => each) : Object.fromEntries(entries);
}
