/**
 * Answers the gateway's calls by passing each one on to the proc that it names. Calls run concurrently, within the bounds of
 * the link (link/calls/answerer.ts).
 */
import { failure, type Outcome, success } from '../../base/index.ts';
import {
  ANSWER_MAX_CHARS,
  type CallRequest,
  type NodePayload,
  type NodeRef,
  type ProcRef,
  parseNodeRef,
  procOf,
  refKey,
} from '../../contract/index.ts';
import { Answerer, type AnsweringLink } from '../../link/index.ts';
import type { AgentLimits } from '../limits.ts';
import type { AnsweringProc } from '../procs/hosted-proc.ts';

export interface CallsOptions {
  /** The host's own node: its reference, and a function that makes it. */
  readonly host: { readonly ref: NodeRef; readonly node: () => NodePayload };
  /** The proc of a reference; undefined when the host has none. */
  readonly findProc: (ref: ProcRef) => AnsweringProc | undefined;
  readonly link: AnsweringLink;
  readonly limits: AgentLimits;
  /** Wraps each call. Default: the call alone. */
  readonly observe?: (request: CallRequest, work: () => Promise<Outcome<string>>) => Promise<Outcome<string>>;
  /** Is called with each call that is refused because too many are running. Default: ignored. */
  readonly onRefused?: (request: CallRequest) => void;
}

export class Calls {
  readonly #options: CallsOptions;
  readonly #answerer: Answerer;

  constructor(options: CallsOptions) {
    const { limits, link } = options;
    this.#options = options;
    this.#answerer = new Answerer('the agent', link, {
      calls_max: limits.calls_max,
      answer_max_chars: ANSWER_MAX_CHARS,
      answers_max_chars: limits.answers_max_chars,
      unsent_max_bytes: limits.answers_unsent_max_bytes,
      drain_poll_ms: limits.answers_drain_poll_ms,
    });
  }

  async answer(call: number, request: CallRequest, deadline_ms: number): Promise<void> {
    const over = this.#answerer.open(call, deadline_ms);
    if (over === null) {
      this.#options.onRefused?.(request);
      return;
    }
    const work = (): Promise<Outcome<string>> => this.#perform(request, over);
    await this.#answerer.answer(call, this.#options.observe?.(request, work) ?? work());
  }

  cancel(call: number): void {
    this.#answerer.cancel(call);
  }

  /** Cancels all calls, because the link on which they came is gone. */
  cancelAll(): void {
    this.#answerer.cancelAll();
  }

  /** Accepts no more calls; settles when the running ones have ended. */
  close(): Promise<void> {
    return this.#answerer.close();
  }

  /** Performs a call. The result is JSON text, so that a large dump is never parsed in this thread. */
  async #perform(request: CallRequest, signal: AbortSignal): Promise<Outcome<string>> {
    const { reference } = request;
    const parsed = parseNodeRef(reference);
    if (!parsed.ok) return failure('bad_request', `invalid reference '${reference}': ${parsed.error}`);
    if (request.method === 'introspect') return asText(await this.#introspect(parsed.value, reference, signal));
    const proc = parsed.value.kind === 'proc' ? this.#options.findProc(parsed.value) : undefined;
    if (proc === undefined) return failure('not_found', `proc does not have a reachable handler (${reference})`);
    switch (request.method) {
      case 'config_dump':
        return asText(await proc.config(signal));
      case 'pyspy_dump':
        return proc.stacks({ locals: request.locals ?? false }, signal);
      case 'pyspy_profile':
        return asText(await proc.profile(request.opts, signal));
    }
  }

  /** The node of a reference as it is at this moment. */
  async #introspect(ref: NodeRef, text: string, signal: AbortSignal): Promise<Outcome<NodePayload>> {
    const { host, findProc } = this.#options;
    if (refKey(ref) === refKey(host.ref)) return success(host.node());
    const procRef = ref.kind === 'actor' ? procOf(ref) : ref;
    const node = procRef.kind === 'proc' ? await findProc(procRef)?.node(ref, signal) : null;
    return node ? success(node) : failure('not_found', `child ${text} not found`);
  }
}

function asText(outcome: Outcome<unknown>): Outcome<string> {
  return outcome.ok ? success(JSON.stringify(outcome.value)) : outcome;
}
