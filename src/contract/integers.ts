/**
 * The integer types of the contract. `format` is what the published JSON Schema says of each; the bound here is the
 * safe range of a JavaScript number, since no counter of the contract comes near it (query rows, which may, travel as
 * text and are never read into numbers).
 */
import * as v from 'valibot';

function integer<const F extends string>(format: F, min: number, max: number) {
  return v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max), v.metadata({ format }));
}

export const U64 = integer('uint64', 0, Number.MAX_SAFE_INTEGER);
export const UInt = integer('uint', 0, Number.MAX_SAFE_INTEGER);
export const U32 = integer('uint32', 0, 0xffff_ffff);
export const I32 = integer('int32', -0x8000_0000, 0x7fff_ffff);

/** A field that is always written, as null when there is nothing to say, and may be absent in what is read. */
export function nullable<const S extends v.GenericSchema>(schema: S) {
  return v.optional(v.nullable(schema), null);
}
