/** Reads JSON without rounding: an integer that a number cannot hold becomes a BigInt. */
export function parseExact(text: string): unknown {
  return JSON.parse(text, reviveExactly);
}

/** The third argument, the source text of a primitive, is newer than the library types know. */
function reviveExactly(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? '';
  return /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
}
