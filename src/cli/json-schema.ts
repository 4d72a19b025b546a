/**
 * A checker for the JSON Schemas that a gateway serves: exactly the keywords that they use. A keyword that is not known
 * is reported, so that a check never passes by being skipped.
 */

export type JsonSchema = { readonly [keyword: string]: unknown };

const ANNOTATIONS = new Set(['$schema', '$id', '$defs', '$comment', 'title', 'description', 'format', 'default']);

/** The first way in which `value` does not fit, with the path to it; null when it fits. */
export function schemaError(schema: JsonSchema, value: unknown): string | null {
  return check(schema, schema, value, '$');
}

function check(root: JsonSchema, schema: JsonSchema, value: unknown, path: string): string | null {
  for (const [keyword, operand] of Object.entries(schema)) {
    if (ANNOTATIONS.has(keyword)) continue;
    const error = checkKeyword(root, schema, keyword, operand, value, path);
    if (error !== null) return error;
  }
  return null;
}

function checkKeyword(
  root: JsonSchema,
  schema: JsonSchema,
  keyword: string,
  operand: unknown,
  value: unknown,
  path: string,
): string | null {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  switch (keyword) {
    case '$ref':
      return check(root, resolve(root, String(operand)), value, path);
    case 'type': {
      const types = Array.isArray(operand) ? operand : [operand];
      return types.some((type) => hasType(value, type)) ? null : `${path} is not of type ${types.join(' or ')}`;
    }
    case 'const':
      return value === operand ? null : `${path} is not ${JSON.stringify(operand)}`;
    case 'enum':
      return (operand as unknown[]).includes(value) ? null : `${path} is none of ${JSON.stringify(operand)}`;
    case 'minimum':
      return typeof value === 'number' && value < Number(operand) ? `${path} is less than ${operand}` : null;
    case 'maximum':
      return typeof value === 'number' && value > Number(operand) ? `${path} is more than ${operand}` : null;
    case 'required': {
      const missing = isObject ? (operand as string[]).find((name) => !Object.hasOwn(value, name)) : undefined;
      return missing === undefined ? null : `${path}.${missing} is missing`;
    }
    case 'properties':
      return isObject ? firstError(operand as Record<string, JsonSchema>, root, value, path) : null;
    case 'additionalProperties': {
      const known = (schema.properties ?? {}) as Record<string, unknown>;
      const extra =
        isObject && operand === false ? Object.keys(value).find((name) => !Object.hasOwn(known, name)) : undefined;
      return extra === undefined ? null : `${path}.${extra} is not allowed`;
    }
    case 'items': {
      if (!Array.isArray(value)) return null;
      for (const [index, item] of value.entries()) {
        const error = check(root, operand as JsonSchema, item, `${path}[${index}]`);
        if (error !== null) return error;
      }
      return null;
    }
    case 'anyOf':
    case 'oneOf': {
      const errors = (operand as JsonSchema[]).map((branch) => check(root, branch, value, path));
      const matches = errors.filter((error) => error === null).length;
      if (matches === 1 || (matches > 1 && keyword === 'anyOf')) return null;
      return matches > 1 ? `${path} fits ${matches} of oneOf` : (errors.at(-1) ?? `${path} fits none of ${keyword}`);
    }
    default:
      return `${path}: the schema uses "${keyword}", which is not known here`;
  }
}

function firstError(
  properties: Readonly<Record<string, JsonSchema>>,
  root: JsonSchema,
  value: object,
  path: string,
): string | null {
  for (const [name, schema] of Object.entries(properties)) {
    if (!Object.hasOwn(value, name)) continue;
    const error = check(root, schema, (value as Record<string, unknown>)[name], `${path}.${name}`);
    if (error !== null) return error;
  }
  return null;
}

function resolve(root: JsonSchema, pointer: string): JsonSchema {
  let found: unknown = root;
  for (const key of pointer.replace(/^#\/?/, '').split('/')) found = (found as Record<string, unknown>)?.[key];
  return (found ?? { [`unresolved ${pointer}`]: true }) as JsonSchema;
}

function hasType(value: unknown, type: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
