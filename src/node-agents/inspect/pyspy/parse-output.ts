/**
 * The output of `py-spy dump --json`: one JSON array of traces. All or nothing: a missing field, a wrong type or a
 * number out of range anywhere makes the whole dump a failure. Unknown fields are dropped, missing nullable ones null.
 *
 * Thread ids and addresses are 64 bits wide. One beyond 2^53 - 1 cannot be a number here without being rounded into the
 * id of another thread, so it is an error that says so.
 */

import * as v from 'valibot';
import { messageOf } from '../../../base/index.ts';
import { describeIssues, PySpyStackTrace } from '../../../contract/index.ts';

const Traces = v.array(PySpyStackTrace);

export type ParsedOutput =
  | { readonly ok: true; readonly traces: PySpyStackTrace[] }
  | { readonly ok: false; readonly reason: string };

export function parseOutput(bytes: Uint8Array): ParsedOutput {
  let json: unknown;
  try {
    // Strict: bytes that are no UTF-8 are an error, not question marks in a stack.
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    return { ok: false, reason: messageOf(error) };
  }
  const result = v.safeParse(Traces, json, { abortEarly: true });
  return result.success ? { ok: true, traces: result.output } : { ok: false, reason: explain(result.issues) };
}

function explain(issues: readonly v.BaseIssue<unknown>[]): string {
  const text = describeIssues(issues);
  const input = issues[0]?.input;
  const isTooLarge = typeof input === 'number' && Number.isInteger(input) && !Number.isSafeInteger(input);
  return isTooLarge ? `${text}: integers beyond 2^53 - 1 cannot be given without rounding` : text;
}
