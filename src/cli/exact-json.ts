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

/** Writes JSON without rounding: a BigInt becomes a bare integer. */
export function stringifyExact(value: unknown, indent = 0): string {
  return JSON.stringify(
    value,
    (_key, each: unknown) => (typeof each === 'bigint' ? rawJson(String(each)) : each),
    indent,
  );
}

/** Newer than the library types know, as well. */
const { rawJSON: rawJson } = JSON as typeof JSON & { rawJSON(text: string): unknown };
