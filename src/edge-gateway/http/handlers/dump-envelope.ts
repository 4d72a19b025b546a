/**
 * Stack dumps as text, which is how they pass the gateway: one may have 32 MiB, and the loop that would parse it, check it and
 * write it anew serves thousands of links.
 *
 * A dump with few characters is checked whole. Of a longer one the envelope is: everything before its stacks, everything
 * behind them, and that the two are one PySpyResult. The stacks between are as the agent sent them. Agents check what
 * py-spy wrote before they send it, the store checks what it stores, and a client that reads a dump finds out what it
 * cannot read; an agent that sends stacks that are none harms nobody but those who ask about its own host.
 */
import * as v from 'valibot';
import { failure, type Outcome, success } from '../../../base/index.ts';
import { describeIssues, PySpyResult } from '../../../contract/index.ts';
import { type GatewayLimits, LIMITS } from '../../limits.ts';

export type DumpText =
  /** `result` is the JSON text of the PySpyOk in it. */
  | { readonly kind: 'captured'; readonly text: string; readonly result: string }
  | { readonly kind: 'missed'; readonly text: string; readonly why: Missed };

/** What became of a dump that captured nothing. */
export type Missed = Exclude<PySpyResult, { Ok: unknown }>;

const HEAD = '{"Ok":';
const STACKS = '"stack_traces":[';
const BEHIND_STACKS = '],"warnings":[';

/** @returns failure `internal_error` when the text is no dump, as far as is looked */
export function readDump(text: string, limits: GatewayLimits = LIMITS): Outcome<DumpText> {
  const checked = text.length <= limits.dump_checked_max_chars ? text : withoutStacks(text, limits);
  if (checked === null) return broken(`no envelope in its first and last ${limits.dump_envelope_max_chars} characters`);
  let json: unknown;
  try {
    json = JSON.parse(checked);
  } catch {
    return broken('the answer is not JSON');
  }
  const parsed = v.safeParse(PySpyResult, json);
  if (!parsed.success) return broken(describeIssues(parsed.issues));
  if (!('Ok' in parsed.output)) return success({ kind: 'missed', text, why: parsed.output });
  const result = text.startsWith(HEAD) ? text.slice(HEAD.length, -1) : JSON.stringify(parsed.output.Ok);
  return success({ kind: 'captured', text, result });
}

/**
 * The envelope: the text with nothing between the brackets of its stacks; null when they are not found. In JSON neither mark
 * can be part of a string, whose quotes are escaped.
 */
function withoutStacks(text: string, { dump_envelope_max_chars }: GatewayLimits): string | null {
  if (!text.startsWith(HEAD)) return null;
  const stacks = text.slice(0, dump_envelope_max_chars).indexOf(STACKS);
  const tail = text.slice(-dump_envelope_max_chars);
  const behind = tail.lastIndexOf(BEHIND_STACKS);
  if (stacks < 0 || behind < 0) return null;
  return text.slice(0, stacks + STACKS.length) + tail.slice(behind);
}

function broken(why: string): Outcome<never> {
  return failure('internal_error', `failed to receive PySpyResult: ${why}`);
}
