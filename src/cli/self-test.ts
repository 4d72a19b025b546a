/**
 * The gateway's own self-test, the ten points that its guide (`/SKILL.md`) describes, run from outside. Each asks the
 * gateway again, as any client would, and trusts nothing that this program knows of the contract.
 */
import { encodeRef } from '../contract/index.ts';
import type { Client } from './client.ts';
import { type JsonSchema, schemaError } from './json-schema.ts';

const WAIT_MS = 5_000;
const VARIANTS = ['Root', 'Host', 'Proc', 'Actor', 'Error'];
/** Names of Monarch's internals, which no answer may leak. */
const INTERNAL_NAMES = ['PortId', 'PortRef', 'MailboxSender', 'ChannelTransport'];

export interface SelfTestResult {
  readonly point: string;
  /** Null when it holds, else what was found instead. */
  readonly problem: string | null;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  /** Undefined when the text is not JSON. */
  readonly json: unknown;
}

export async function runSelfTest(client: Client): Promise<SelfTestResult[]> {
  const ask = async (path: string): Promise<Answer> => {
    const { status, text } = await client.request('GET', path, WAIT_MS);
    return { status, text, json: parseOrUndefined(text) };
  };
  const schema = await ask('/v1/schema');
  const errorSchema = await ask('/v1/schema/error');
  const root = await ask('/v1/root');
  const firstChild = stringAt(root.json, 'children', 0);
  const child = firstChild === undefined ? null : await ask(`/v1/${encodeRef(firstChild)}`);
  const bogus = await ask('/v1/nonexistent_ref_xxxx');
  const answers = [schema, errorSchema, root, bogus, ...(child === null ? [] : [child])];
  const noChild = 'root has no children: no agent has dialled this gateway yet';

  const points: [string, string | null][] = [
    ['/v1/schema is JSON with a versioned $id', idProblem(schema, 'v1')],
    ['/v1/schema/error is JSON with a $id', idProblem(errorSchema, '')],
    ['/v1/root is a Root with children', rootProblem(root) ?? (firstChild === undefined ? noChild : null)],
    ['the first child of root resolves to a node', child === null ? noChild : variantProblem(child)],
    ['the first child has a parent', child === null ? noChild : parentProblem(child)],
    ['the root answer fits /v1/schema', validityProblem(schema, root)],
    ['the first child fits /v1/schema', child === null ? noChild : validityProblem(schema, child)],
    ['an unknown reference answers an error envelope', codeOf(bogus) === undefined ? shorten(bogus) : null],
    ['its code is not_found', codeOf(bogus) === 'not_found' ? null : `code ${codeOf(bogus)}`],
    ['no answer names internals', leakProblem(answers)],
  ];
  return points.map(([point, problem]) => ({ point, problem }));
}

function idProblem(answer: Answer, part: string): string | null {
  const id = stringAt(answer.json, '$id');
  return answer.status === 200 && id?.includes(part) === true ? null : shorten(answer);
}

function rootProblem(answer: Answer): string | null {
  return answer.status === 200 && variantOf(answer) === 'Root' ? null : shorten(answer);
}

function variantProblem(answer: Answer): string | null {
  const variant = variantOf(answer);
  return answer.status === 200 && variant !== undefined && VARIANTS.includes(variant) ? null : shorten(answer);
}

function parentProblem(answer: Answer): string | null {
  return stringAt(answer.json, 'parent') === undefined ? shorten(answer) : null;
}

function validityProblem(schema: Answer, answer: Answer): string | null {
  if (typeof schema.json !== 'object' || schema.json === null) return 'there is no schema to check with';
  return schemaError(schema.json as JsonSchema, answer.json);
}

function leakProblem(answers: readonly Answer[]): string | null {
  const leaked = INTERNAL_NAMES.find((name) => answers.some((answer) => answer.text.includes(name)));
  return leaked === undefined ? null : `an answer contains ${leaked}`;
}

function variantOf(answer: Answer): string | undefined {
  const properties = at(answer.json, 'properties');
  return typeof properties === 'object' && properties !== null ? Object.keys(properties)[0] : undefined;
}

function codeOf(answer: Answer): string | undefined {
  return stringAt(answer.json, 'error', 'code');
}

function stringAt(value: unknown, ...path: (string | number)[]): string | undefined {
  const found = path.reduce(at, value);
  return typeof found === 'string' ? found : undefined;
}

function at(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[key] : undefined;
}

function shorten(answer: Answer): string {
  return `HTTP ${answer.status}: ${answer.text.slice(0, 200)}`;
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
