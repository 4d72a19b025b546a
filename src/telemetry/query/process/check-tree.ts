/**
 * The allow-list, held against the tree that DuckDB's own parser gives (`json_serialize_sql`).
 *
 * 1. The text must be exactly one statement that the parser can write as JSON; those are SELECT, WITH, VALUES, FROM, TABLE,
 *    SHOW, DESCRIBE and SUMMARIZE. Everything else (DDL, DML, COPY, ATTACH, SET, PRAGMA, CALL, …) ends here.
 * 2. In the tree, every table must be one of the contract's, of the catalogue's views, or a name that an enclosing WITH
 *    brings into scope; every function must be on the list of functions, and in FROM on the list of table functions.
 * 3. A node of a kind that is not known here is refused. The tree is read whole: a subquery is checked wherever it stands.
 */
import { failure, type Outcome, success } from '../../../base/index.ts';
import type { TelemetryLimits } from '../../limits.ts';
import {
  CATALOG_VIEWS,
  FUNCTIONS,
  INFORMATION_SCHEMA_VIEWS,
  OPERATOR,
  SHOW_NAMES,
  TABLE_FUNCTIONS,
  TABLE_NAMES,
} from './names.ts';

const KINDS = 'SELECT, WITH, VALUES, FROM, SHOW TABLES, DESCRIBE, SUMMARIZE or EXPLAIN of one of these';
const QUERY_NODES = new Set(['SELECT_NODE', 'SET_OPERATION_NODE', 'RECURSIVE_CTE_NODE', 'CTE_NODE']);
const PLAIN_SOURCES = new Set(['JOIN', 'SUBQUERY', 'EXPRESSION_LIST', 'EMPTY', 'PIVOT']);
/** A name given by WITH is a plain word: nothing that DuckDB could take for a file when the scope is misjudged. */
const CTE_NAME = /^[\p{L}\p{N}_ $-]+$/u;

type Json = null | boolean | number | string | Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/**
 * @param serialized what `json_serialize_sql` gave
 * @returns `bad_request` naming what is not allowed
 */
export function checkTree(serialized: string, limits: TelemetryLimits): Outcome<null> {
  const tree = JSON.parse(serialized) as {
    error: boolean;
    error_type?: string;
    error_message?: string;
    statements?: { node: Json; named_param_map?: Json[] }[];
  };
  if (tree.error) {
    if (tree.error_type === 'not implemented') return failure('bad_request', `sql: only one ${KINDS} is allowed`);
    return failure('bad_request', `Parser Error: ${tree.error_message ?? 'cannot read the statement'}`);
  }
  const statements = tree.statements ?? [];
  if (statements.length === 0) return failure('bad_request', 'sql: empty, expected one statement');
  if (statements.length > 1) return failure('bad_request', `sql: ${statements.length} statements, expected one`);
  const refusal = new Check(limits.sql_depth_max).refusal(statements[0]?.node ?? null);
  return refusal === null ? success(null) : failure('bad_request', `sql: ${refusal}`);
}

class Check {
  readonly #depthMax: number;

  constructor(depthMax: number) {
    this.#depthMax = depthMax;
  }

  /** The first thing that is refused, in words, or null. */
  refusal(node: Json): string | null {
    return this.#visit(node, new Set(), 0);
  }

  #visit(value: Json, scope: ReadonlySet<string>, depth: number): string | null {
    if (value === null || typeof value !== 'object') return null;
    if (depth > this.#depthMax) return `nested deeper than ${this.#depthMax}`;
    if (Array.isArray(value)) return this.#visitAll(value, scope, depth);
    if ('cte_map' in value) return this.#visitQuery(value, scope, depth);
    // Sources of rows are the only nodes with a sample that are not expressions or queries.
    if ('sample' in value && 'alias' in value && !('class' in value)) return this.#visitSource(value, scope, depth);
    if (value.class === 'PARAMETER') return 'parameters are not supported';
    if ('function_name' in value) {
      const refusal = functionRefusal(value);
      if (refusal !== null) return refusal;
    }
    return this.#visitAll(Object.values(value), scope, depth);
  }

  #visitAll(values: readonly Json[], scope: ReadonlySet<string>, depth: number): string | null {
    for (const value of values) {
      const refusal = this.#visit(value, scope, depth + 1);
      if (refusal !== null) return refusal;
    }
    return null;
  }

  #visitQuery(node: JsonObject, outer: ReadonlySet<string>, depth: number): string | null {
    const type = text(node.type);
    if (!QUERY_NODES.has(type)) return `query of kind ${type} is not allowed`;
    const scope = new Set(outer);
    const { cte_map, ...rest } = node;
    const entries = isObject(cte_map) && Array.isArray(cte_map.map) ? cte_map.map : [];
    for (const entry of entries) {
      if (!isObject(entry)) continue;
      const name = text(entry.key);
      if (!CTE_NAME.test(name)) return `name ${JSON.stringify(name)} in WITH is not allowed; use letters and digits`;
      const refusal = this.#visit(entry.value ?? null, scope, depth + 1);
      if (refusal !== null) return refusal;
      scope.add(name.toLowerCase());
    }
    if (type !== 'RECURSIVE_CTE_NODE') return this.#visitAll(Object.values(rest), scope, depth);
    // Only the second half of a recursive query sees its name: in the first, DuckDB takes it for something outside.
    const { right, ...others } = rest;
    const refusal = this.#visitAll(Object.values(others), scope, depth);
    if (refusal !== null) return refusal;
    scope.add(text(node.cte_name ?? null).toLowerCase());
    return this.#visit(right ?? null, scope, depth + 1);
  }

  #visitSource(node: JsonObject, scope: ReadonlySet<string>, depth: number): string | null {
    const type = text(node.type);
    if (type === 'BASE_TABLE') {
      const refusal = tableRefusal(node, scope);
      if (refusal !== null) return refusal;
    } else if (type === 'TABLE_FUNCTION') {
      const { function: call, ...rest } = node;
      if (!isObject(call ?? null)) return 'table function of an unknown form is not allowed';
      const { children, filter, order_bys, ...head } = call as JsonObject;
      const name = text(head.function_name).toLowerCase();
      if (!TABLE_FUNCTIONS.has(name) || !isPlainSchema(head)) return `table function ${name} is not allowed`;
      return this.#visitAll([children ?? null, filter ?? null, order_bys ?? null, Object.values(rest)], scope, depth);
    } else if (type === 'SHOW_REF') {
      const name = text(node.table_name);
      if (node.query === null && !SHOW_NAMES.has(name)) return `SHOW ${name} is not allowed`;
    } else if (!PLAIN_SOURCES.has(type)) {
      return `source of kind ${type} is not allowed`;
    }
    return this.#visitAll(Object.values(node), scope, depth);
  }
}

function tableRefusal(node: JsonObject, scope: ReadonlySet<string>): string | null {
  const name = text(node.table_name);
  const schema = text(node.schema_name).toLowerCase();
  const catalog = text(node.catalog_name);
  const folded = name.toLowerCase();
  const shown = [catalog, schema, name].filter((part) => part !== '').join('.');
  if (catalog !== '') return `table ${shown} is not allowed: leave out the catalog`;
  if (node.at_clause != null) return `AT on table ${shown} is not allowed`;
  if (schema === 'information_schema') {
    return INFORMATION_SCHEMA_VIEWS.has(folded) ? null : `table ${shown} is not allowed`;
  }
  if (schema === '' && scope.has(folded)) return null;
  if ((schema === '' || schema === 'main') && (TABLE_NAMES.has(folded) || CATALOG_VIEWS.has(folded))) return null;
  return `table ${JSON.stringify(shown)} does not exist or is not allowed (SHOW TABLES lists the tables)`;
}

function functionRefusal(node: JsonObject): string | null {
  const name = text(node.function_name);
  if (!isPlainSchema(node)) return `function ${text(node.schema)}.${name} is not allowed: leave out the schema`;
  if (OPERATOR.test(name) || FUNCTIONS.has(name.toLowerCase())) return null;
  return `function ${name} does not exist or is not allowed`;
}

function isPlainSchema(node: JsonObject): boolean {
  return text(node.catalog ?? null) === '' && ['', 'main'].includes(text(node.schema ?? null).toLowerCase());
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
